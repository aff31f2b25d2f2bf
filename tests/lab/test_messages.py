"""The page's words: numbers and sentences are those that Python prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from descentlab.lab.page import lab_messages
from descentlab.messages import LANGUAGES, format_number, message, resolve_particles
from tests.lab.v8 import module
from tests.messages.test_korean import READ

Say = Callable[..., Any]


@pytest.fixture(scope="module")
def say() -> Iterator[Say]:
    """A function of ``messages.js`` by name, called with these values."""
    with MiniRacer() as v8:
        v8.eval(f"const messages = {module('messages.js')};")
        v8.eval(f"const catalog = {json.dumps(lab_messages())};")
        yield lambda expression: v8.eval(expression)


@given(value=st.floats(allow_nan=False, allow_infinity=False, width=64))
def test_numbers_are_pythons(say: Say, value: float) -> None:
    found = str(say(f"messages.number({value!r})"))
    if value == int(value) and abs(value) < 1e15:
        assert found == f"{int(value):,}"
    elif not (1e-5 < abs(value) < 1e10):
        assert float(found) == pytest.approx(value, rel=1e-5)
    else:
        assert float(found.replace(",", "")) == float(format_number(value).replace(",", ""))


@pytest.mark.parametrize(
    "text",
    [
        "0.01은(는) 0.5의 2%이고, `x`과(와) `total`이(가) 3(으)로",
        "서울이(가) 바다을(를) 7(으)로",
        "끝(으)로 물(으)로 a은(는)",
        "`year`이(가) lr이(가) `R`(으)로 sensor(으)로 rating은(는) g을(를) rows.factor은(는)",
        *(f"{before}은(는) {before}(으)로" for before in READ),
    ],
)
def test_particles_are_pythons(say: Say, text: str) -> None:
    assert say(f"messages.particled({json.dumps(text)})") == resolve_particles(text)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_sentence_can_be_said(say: Say, lang: str) -> None:
    for key in lab_messages()[lang]:
        said = str(say(f"messages.translator(catalog, '{lang}')('{key.removeprefix('lab.')}', {{}})"))
        assert said
    said = str(say(f"messages.translator(catalog, '{lang}')('status.near', {{ needed: 1234 }})"))
    assert said.replace("\u00a0", " ") == message("lab.status.near", needed=1234).text(lang)
    assert ("1,234\u00a0에포크" in said) is (lang == "ko")
    with pytest.raises(Exception, match=r"no sentence lab\.nothing"):
        say(f"messages.translator(catalog, '{lang}')('nothing')")


def test_one_of_anything_is_singular(say: Say) -> None:
    assert "After 1 update." in str(say("messages.translator(catalog, 'en')('data.caption', { epoch: 1 })"))
    assert "After 11 updates." in str(say("messages.translator(catalog, 'en')('data.caption', { epoch: 11 })"))
