"""Plain words: what a person reads contains none of the phrases that have a simpler form."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "descentlab"
# Each with the plain form; most are literal translations.
PHRASES = {
    r"anew": "again, from scratch",
    r"vouch\w*": "correct to N digits",
    r"foretell\w*|foretold|foresee\w*|foreseen": "predict",
    r"bound for": "converges to",
    r"destination": "limit",
    r"the asker\w*": "the user",
    r"for good": "permanently, and stays there",
    r"so many|so few": "N, this many",
    r"for want of": "without",
    r"to and fro": "oscillates",
    r"swallow\w*": "read, compress",
    r"ever more": "increasingly",
    r"mend(?:s|ed|ing)?": "correct, repair",
    r"all the same": "nevertheless",
    r"besides": "in addition",
    r"(?:is|are|be|was) told": "is known, is given",
    r"(?:is|are|be|was|were) held against": "is compared with",
    r"stands? for": "replaces, represents",
    r"comes? to rest": "converges",
    r"for who\b": "for people who",
    r"anyone's|somebody's": "a user, no one",
    r"(?<!there )(?:is|are|was|were|be) no (?!longer|more|less|larger|smaller|need|such)\w+": "is not a",
    r"goes? wherever": "can be used instead of",
    r"centr(?:e|ed|es|ing)|colour\w*|behaviour": "center, color, behavior",
    r"(?:standard|penal|minim|normal|recogn)is(?:e|ed|es|er|ing)": "-ize",
    r"\d %": "1% without a space",
}
FORBIDDEN = re.compile(
    "|".join(rf"\b(?:{phrase})" + (r"\b" if phrase[-1].isalpha() else "") for phrase in PHRASES), re.IGNORECASE
)


def pages() -> list[Path]:
    """The English pages."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found += [*(SOURCE / "doctor" / "pages").glob("*.md"), *(SOURCE / "lessons" / "en").glob("*.md")]
    return sorted(path for path in found if not path.name.endswith(".ko.md"))


def prose(text: str) -> str:
    """A page without its code, whose words may be anybody's."""
    return re.sub(r"`[^`\n]+`|\]\([^)]*\)", " ", re.sub(r"```.*?```", " ", text, flags=re.DOTALL))


def docstrings() -> Iterator[tuple[str, str]]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = getattr(node, "name", "module")
                yield f"{path.relative_to(SOURCE)}:{name}", ast.get_docstring(node) or ""


def texts(kind: str) -> Iterator[tuple[str, str]]:
    if kind == "catalog":
        entries = json.loads((SOURCE / "messages" / "locale" / "en.json").read_text("utf-8"))
        yield from ((key, re.sub(r"`[^`]+`", " ", value)) for key, value in entries.items())
    elif kind == "pages":
        yield from ((str(path.relative_to(ROOT)), prose(path.read_text("utf-8"))) for path in pages())
    else:
        yield from docstrings()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["catalog", "pages", "docstrings"])
def test_words_are_plain(kind: str) -> None:
    found = [f"{where}: {match[0]!r}" for where, text in texts(kind) for match in FORBIDDEN.finditer(text)]
    assert not found, "\n".join(found)


def test_the_words_are_found() -> None:
    """The test itself: each phrase is found where it stands."""
    for example in (
        "made anew",
        "13 digits vouched for",
        "it is no number",
        "1 % of it",
        "a centred column",
        "for good.",
    ):
        assert FORBIDDEN.search(example), example
    assert not FORBIDDEN.search("is no longer stable; an amendment of 1%")
