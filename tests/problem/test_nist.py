"""NIST's reference sets: how many digits survive one streamed pass, and that no more are vouched for."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import descentlab as dl
from tests.rational import Vector, correct_digits, fractions, least_squares

FOLDER = Path(__file__).parent / "nist"
CLOSE = 15.0  # digits where a float64's own rounding is in the way


class Set(NamedTuple):
    """A set's shape, and what is asked of it: the smallest coefficient's correct digits."""

    name: str
    rows: int
    degree: int | None
    bias: bool
    digits: float
    certified: tuple[str, ...]  # as NIST prints them: features in order, then the intercept


SETS = (
    Set("norris", 36, 1, True, 11.5, ("1.00211681802045", "-0.262323073774029")),
    Set(
        "pontius",
        40,
        2,
        True,
        11.5,
        ("0.732059160401003E-06", "-0.316081871345029E-14", "0.673565789473684E-03"),
    ),
    Set("noint1", 11, 1, False, 14.0, ("2.07438016528926",)),
    Set("noint2", 3, 1, False, 14.0, ("0.727272727272727",)),
    Set(
        "longley",
        16,
        None,
        True,
        12.5,
        (
            "15.0618722713733",
            "-0.358191792925910E-01",
            "-2.02022980381683",
            "-1.03322686717359",
            "-0.511041056535807E-01",
            "1829.15146461355",
            "-3482258.63459582",
        ),
    ),
    Set("wampler1", 21, 5, True, 9.0, ("1",) * 6),
    Set("wampler2", 21, 5, True, 12.0, ("0.1", "0.01", "0.001", "0.0001", "0.00001", "1")),
    Set("wampler3", 21, 5, True, 9.0, ("1",) * 6),
    Set("wampler4", 21, 5, True, 7.5, ("1",) * 6),
    Set("wampler5", 21, 5, True, 5.5, ("1",) * 6),
    Set("filip", 82, 10, True, 7.5, ()),
)


def observations(data: Set) -> tuple[list[Vector], Vector]:
    """The columns and the response as exact decimals."""
    with (FOLDER / f"{data.name}.csv").open(encoding="utf-8") as file:
        rows = [fractions(row) for row in list(csv.reader(file))[1:]]
    columns = [[row[j] for row in rows] for j in range(1, len(rows[0]))]
    if data.degree:
        columns = [[x**k for x in columns[0]] for k in range(1, data.degree + 1)]
    return columns, [row[0] for row in rows]


def as_floats(data: Set, columns: list[Vector]) -> Any:
    """The columns as a user has them: float64, and float64 powers of them."""
    if data.degree:
        x = np.array([float(value) for value in columns[0]])
        return np.column_stack([x**k for k in range(1, data.degree + 1)])
    return np.array([[float(value) for value in column] for column in columns]).T


@pytest.fixture(params=SETS, ids=lambda data: data.name)
def data(request: pytest.FixtureRequest) -> Set:
    chosen: Set = request.param
    return chosen


def test_the_sets_are_whole(data: Set) -> None:
    columns, y = observations(data)
    assert len(y) == data.rows
    exact = least_squares(columns, y, bias=data.bias)
    for found, certified in zip(exact, data.certified, strict=False):
        assert abs(found - Fraction(certified)) <= abs(Fraction(certified)) / 10**14


@pytest.mark.parametrize(
    "settings", [{}, {"center": True}, {"standardize": True}], ids=lambda s: next(iter(s), "plain")
)
def test_digits_of_one_pass(data: Set, settings: dict[str, Any]) -> None:
    if settings.get("center") and not data.bias:
        return
    columns, y = observations(data)
    minimum = dl.Problem(as_floats(data, columns), [float(v) for v in y], bias=data.bias, **settings).solve()
    correct = correct_digits(minimum.params, least_squares(columns, y, bias=data.bias))
    assert minimum.rank == len(minimum.params)
    assert correct.min() >= data.digits
    assert (minimum.digits <= correct).all()
    assert minimum.min_digits >= min(CLOSE, correct.min()) - 5.5  # modest, and not useless


def test_digits_do_not_depend_on_how_the_rows_came(data: Set) -> None:
    """One row at a time, and from factors of parts merged: the same certified digits."""
    columns, y = observations(data)
    exact = least_squares(columns, y, bias=data.bias)
    names = [*(f"x{j}" for j in range(len(columns))), "y"]
    values = np.column_stack([as_floats(data, columns), [float(v) for v in y]])
    one_by_one = dl.Factor.empty(names)
    for row in values:
        one_by_one = one_by_one.update(row[None])
    merged = dl.Factor.from_block(values[::2], names).merge(dl.Factor.from_block(values[1::2], names))
    for factor in (one_by_one, merged):
        minimum = dl.Problem(factor, bias=data.bias).solve()
        correct = correct_digits(minimum.params, exact)
        assert correct.min() >= data.digits - 1.5
        assert (minimum.digits <= correct).all()
