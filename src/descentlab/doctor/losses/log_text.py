"""The text of a log as a terminal shows it: decoded, without colors, overwritten parts and the types of numbers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from descentlab.errors import SettingError
from descentlab.messages import Message

MAX_LOG_BYTES = 1 << 28  # 256 MiB: millions of lines
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"\xef\xbb\xbf": "utf-8"}
# CSI sequences such as colors, OSC sequences such as titles.
TERMINAL_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
PROMPT_LINE = re.compile(r"(?m)^[ \t]*(?:(?:>>>|\.\.\.|\$)(?: .*)?|In \[\d+\]:.*)$")  # what was typed, not printed
OVERWRITING = re.compile(r"[\r\b]+")
# What types print around a number: tensor(0.3, grad_fn=<MseLossBackward0>), np.float64(0.3), array([...], dtype=...).
TYPE_ARGUMENT = re.compile(
    r",?\s*\b(?:dtype|device|grad_fn|requires_grad|shape|weak_type)="
    r"(?:<[^<>\n]*>|'[^'\n]*'|\"[^\"\n]*\"|\([^()\n]*\)|[\w.:]+)"
)
_TYPE = r"\b(?:[A-Za-z_]\w*\.)*(?:tensor|Tensor|array|Array|DeviceArray|Decimal|bfloat16|float\d*)\("
TYPED_NUMBER, TYPED_LIST = re.compile(_TYPE + r"\s*([^()\[\],\n]*?)\s*\)"), re.compile(_TYPE)
TENSORFLOW = re.compile(r"<tf\.(?:Tensor|Variable)[^<>\n]*?numpy=([^<>\n]*)>")


@dataclass(frozen=True)
class LossLog:
    """Text that holds losses, and what it came from.

    Attributes:
        text: the text.
        source: the name of its file, or what it is; empty for text given inline.
    """

    text: str
    source: str | Message = ""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> LossLog:
        """Read a file, or a pipe.

        Raises:
            SettingError: there is none, it is a folder or larger than :data:`MAX_LOG_BYTES`, or it cannot be read.
        """
        name = os.fspath(path)
        try:
            with Path(path).open("rb") as stream:
                return cls(decode_log(stream.read(MAX_LOG_BYTES + 1), name), name)
        except OSError as cause:
            raise SettingError("losses_file", name=name, cause=cause.strerror or str(cause)) from cause


def is_file_name(text: str) -> bool:
    """Whether an argument names a file: one that exists, or something that is written like one."""
    try:
        exists = Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or a zero byte in it
        return False
    return exists or re.fullmatch(r"(?:[^\s=,:]*[/\\])?[^\s=,:]+\.[A-Za-z]\w{0,4}", text) is not None


def decode_log(data: bytes, source: str | Message) -> str:
    """The text of bytes: UTF-16 with its mark, as PowerShell redirects it, else UTF-8 with replacements."""
    if len(data) > MAX_LOG_BYTES:
        raise SettingError("losses_file_too_large", name=source, most=MAX_LOG_BYTES >> 20)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    return data.decode("utf-8", errors="replace")


def strip_terminal(text: str) -> str:
    """The text without colors, types and typed commands, its lines ended by a newline only; with overwritten parts."""
    if "\x1b" in text:
        text = TERMINAL_SEQUENCES.sub("", text)
    text = text.replace("\r\n", "\n").replace("\x00", "")
    text = PROMPT_LINE.sub("", text)
    if "(" in text or "<" in text:
        text = TENSORFLOW.sub(r"\1", TYPE_ARGUMENT.sub("", text))
        text = TYPED_LIST.sub("(", TYPED_NUMBER.sub(r"\1", text))
    return text.replace("}", "}\n")  # one dictionary a line


def shown_lines(text: str) -> list[str]:
    """The lines that are left on a terminal: of parts that overwrite each other, the last that is not blank."""
    return [parts[-1] for parts in _parts(text) if parts]


def overwritten_lines(text: str) -> list[str]:
    """Every part of the lines, in order: a progress bar shows them one after the other."""
    return [part for parts in _parts(text) for part in parts]


def _parts(text: str) -> list[list[str]]:
    if "\r" not in text and "\b" not in text:
        return [[line] for line in text.split("\n") if line and not line.isspace()]
    return [[part for part in OVERWRITING.split(line) if part.strip()] for line in text.split("\n")]
