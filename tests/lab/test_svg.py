"""What pictures are drawn with: lines that end at the frame, round numbers under a pointer, numbers on an axis."""

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
FRAME = {"left": 0, "right": 100, "top": 10, "bottom": 90}


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with MiniRacer() as v8:
        v8.eval(f"const svg = {module('svg.js')};")
        yield lambda expression: json.loads(str(v8.eval(f"JSON.stringify({expression})")))


def points(path: str) -> list[list[tuple[float, float]]]:
    """The pieces of a path, each a list of points."""
    pieces = [piece.split("L") for piece in path.split("M")[1:]]
    return [[(float(x), float(y)) for x, y in (each.split() for each in piece)] for piece in pieces]


def test_a_line_ends_where_it_leaves_the_frame(ask: Ask) -> None:
    drawn = ask(f"svg.clippedLinePath([[0, 50], [10, -30], [20, -30], [30, 50], [40, 130]], {json.dumps(FRAME)})")
    assert points(drawn) == [[(0, 50), (5, 10)], [(25, 10), (30, 50), (35, 90)]]


@given(st.lists(st.one_of(st.integers(-200, 300).map(float), st.just(float("nan"))), min_size=1, max_size=12))
def test_nothing_is_drawn_outside_and_everything_inside(ask: Ask, heights: list[float]) -> None:
    given_points = [[10.0 * i, y] for i, y in enumerate(heights)]
    text = json.dumps(given_points).replace("NaN", "NaN")
    drawn = points(ask(f"svg.clippedLinePath({text}, {json.dumps(FRAME)})"))
    flat = [point for piece in drawn for point in piece]
    assert all(FRAME["top"] - 0.5 <= y <= FRAME["bottom"] + 0.5 for _, y in flat)
    for x, y in given_points:
        assert ((x, y) in flat) == (10 <= y <= 90 and x <= 100) or x > 100


def test_what_is_dragged_lands_on_round_numbers(ask: Ask) -> None:
    scale = "svg.linear([-0.5, 2.5], [40, 490])"  # 0.00667 a pixel
    assert ask(f"[265.2, 264.6, 266].map((at) => svg.roundToPixel({scale}, at))") == [1, 1, 1.01]
    assert ask(f"svg.nudge({scale}, 0.5, 1)") == 0.55
    assert ask(f"svg.nudge({scale}, 0.52, 1)") == 0.55
    assert ask(f"svg.nudge({scale}, 0.52, 0)") == 0.52
    assert ask(f"[...Array(10)].reduce((value) => svg.nudge({scale}, value, 1), 0.5)") == 1


def test_a_logarithmic_axis_has_more_than_one_number(ask: Ask) -> None:
    assert ask("svg.logTicks(30, 400)") == [50, 100, 200]
    assert ask("svg.logTicks(2, 8)") == [2, 5]
    assert ask("svg.logTicks(0.5, 2000)") == [1, 10, 100, 1000]


def test_half_a_pixel_is_not_outside(ask: Ask) -> None:
    frame = json.dumps(FRAME)
    assert ask(f"[svg.clampTo([100.3, 50], {frame}).out, svg.clampTo([101, 50], {frame}).out]") == [False, True]
