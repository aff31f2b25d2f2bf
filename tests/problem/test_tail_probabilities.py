"""Tails of t and F against closed forms, also where the probability is 1e-300."""

from __future__ import annotations

import math

import numpy as np
import pytest

from descentlab.problem.tail_probabilities import f_upper_tail, student_quantile, student_two_sided


@pytest.mark.parametrize("t", [1e-9, 0.3, 1.0, 4.0, 1e3, 1e9, 1e100])
def test_student_with_one_and_two_degrees_of_freedom(t: float) -> None:
    """``df`` 1: an arc tangent; 2: a root, written without a difference."""
    assert student_two_sided(t, 1) == pytest.approx(2 / math.pi * math.atan2(1, t), rel=1e-11)
    root = math.hypot(t, math.sqrt(2))
    assert student_two_sided(t, 2) == pytest.approx(2 / root / (root + t), rel=1e-11)


@pytest.mark.parametrize("df", [4.0, 100.0, 1e4, 1e7])
@pytest.mark.parametrize("f", [1e-6, 0.5, 1.0, 3.0, 50.0, 1e6])
def test_f_with_two_degrees_of_freedom(f: float, df: float) -> None:
    """``(1 + 2 f / df)^(-df / 2)``"""
    expected = math.exp(-df / 2 * math.log1p(2 * f / df))
    assert f_upper_tail(f, 2, df) == pytest.approx(expected, rel=1e-9, abs=0)


def test_a_tail_is_zero_only_below_the_smallest_float() -> None:
    assert 0 < student_two_sided(37.0, 1e6) < 1e-298
    assert student_two_sided(60.0, 1e6) == 0
    assert np.isnan(student_two_sided(np.nan, 3))
    assert np.isnan(student_two_sided([1.0], 0)).all()


@pytest.mark.parametrize("level", [0.5, 0.95, 1 - 1e-12])
@pytest.mark.parametrize("df", [1.0, 12.7, 1e7])
def test_the_quantile_is_where_the_tail_is(level: float, df: float) -> None:
    assert student_two_sided(student_quantile(level, df), df) == pytest.approx(1 - level, rel=1e-10)
