"""The factor: the laws of a mergeable statistic, against plain NumPy on the rows and exact rationals."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from descentlab import DataError, Factor
from descentlab.data.design.choose import request_design
from descentlab.data.selection import ColumnSelection
from descentlab.data.source import BLOCK_ROWS
from descentlab.factor.build import build_factor
from descentlab.factor.factor import FACTOR_FORMAT
from tests.rational import fractions

NAMES = ("a", "b", "y")
VALUES = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))


def tables(least: int = 1, most: int = 30) -> st.SearchStrategy[Any]:
    return st.integers(least, most).flatmap(lambda n: arrays.arrays(np.float64, (n, 3), elements=VALUES))


def gram(values: Any, weights: Any = None) -> Any:
    """``[1 C]' diag(w) [1 C]``: what every squared error of the rows is made of."""
    Z = np.column_stack([np.ones(len(values)), values])
    return Z.T @ (Z if weights is None else Z * np.asarray(weights)[:, None])


def same(factor: Factor, values: Any, weights: Any = None) -> None:
    """The factor weighs what the rows weigh, up to rounding relative to its columns' norms."""
    expected = gram(values, weights)
    norms = np.sqrt(np.diagonal(expected))
    np.testing.assert_allclose(factor.R.T @ factor.R, expected, rtol=0, atol=1e-13 * np.outer(norms, norms).max())
    assert factor.rows == len(values)
    assert factor.weight == pytest.approx(len(values) if weights is None else np.sum(weights))


@pytest.mark.slow
@given(tables(), st.lists(st.integers(0, 30), max_size=5), st.randoms())
def test_any_split_and_any_order_is_the_same(values: Any, cuts: list[int], random: Any) -> None:
    parts = [Factor.from_block(part, NAMES) for part in np.split(values, sorted(cuts))]
    random.shuffle(parts)
    whole = Factor.empty(NAMES)
    for part in parts:
        whole = whole.merge(part)
    same(whole, values)


@pytest.mark.slow
@given(tables())
def test_one_row_at_a_time(values: Any) -> None:
    factor = Factor.empty(NAMES)
    for row in values:
        factor = factor.update(row[None])
    same(factor, values)


@pytest.mark.slow
@given(tables(), tables(), tables())
def test_merging_is_associative_and_commutative(first: Any, second: Any, third: Any) -> None:
    a, b, c = (Factor.from_block(part, NAMES) for part in (first, second, third))
    for whole in (a.merge(b).merge(c), a.merge(b.merge(c)), c.merge(b).merge(a)):
        same(whole, np.vstack([first, second, third]))


@pytest.mark.slow
@given(tables())
def test_the_empty_factor_changes_nothing(values: Any) -> None:
    factor, empty = Factor.from_block(values, NAMES), Factor.empty(NAMES)
    assert factor.merge(empty) is factor
    assert empty.merge(factor) is factor
    np.testing.assert_array_equal(factor.update(np.empty((0, 3))).R_centered, factor.R_centered)
    assert empty.merge(empty).rows == 0


@pytest.mark.slow
@given(tables(), st.data())
def test_weights_are_repetition(values: Any, data: st.DataObject) -> None:
    counts = data.draw(arrays.arrays(np.int64, len(values), elements=st.integers(0, 4)))
    weighted, repeated = Factor.from_block(values, NAMES, counts), np.repeat(values, counts, axis=0)
    same(weighted, values, counts)
    if len(repeated):
        np.testing.assert_allclose(weighted.means, repeated.mean(axis=0), atol=1e-10)
        np.testing.assert_allclose(weighted.std, repeated.std(axis=0), atol=1e-9)


@pytest.mark.slow
@given(tables())
def test_rounding_never_shrinks_as_rows_are_added(values: Any) -> None:
    first = Factor.from_block(values, NAMES)
    assert (first.merge(first).rounding_error >= first.rounding_error).all()
    assert (first.column_error >= first.rounding_error).all()


@pytest.mark.parametrize("n", [1, 2, 5, 4096, 4097, 8192, 20001])
def test_the_factor_is_the_triangle_of_the_rows(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(n, 3)) * [1, 100, 1e-3] + [3, 0, 50]
    factor = Factor.from_block(values, NAMES)
    plain = np.linalg.qr(np.column_stack([np.ones(n), values]), mode="r")
    upright = plain * np.where(np.diagonal(plain) < 0, -1, 1)[:, None]
    norms = np.linalg.norm(factor.R, axis=0)
    np.testing.assert_allclose(factor.R[: len(upright)] / norms, upright / norms, atol=1e-12)
    np.testing.assert_allclose(factor.R[0], np.sqrt(n) * np.append(1, values.mean(axis=0)), rtol=1e-12)
    np.testing.assert_allclose(factor.means, values.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(factor.std, values.std(axis=0), rtol=1e-10, atol=1e-12)
    assert (np.tril(factor.R_centered, -1) == 0).all()
    assert (np.diagonal(factor.R_centered) >= 0).all()


def test_weights_of_later_rows_are_their_own() -> None:
    """All the weight lies behind the first block: on three ones and a five."""
    values, weights = np.zeros((BLOCK_ROWS + 2, 1)), np.zeros(BLOCK_ROWS + 2)
    values[-2:, 0], weights[-2:] = [1, 5], [3, 1]
    factor = Factor.from_block(values, ["a"], weights)
    assert factor.weight == 4
    assert factor.means == pytest.approx(2)
    assert factor.std == pytest.approx(np.sqrt(3))


def test_blocks_of_a_stream_are_merged_as_a_tree() -> None:
    values = np.random.default_rng(3).random((7001, 3))
    stream = Factor.from_blocks(((part, None) for part in np.array_split(values, 37)), NAMES)
    same(stream, values)
    one_by_one = Factor.empty(NAMES)
    for part in np.array_split(values, 37):
        one_by_one = one_by_one.update(part)
    assert (stream.rounding_error < one_by_one.rounding_error).all()
    assert Factor.from_blocks([], NAMES).rows == 0


@pytest.mark.parametrize("offset", [10**6, 10**9, 1_700_000_000])
@pytest.mark.parametrize("step", ["1", "0.125", "0.1"])
def test_columns_far_from_zero_keep_their_digits(offset: int, step: str) -> None:
    """Standard deviation against exact rationals of the same float64 values."""
    column = np.array([offset + float(step) * k for k in (3, 1, 4, 1, 5, 9, 2, 6)])
    exact = fractions(column)
    mean = sum(exact, Fraction(0)) / len(exact)
    variance = sum(((v - mean) ** 2 for v in exact), Fraction(0)) / len(exact)
    factor = Factor.from_block(column[:, None], ["t"])
    assert factor.std[0] ** 2 == pytest.approx(float(variance), rel=4e-15)
    halves = Factor.from_block(column[:3, None], ["t"]).merge(Factor.from_block(column[3:, None], ["t"]))
    assert halves.std[0] ** 2 == pytest.approx(float(variance), rel=4e-15)
    assert factor.means[0] == pytest.approx(float(mean), rel=3e-16)


def test_one_wild_first_row_does_not_cost_the_others_their_digits() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((1000, 1))
    values[0] = 1e12
    weights = np.ones(1000)
    weights[0] = 0
    factor = Factor.from_block(values, ["x"], weights)
    assert factor.std[0] == pytest.approx(values[1:].std(), rel=1e-14)


@given(tables(4, 20), st.permutations(NAMES), st.integers(0, 3))
def test_selecting_is_the_factor_of_those_columns(values: Any, order: list[str], count: int) -> None:
    chosen = order[:count]
    selected = Factor.from_block(values, NAMES).select(chosen)
    assert selected.columns == tuple(chosen)
    same(selected, values[:, [NAMES.index(name) for name in chosen]])


def test_selecting_everything_is_the_same_factor() -> None:
    factor = Factor.from_block(np.eye(3), NAMES)
    assert factor.select(NAMES) is factor


def test_centring_and_scaling() -> None:
    values = np.array([5, -3, 100]) + np.random.default_rng(1).normal(size=(50, 3))
    factor = Factor.from_block(values, NAMES)
    same(factor.center(), values - values.mean(axis=0))
    same(factor.center(["b"]), values - [0, values[:, 1].mean(), 0])
    same(factor.scale(np.array([2.0, 0.5, 8.0])), values / [2, 0.5, 8])
    assert (factor.center().column_error >= factor.column_error).all()  # what the offset cost is not forgotten


@pytest.mark.parametrize(
    ("values", "weights", "key"),
    [
        ([[1, 2, np.nan]], None, "block_not_finite"),
        ([[1, 2, -np.inf]], None, "block_not_finite"),
        ([[1, 2, 3]], [np.nan], "block_not_finite"),
        ([[1, 2, 1e200]], None, "too_large"),
        ([[1, 2]], None, "block_shape"),
        ([1, 2, 3], None, "block_shape"),
        (7.0, None, "block_shape"),
        ([[1, 2, 3]], [-1.0], "weights_negative"),
        ([[1, 2, 3]], [1.0, 1.0], "lengths"),
        ([["a", "b", "c"]], None, "dtype_unusable"),
        ([[1j, 2, 3]], None, "dtype_unusable"),
    ],
)
def test_a_bad_block_is_refused_whole(values: Any, weights: Any, key: str) -> None:
    factor = Factor.from_block(np.eye(3), NAMES)
    before = factor.R_centered.copy()
    with pytest.raises(DataError) as caught:
        factor.update(values, weights)
    assert caught.value.message.key == f"error.{key}"
    assert str(caught.value)
    np.testing.assert_array_equal(factor.R_centered, before)
    assert factor.rows == 3


def test_inputs_are_left_alone_and_may_be_of_any_real_type() -> None:
    values = np.arange(30).reshape(10, 3)
    for kind in (np.int8, np.uint64, np.float16, np.float32, np.float64, np.longdouble):
        given: Any = values.astype(kind)
        same(Factor.from_block(given, NAMES, np.ones(10)), values)
        np.testing.assert_array_equal(given, values)
    same(Factor.from_block(np.eye(3, dtype=bool), NAMES), np.eye(3))
    factor = Factor.from_block(np.asfortranarray(values.astype(float))[::-1], NAMES)
    same(factor, values)


def test_names() -> None:
    factor = Factor.from_block(np.eye(3), NAMES)
    with pytest.raises(DataError, match="no column"):
        factor.select(["a", "nothing"])
    with pytest.raises(DataError, match="no column"):
        factor.center(["nothing"])
    with pytest.raises(DataError, match="more than once"):
        factor.select(["a", "a"])
    with pytest.raises(DataError, match="more than once"):
        Factor.empty(["a", "a"])
    with pytest.raises(DataError, match="same columns"):
        factor.merge(Factor.empty(["a", "b"]))
    assert repr(factor) == "Factor(3 rows of a, b, y)"


def test_nothing_weighed_has_no_mean() -> None:
    with pytest.raises(DataError, match="no rows"):
        _ = Factor.empty(NAMES).means
    with pytest.raises(DataError, match="weights are zero"):
        _ = Factor.from_block(np.eye(3), NAMES, np.zeros(3)).std


def test_constant_is_what_rounding_could_have_made() -> None:
    values = np.array([[0.3, 5, 1e15], [0.1 + 0.2, 5, 1e15 + 1], [0.3, 5, 1e15]])
    assert Factor.from_block(values, NAMES).is_constant.tolist() == [True, True, False]


def test_memory_does_not_grow_with_the_rows() -> None:
    values = np.random.default_rng(0).random((200_000, 10))
    names = [f"x{j}" for j in range(10)]
    Factor.from_block(values[:10_000], names)  # what is imported on first use does not count
    peaks = []
    for n in (50_000, 200_000):
        tracemalloc.start()
        Factor.from_block(values[:n], names, np.ones(n))
        peaks.append(tracemalloc.get_traced_memory()[1] - 8 * n)  # the weights are input too
        tracemalloc.stop()
    assert peaks[1] < values.nbytes / 4
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.slow
@given(tables())
def test_saving_keeps_every_bit(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    path = tmp_path_factory.mktemp("factor") / "rows.factor"
    factor = Factor.from_block(values, ("온도", "b", "y "), np.full(len(values), 0.1))
    factor.save(path)
    loaded = Factor.load(path)
    assert (loaded.columns, loaded.rows, loaded.weight) == (factor.columns, factor.rows, factor.weight)
    for name in ("R_centered", "origin", "rounding_error"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(factor, name))


def test_a_file_that_is_not_a_factor_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.eye(3))
    for path in (tmp_path / "missing.factor", tmp_path, tmp_path / "array.npy"):
        with pytest.raises(DataError):
            Factor.load(path)


def test_other_archives_and_newer_formats_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, centred=np.eye(3))
    with pytest.raises(DataError, match="not a complete factor"):
        Factor.load(path)
    np.savez(path, columns=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="not a complete factor"):
        Factor.load(path)
    monkeypatch.setattr("descentlab.factor.factor.FACTOR_FORMAT", replace(FACTOR_FORMAT, version=7))
    Factor.from_block(np.eye(3), NAMES).save(path)
    monkeypatch.undo()
    with pytest.raises(DataError, match="format 7"):
        Factor.load(path)


def test_only_what_both_parts_hold_exactly_is_held_exactly_together() -> None:
    """The values of a shifted column are rounded relative to its shift, those of others relative to 0."""
    values = np.array([[1.0, 2.0, 5.0], [3.0, 1.0, 7.0]])
    first = Factor.from_block(values, NAMES).shift(np.array([1e15, 1e15, 0.0]))
    second = Factor.from_block(values + np.array([0.0, 1e15, 0.0]), NAMES).shift(np.array([1e15, 0.0, 0.0]))
    merged = first.merge(second)
    expected = [np.linalg.norm(merged.R_centered[:, 1]), *np.linalg.norm(merged.R[:, 2:], axis=0)]
    np.testing.assert_allclose(merged.value_error, np.array(expected) * 2.0**-53)


def test_selecting_adds_a_rounding_error() -> None:
    factor = Factor.from_block(np.random.default_rng(3).normal(size=(50, 3)), NAMES)
    assert (factor.select(["y", "a"]).rounding_error > factor.rounding_error[[2, 0]]).all()


def test_merging_keeps_the_rounding_errors_of_both_parts() -> None:
    rows = np.random.default_rng(5).normal(size=(50, 3))
    factor = replace(Factor.from_block(rows, NAMES), rounding_error=np.array([3.0, 4.0, 0.0]))
    other = replace(factor, rounding_error=np.array([4.0, 3.0, 1.0]))
    np.testing.assert_allclose(factor.merge(other).rounding_error, [5.0, 5.0, 1.0])


def test_the_arrays_of_a_factor_and_back() -> None:
    """What no rows can have is refused by the name of its field; the last bit of a weight may differ."""
    factor = Factor.from_block(np.array([[1.0, 2, 5], [3, 1, 7]]), NAMES, [0.1, 0.2]).shift(np.array([8.0, 0, 0]))
    stored = factor.to_arrays()
    again = Factor.from_arrays(stored)
    for name in ("columns", "rows", "weight"):
        assert getattr(again, name) == getattr(factor, name)
    for name in ("R_centered", "origin", "rounding_error", "shifted"):
        np.testing.assert_array_equal(getattr(again, name), getattr(factor, name))
    assert Factor.from_arrays(Factor.empty(NAMES).to_arrays()).rows == 0
    R = factor.R_centered
    wrong: list[tuple[str, Any]] = [
        ("rows", 0),
        ("centred", R[:3, :3]),
        ("centred", R + np.eye(4, k=-1)),
        ("centred", np.diag([-1.0, 0, 0, 0]) + R * [[0.0], [1], [1], [1]]),
        ("origin", np.zeros(4)),
        ("rounding", np.full(3, -1e-300)),
        ("rounding", np.zeros(2)),
        ("weight", factor.weight * (1 + 1e-9)),
        ("shifted", np.zeros(2, bool)),
    ]
    for name, value in wrong:
        with pytest.raises(ValueError, match="centred" if name == "rows" else name):
            Factor.from_arrays({**stored, name: value})


@pytest.mark.parametrize(("k", "fits"), [(100, True), (101, False)])
def test_a_triangle_that_is_just_too_large_is_refused(k: int, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.factor.limits.MAX_FACTOR_BYTES", 8 * 101**2)
    if fits:
        assert len(Factor.empty([f"x{j}" for j in range(k)]).columns) == k
        return
    with pytest.raises(DataError) as caught:
        Factor.empty([f"x{j}" for j in range(k)])
    assert caught.value.message.values["most"] == 100
    assert caught.value.message.values["gigabytes"] == pytest.approx(8 * 102**2 / 1e9)


def test_factors_of_one_formula_merge_by_their_levels() -> None:
    rows = pa.table({"y": [1.0, 2, 4, 3, 7], "u": [1.0, 3, 2, 5, 4], "a": ["p", "q", "q", "r", "p"]})

    def factor_of(table: Any, formula: str = "y ~ u + a") -> Factor:
        request = request_design(formula, None, True, None)
        return build_factor(ColumnSelection(table, None, None, None, None, "error", {}, None, request))

    first, second = factor_of(rows.slice(0, 3)), factor_of(rows.slice(3))
    merged, whole = first.merge(second), factor_of(rows)
    assert (merged.columns, merged.rows, merged.design) == (whole.columns, 5, whole.design)
    np.testing.assert_allclose(merged.R.T @ merged.R, whole.R.T @ whole.R, atol=1e-12)
    assert (merged.rounding_error[[0, -1]] >= first.rounding_error[[0, -1]]).all()
    with pytest.raises(DataError) as caught:
        first.merge(factor_of(rows, "y ~ u:a"))
    assert caught.value.message.key == "error.merge_terms"
