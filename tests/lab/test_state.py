"""The page's address: any state is read back as it was written, and what is damaged is never half read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from tests.lab.v8 import module

Ask = Callable[[str], Any]
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: float(f"{value:.6g}"))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=","), min_size=1, max_size=12)
STATES = st.fixed_dictionaries(
    {},
    optional={
        "data": st.sampled_from(["lesson", "exam-scores", "longley"]),
        "points": st.integers(2, 4).flatmap(
            lambda d: st.lists(st.lists(NUMBERS, min_size=d, max_size=d), min_size=1, max_size=20)
        ),
        "names": st.lists(NAMES, min_size=2, max_size=4),
        "target": NAMES,
        "lr": st.floats(1e-12, 1e6).map(lambda value: float(f"{value:.6g}")),
        "reduction": st.sampled_from(["mean", "half_mean", "sum", "half_sum"]),
        "momentum": st.integers(0, 100).map(lambda value: value / 100),
        "nesterov": st.booleans(),
        "forget": st.booleans(),
        "epochs": st.integers(1, 10**6),
        "epoch": st.integers(0, 10**6),
        "start": st.lists(NUMBERS, min_size=1, max_size=5),
        "bias": st.booleans(),
        "center": st.booleans(),
        "standardize": st.booleans(),
        "repeat": st.integers(1, 1000),
        "keep": st.booleans(),
        "log": st.booleans(),
        "lang": st.sampled_from(["en", "ko"]),
        "theme": st.sampled_from(["light", "dark"]),
        "window": st.tuples(NUMBERS, st.floats(0.001, 1e6)).map(lambda pair: [pair[0], pair[0] + pair[1]]),
        "hide": st.lists(st.sampled_from(["data", "rate", "code", "map"]), min_size=1, max_size=4, unique=True),
    },
)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """The value of an expression in which ``state`` is the module, out of JSON."""
    with MiniRacer() as v8:
        v8.eval(f"const state = {module('state.js')};")
        yield lambda expression: json.loads(str(v8.eval(f"JSON.stringify({expression})")))


@given(changes=STATES)
def test_every_state_is_read_as_it_was_written(ask: Ask, changes: dict[str, Any]) -> None:
    base = ask("state.defaults()")
    whole = base | changes
    address = ask(f"state.encode({json.dumps(whole)}, state.defaults())")
    found = ask(f"state.decode({json.dumps('#' + address)}, state.defaults())")
    assert found == {"state": whole, "trouble": None}


@pytest.mark.slow
@given(text=st.text(max_size=60))
def test_nothing_is_half_read(ask: Ask, text: str) -> None:
    found = ask(f"state.decode({json.dumps('#v=1&lr=0.5&' + text)}, state.defaults())")
    if found["trouble"]:
        assert found["state"] == ask("state.defaults()")
    else:
        assert found["state"].keys() == ask("state.defaults()").keys()
