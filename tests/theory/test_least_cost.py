"""What may be said of a cost near the least one, where rounding hides it."""

from __future__ import annotations

import numpy as np
import pytest

import descentlab as dl
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.least_cost import LeastCost

X = [1, 2, 3, 4]
FAR, NEAR = (dl.Problem(X, [o + 1, o + 2, o + 3 + 4e-7, o + 4], standardize=True) for o in (10_000_000, 0))


def test_between_the_tolerances_rounding_decides() -> None:
    least = LeastCost(1.0, 0.1, 0.01, 0.0)
    sure, possible = least.sure_tolerance(0.04), least.possible_tolerance(0.04)
    assert np.isclose(sure, (np.sqrt(0.036) - 0.01) ** 2)
    assert np.isclose(possible, (np.sqrt(0.044) + 0.01) ** 2)
    assert not least.decides(0.04)
    assert not LeastCost(0.0, 0.0, 0.0, 0.0).decides(0.01)  # nothing is within 1% of 0
    assert not LeastCost(1.0, np.inf, 0.0, 0.0).decides(0.01)


def test_coefficients_decide_where_rounding_hides_the_cost() -> None:
    far, near = (FullBatchTheory(each, dl.Descent(lr=0.4)) for each in (FAR, NEAR))
    assert far.judges_coefficients()
    assert not far.judges_coefficients(within=10.0)
    assert not near.judges_coefficients()
    assert far.most_rounded_column == "y"


def test_the_ending_says_what_is_known() -> None:
    ending = dl.descend(FAR, lr=0.4, epochs=4).ending.text("en")
    assert "known to 2 digits only (2.8e-14)" in ending
    assert "2.8e-14" in dl.descend(NEAR, lr=0.4, epochs=8).ending.text("en")
    assert "hidden_cost" in [each.name for each in dl.diagnose(FAR, lr=0.4).findings]


def test_no_digit_is_claimed_of_columns_that_a_tiny_penalty_tells_apart() -> None:
    """One row and a ridge: the weight is 0 and the bias the target, however far the column is from zero."""
    minimum = dl.Problem([[9007197922912238.0]], [-16.0], ridge=1e-6).solve()
    assert minimum.min_digits == 0


@pytest.mark.parametrize(
    ("least", "suboptimality", "digits"),
    [
        (LeastCost(1.0, 0.0, 0.0, 0.4e-3), 2.0, 4),  # 2 * 0.4e-3 = 0.8e-3
        (LeastCost(1.0, 0.0, 0.0, 0.6e-3), 2.0, 3),  # 1.2e-3
        (LeastCost(1.0, 0.0, 0.8e-3, 0.0), 4.0, 4),  # 2 * 0.8e-3 / sqrt(4)
        (LeastCost(2.0, 0.016, 0.0, 0.0), 1.0, 3),  # 0.016 / 2
        (LeastCost(2.0, np.inf, 0.0, 0.4e-3), 1.0, 4),
        (LeastCost(0.0, 0.0, 0.0, 0.4e-3), 1.0, 4),
        (LeastCost(1.0, 0.0, 0.5, 0.0), 1.0, 0),
        (LeastCost(1.0, 0.0, 0.45, 0.0), 1.0, 1),
        (LeastCost(1.0, 0.0, 0.1, 0.0), 0.0, 0),
    ],
)
def test_digits_of_a_suboptimality(least: LeastCost, suboptimality: float, digits: int) -> None:
    assert least.certain_suboptimality_digits(suboptimality) == digits


def test_a_fifth_of_the_tolerance_may_be_undecided() -> None:
    """With e alone, the tolerances are w / (1 + e)^2 and w / (1 - e)^2: a fifth apart where e is (1 - q) / (1 + q),
    q^2 = 0.8."""
    q = np.sqrt(0.8)
    edge = float((1 - q) / (1 + q))
    assert LeastCost(3.0, 0.0, 0.0, 0.999 * edge).decides(0.01)
    assert not LeastCost(3.0, 0.0, 0.0, 1.001 * edge).decides(0.01)
    assert LeastCost(3.0, 0.0, 0.0, 1.0).possible_tolerance(0.01) == np.inf
    assert LeastCost(3.0, 4.0, 0.0, 0.0).sure_tolerance(0.01) == 0
