"""Rows as they come: any cuts give the bits that one array gives."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descentlab.data.source import BLOCK_ROWS
from descentlab.errors import DataError
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import IncrementalFactor
from descentlab.problem.problem import Problem

N = 3 * BLOCK_ROWS + 500


def table(n: int = N) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    values = rng.standard_normal((n, 3)) * [1, 10, 1e3] + [0, 1e5, -20]
    return values, rng.integers(0, 3, n).astype(float)


def same(found: Factor, expected: Factor) -> None:
    np.testing.assert_array_equal(found.R_centered, expected.R_centered)
    np.testing.assert_array_equal(found.origin, expected.origin)
    assert (found.rows, found.weight, found.columns) == (expected.rows, expected.weight, expected.columns)
    np.testing.assert_array_equal(found.rounding_error, expected.rounding_error)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, N), max_size=6), st.booleans(), st.integers(1, N))
def test_any_cuts_give_the_bits_of_one_array(cuts: list[int], weighted: bool, n: int) -> None:
    values, weights = table(n)
    given_weights = weights + 0.5 if weighted else None
    gathered = IncrementalFactor(("a", "b", "y"))
    ends = [0, *sorted(min(cut, n) for cut in cuts), n]
    for start, stop in itertools.pairwise(ends):
        gathered.add(values[start:stop], None if given_weights is None else given_weights[start:stop])
        gathered.result()  # looking changes nothing
    same(gathered.result(), Problem(values[:, :2], values[:, 2], features=["a", "b"], weights=given_weights).factor)


def test_rows_without_weights_have_weight_1() -> None:
    values, _ = table(BLOCK_ROWS + 10)
    mixed, plain = IncrementalFactor(("a", "b", "y")), IncrementalFactor(("a", "b", "y"))
    mixed.add(values[:5])
    mixed.add(values[5:], np.ones(len(values) - 5))
    plain.add(values)
    same(mixed.result(), plain.result())


@pytest.mark.parametrize("bad", [2, BLOCK_ROWS - 1, 2 * BLOCK_ROWS, N - 1])
def test_a_bad_row_leaves_everything_as_it_was(bad: int) -> None:
    values, _ = table()
    gathered = IncrementalFactor(("a", "b", "y"))
    gathered.add(values[:100])
    before = gathered.result()
    wrong = values.copy()
    wrong[bad, 1] = np.inf
    for part in (wrong[: bad + 1], wrong):
        with pytest.raises(DataError):
            gathered.add(part)
    same(gathered.result(), before)
    gathered.add(values[100:])
    same(gathered.result(), Problem(values[:, :2], values[:, 2], features=["a", "b"]).factor)


def test_what_the_caller_does_to_its_rows_later_changes_nothing() -> None:
    values, weights = table()
    gathered = IncrementalFactor(("a", "b", "y"))
    gathered.add(values, weights)
    before = gathered.result()
    values[:], weights[:] = 7, 7
    same(gathered.result(), before)


def test_few_triangles_and_fewer_than_a_block_of_rows_are_held() -> None:
    values, _ = table()
    gathered = IncrementalFactor(("a", "b", "y"))
    for part in np.array_split(values, 40):
        gathered.add(part)
    assert len(pickle.dumps(gathered)) < 500 * 3 * 8 + 4000
    same(pickle.loads(pickle.dumps(gathered)).result(), gathered.result())


def test_no_rows_are_the_empty_factor() -> None:
    gathered = IncrementalFactor(("a", "y"))
    gathered.add(np.empty((0, 2)))
    same(gathered.result(), Factor.empty(("a", "y")))


def test_it_counts_its_rows_across_blocks() -> None:
    factor, values = IncrementalFactor("abc"), np.zeros((BLOCK_ROWS + 5, 3))
    for count in (1, 2):
        factor.add(values)
        assert factor.rows == factor.result().rows == count * len(values)
