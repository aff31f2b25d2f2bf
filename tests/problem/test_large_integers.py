"""Whole numbers that float64 cannot hold: fitted by their differences, which it can."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import descentlab as dl
from descentlab.typing import FloatArray

STEPS = np.random.default_rng(2).integers(0, 1000, 300)
TARGET: FloatArray = 2.0 * STEPS.astype(np.float64) + 1.0
FIRST = {"int64": 2**53 + 1, "negative": -(2**62) - 1, "uint64": 2**64 - 1001, "decimal": 10**20 + 1}


def as_array(first: int) -> Any:
    return np.array([first + int(step) for step in STEPS], dtype=np.int64 if first < 2**63 else np.uint64)


def as_table(first: int, target: FloatArray = TARGET) -> pa.Table:
    values = [first + int(step) for step in STEPS]
    kind = pa.decimal128(38, 0) if first > 2**64 else pa.int64() if first < 2**63 else pa.uint64()
    column = pa.array([Decimal(value) for value in values] if first > 2**64 else values, kind)
    return pa.table({"id": column, "y": target})


def write_csv(path: Path, first: int) -> Path:
    rows = [f"{first + int(step)},{target!r}" for step, target in zip(STEPS, TARGET.tolist(), strict=True)]
    path.write_text("id,y\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        (kind, first)
        for kind in ("array", "table", "csv", "parquet", "two files")
        for first in FIRST.values()
        if kind != "array" or first < 2**64  # no NumPy type holds larger ones
    ],
)
def test_the_spread_of_large_integers_is_kept(tmp_path: Path, first: int, kind: str) -> None:
    if kind == "array":
        problem = dl.Problem(as_array(first), TARGET)
    elif kind == "table":
        problem = dl.Problem(as_table(first), target="y")
    elif kind == "parquet":
        pq.write_table(as_table(first), tmp_path / "a.parquet", row_group_size=70)
        problem = dl.Problem(tmp_path / "a.parquet", target="y")
    else:
        paths = [write_csv(tmp_path / f"{name}.csv", first) for name in ("a", "b")]
        problem = dl.Problem(paths if kind == "two files" else paths[0], target="y")
    minimum = problem.solve()
    assert minimum.params[0] == pytest.approx(2, rel=1e-13)
    assert minimum.digits[0] > 12
    assert minimum.cost + minimum.cost_error < 1e-18
    assert problem.factor.std[0] == pytest.approx(STEPS.std(), rel=1e-14)
    assert not [notice for notice in problem.notices if "2^53" in str(notice)]


def test_many_pieces_have_the_same_digits() -> None:
    steps = np.arange(400_000) % 1009
    target = 2.0 * steps + np.sin(steps)
    exact = dl.Problem(steps.astype(float), target).solve()
    large = dl.Problem(steps + 2**60 + 1, target).solve()
    assert large.params[0] == pytest.approx(exact.params[0], rel=1e-12)
    assert large.cost == pytest.approx(exact.cost, rel=1e-12)


def test_a_relation_is_told_so_that_rows_fulfil_it() -> None:
    numbers = np.arange(8)
    problem = dl.Problem(np.c_[2**53 + 1 + 7 * numbers, numbers], 2.0 * numbers, features=["id", "x"])
    (relation,) = map(str, problem.solve().null_directions)
    assert "`x` = 0.142857·(`id` - 9007199254740992) - 0.142857 in every row" in relation
    clock = 1.7e12 + 3.6e6 * numbers  # milliseconds, hour by hour
    (relation,) = map(str, dl.Problem(np.c_[clock, numbers], 2.0 * numbers).solve().null_directions)
    assert "`x2` = 2.77778e-07·(`x1` - 1700012600000) + 3.5 in every row" in relation


@pytest.mark.parametrize("engine", ["exact", "hand"])
def test_engines_step_on_the_differences(engine: str) -> None:
    settings: Any = {"lr": 0.3, "epochs": 20, "engine": engine}
    large = dl.descend(dl.Problem(as_array(2**62), TARGET, standardize=True), **settings)
    small = dl.descend(dl.Problem(STEPS.astype(float), TARGET, standardize=True), **settings)
    np.testing.assert_allclose(large.history.cost, small.history.cost, rtol=1e-9)


def test_factors_of_large_integers_merge_and_are_kept(tmp_path: Path) -> None:
    halves = [dl.Problem(as_table(FIRST["int64"]).slice(*rows), target="y").factor for rows in ((0, 150), (150, 150))]
    halves[0].save(tmp_path / "first.factor")
    merged = dl.Factor.load(tmp_path / "first.factor").merge(halves[1])
    minimum = dl.Problem(merged).solve()
    assert minimum.params[0] == pytest.approx(2, rel=1e-12)
    assert minimum.cost + minimum.cost_error < 1e-17


@pytest.mark.parametrize("spacing", [1.0, 7.0, 1000.0])
def test_the_printed_cost_is_covered_by_its_bound(spacing: float) -> None:
    """Floats at 2^53 are taken as rounded: the cost is told in the digits that this leaves."""
    numbers = np.arange(40)
    noise = np.where(numbers % 2, 1.0, -1.0)
    rounded = dl.Problem(2.0**53 + spacing * numbers, 3.0 * numbers + noise).solve()
    exact = dl.Problem(numbers.astype(float), 3.0 * numbers + noise).solve()
    assert abs(rounded.cost - exact.cost) <= rounded.cost_error
    shown = rounded.text().splitlines()[0]
    assert ("at most" in shown) == (rounded.cost_error >= rounded.cost / 2)
