"""Standard output as people have it: in an encoding that lacks some characters, into a pipe, onto a full disk."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress

# What stands for characters that an encoding lacks; any other becomes "?".
SUBSTITUTES = str.maketrans(
    {
        **dict.fromkeys("·•", "*"),
        **dict.fromkeys("–—−‐‑", "-"),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”", '"'),
        **dict.fromkeys("━─┄", "-"),
        **dict.fromkeys("│┃", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼", "+"),
        **dict.fromkeys("█▇▆▅▄▃▂▁■●", "#"),
        **dict.fromkeys("░▒▓□○", "."),
        "\u00a0": " ",
        "…": "...",
        "→": "->",
        "←": "<-",
        "≤": "<=",
        "≥": ">=",
        "≈": "~",
        "≠": "!=",
        "×": "x",
        "✓": "v",
        "✗": "x",
        "⚠": "!",
        "²": "^2",
        "³": "^3",
        "λ": "lambda",
        "κ": "kappa",
        "Σ": "sum",
        "√": "sqrt",
    }
)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(SUBSTITUTES)
    return text.encode("ascii", "replace").decode(), error.end


def _escape_json(error: UnicodeError) -> tuple[str, int]:
    r"""In JSON, characters beyond ASCII stand in strings only, where ``\uXXXX`` is the same character."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end


codecs.register_error("descentlab_substitute", _substitute)
codecs.register_error("descentlab_json", _escape_json)


def tolerate_missing_characters(*, as_json: bool) -> None:
    """Write what the encoding of standard output and error lacks with other characters, instead of failing."""
    for stream, errors in (
        (sys.stdout, "descentlab_json" if as_json else "descentlab_substitute"),
        (sys.stderr, "descentlab_substitute"),
    ):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors=errors)


def discard_further_output() -> None:
    """Let nothing more be written to standard output, whose reader has gone or whose disk is full."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
