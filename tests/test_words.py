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
# Korean phrases, most of them literal translations, each with what a native speaker writes.
KOREAN_PHRASES = {
    r"안정한\s+가장\s+큰": "발산하지 않는 최대 학습률",
    r"(?<!경사)(?<!좌표)하강|경사하강(?!법)": "실행, 학습 과정, 경사하강법",
    r"견[주준줄줍]": "비교하다",
    r"까닭": "이유, 원인",
    r"추가 `": "추가 설치(extra) `",
    r"소견": "진단, 진단 항목",
    r"흔들[리려림립]": "진동하다",
    r"알아채지": "변하지 않다",
    r"[\d}]%\s+안(?:에|으로|$)": "차이가 1% 이내",
    r"고유값|최소값|최대값": "고윳값, 최솟값, 최댓값",
    r"절편": "편향",
    r"에 의해|되어[지진집]|것이다|그것은": "a shorter sentence",
    r"(?<![니시])다\.(?=\s|$)|(?<![세필])요\.(?=\s|$)": "합니다",
}
FORBIDDEN = re.compile(
    "|".join(rf"\b(?:{phrase})" + (r"\b" if phrase[-1].isalpha() else "") for phrase in PHRASES), re.IGNORECASE
)
FORBIDDEN_KOREAN = re.compile("|".join(KOREAN_PHRASES))


def pages() -> list[Path]:
    """The English pages."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found += [*(SOURCE / "doctor" / "pages").glob("*.md"), *(SOURCE / "lessons" / "en").glob("*.md")]
    return sorted(path for path in found if not path.name.endswith(".ko.md"))


def korean_texts() -> Iterator[tuple[str, str]]:
    """The Korean catalog and pages; inline code is a backtick."""
    entries = json.loads((SOURCE / "messages" / "locale" / "ko.json").read_text("utf-8"))
    files = [ROOT / "README.ko.md", *(ROOT / "docs").rglob("*.ko.md"), *SOURCE.rglob("*.ko.md")]
    files += (SOURCE / "lessons" / "ko").glob("[0-9]*.md")
    written = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}
    for where, text in (entries | written).items():
        yield where, re.sub(r"`[^`\n]+`|\]\([^)]*\)", "`", re.sub(r"```.*?```", " ", text, flags=re.DOTALL))


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


def test_korean_words_are_plain() -> None:
    found = [f"{where}: {match[0]!r}" for where, text in korean_texts() for match in FORBIDDEN_KOREAN.finditer(text)]
    assert not found, "\n".join(found)


def test_the_korean_words_are_found() -> None:
    for example in (
        "안정한 가장\n큰 학습률",
        "이 하강은",
        "어떤 경사하강이든",
        "서로 견주어 보세요",
        "최솟값의 1% 안에 든다",
        "추가 `lessons`가",
        "느립니다. 이유는 같다.",
        "여기서 멈춰요.",
    ):
        assert FORBIDDEN_KOREAN.search(example), example
    assert not FORBIDDEN_KOREAN.search("경사하강법은 3번 갱신합니다. 다음. 추가 설치(extra) `lessons`, 1% 이내")
