"""Sentences: one catalog a language, the same keys, the same values named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import numpy as np
import pytest

from descentlab.messages import (
    LANGUAGES,
    PLURAL_NOUNS,
    Message,
    current_language,
    format_bound,
    format_number,
    load_catalog,
    message,
    pluralize,
)

SOURCE = Path(__file__).parents[2] / "src" / "descentlab"
KEY = re.compile(
    r"""["'](?:answer|direction|formula|losses|observed|error|notice|left_out|flat|minimum|refuses|ending|cli|help|demo|plot|csv|purpose|problem|finding|advice|report|validation|folds|sweep|count|lab|stochastic|watch|estimator|coefficient|statistics)\.(?!(?:js|css)["'])[a-z0-9_]+["']"""
)
RAISED = re.compile(r"""(?:DataError|SettingError|DivergenceError|EngineError)\(\s*["']([a-z0-9_]+)["']""")
NAMES = {
    key: {field for _, field, _, _ in Formatter().parse(text) if field} for key, text in load_catalog("en").items()
}


def test_every_language_has_the_same_sentences() -> None:
    for lang in LANGUAGES:
        assert load_catalog(lang).keys() == load_catalog("en").keys()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_names_the_same_values(lang: str) -> None:
    for key, text in load_catalog(lang).items():
        named = {field for _, field, _, _ in Formatter().parse(text) if field}
        assert named == NAMES[key], key


def test_no_sentence_is_in_a_file_twice() -> None:
    for lang in LANGUAGES:
        pairs = json.loads((SOURCE / "messages" / "locale" / f"{lang}.json").read_text("utf-8"), object_pairs_hook=list)
        assert len(pairs) == len(dict(pairs))


def test_every_sentence_the_code_names_exists_and_every_sentence_is_named() -> None:
    code = "\n".join(path.read_text("utf-8") for kind in ("*.py", "*.js") for path in SOURCE.rglob(kind))
    named = {match.strip("\"'") for match in KEY.findall(code)} | {f"error.{key}" for key in RAISED.findall(code)}
    assert named <= set(load_catalog("en"))
    # Some keys are composed: of a prefix and a word of the code, or by an f-string.
    words = set(re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)*", code.replace("-", "_")))
    words |= {phrase.replace(" ", "_") for phrase in re.findall(r'"([a-z]+(?: [a-z]+)+)"', code)}
    composed = re.findall(r'f"([a-z]+\.[a-z0-9_]+\{[^}]+\}[a-z0-9_]*|[a-z]+\.\{[^}]+\}_[a-z0-9_]+)"', code)
    patterns = [re.sub(r"\\\{.+?\\\}", "[a-z0-9_]*", re.escape(key)) for key in composed]
    unnamed = {key for key in load_catalog("en") if key not in named and key.split(".")[1] not in words}
    assert not [key for key in unnamed if not any(re.fullmatch(pattern, key) for pattern in patterns)]


def test_korean_is_korean() -> None:
    hangul = re.compile("[가-힣]")
    for key, text in load_catalog("ko").items():
        if "{" not in text or len(text) > 20:
            assert hangul.search(text) or text == load_catalog("en")[key], key


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"DESCENTLAB_LANG": "ko"}, "ko"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "DESCENTLAB_LANG": "en"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name in ("DESCENTLAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert current_language() == expected


def test_numbers_are_short_and_whole_ones_are_grouped() -> None:
    assert [format_number(n) for n in (1 / 14, 1234567, 5e-7, 3.0, 10**20)] == [
        "0.0714286",
        "1,234,567",
        "5e-07",
        "3",
        "1e+20",
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lr": 0.1, "ratio": 1.000123, "bound": 0.0999877}, ("0.1", "1.00012", "0.0999")),
        ({"lr": 0.1234567, "ratio": 1.728395, "bound": 1 / 14}, ("0.1234567", "1.73", "0.0714")),
        ({"lr": 1 / 3, "ratio": 133.3333, "bound": 0.0025}, ("0.333333", "133", "0.0025")),
    ],
)
def test_a_sentence_repeats_a_rate_and_rounds_what_is_computed(
    values: dict[str, float], expected: tuple[str, ...]
) -> None:
    words = message("finding.above_bound", **values).text("en")
    assert tuple(re.findall(r"\d[\d.]*\d|\d", words)) == expected


def test_a_bound_is_never_rounded_up_nor_down_to_a_rate_below_it() -> None:
    random = np.random.default_rng(3)
    for bound in 10 ** random.uniform(-9, 9, 200):
        assert 0.99 * bound < float(format_bound(bound)) <= bound
        lr = bound * (1 - 10 ** random.uniform(-9, 0))
        assert lr < float(format_bound(bound, lr)) <= bound
    assert format_bound(0.0357) == "0.0357"


@pytest.mark.parametrize("what", PLURAL_NOUNS)
def test_one_of_anything_is_singular(what: str) -> None:
    assert pluralize(1, what).text("en") == f"1 {what}"
    assert pluralize(2_000, what).text("en") == f"2,000 {PLURAL_NOUNS[what]}"
    assert pluralize(0, what).text("en") == f"0 {PLURAL_NOUNS[what]}"
    assert "1" in pluralize(1, what).text("ko")
    assert pluralize(123_456_789_012, what).text("en") == f"1.23e+11 {PLURAL_NOUNS[what]}"


def test_every_count_has_its_noun() -> None:
    """No sentence puts a plural behind a bare number that may be 1, and no list of names ends in nothing."""
    known = {f"count.{word}" for pair in PLURAL_NOUNS.items() for word in pair} | {"count.none"}
    assert {key for key in load_catalog("en") if key.startswith("count.")} == known
    nouns = "|".join(PLURAL_NOUNS.values())
    never_one = {
        "answer.mini_batches", "error.lab_columns", "error.losses_equal", "error.losses_several_in_epoch",
            "error.too_long", "error.too_long_schedule",
        "finding.beyond_counting",
        "finding.mini_batches", "folds.tried", "losses.every", "losses.read_every",
            "minimum.param", "notice.few_rows", "notice.missing_code", "notice.rows_dropped",
        "observed.averaged_twice", "observed.gradient_averaged_twice",
            "observed.agrees_every", "observed.per_sample_updates", "observed.too_long", "refuses.replay_batches",
    }  # fmt: skip
    bare = {key for key, text in load_catalog("en").items() if re.search(rf"\{{\w+\}} (more )?({nouns})\b", text)}
    # The lab's page has its own way: messages.js, tested in tests/lab/test_messages.py.
    assert {key for key in bare if not key.startswith(("count.", "lab."))} == never_one
    assert message("error.no_target", columns=()).text("en").endswith("The numeric columns are: none.")
    assert message("error.no_target", columns=[]).text("ko").endswith("없음")


def test_a_sentence_within_a_sentence_takes_the_outer_language() -> None:
    inner = message("left_out.time")
    outer = Message("error.not_numeric", {"name": "날짜", "reason": inner})
    assert inner.text("ko") in outer.text("ko")
    assert inner.text("en") in outer.text("en")
