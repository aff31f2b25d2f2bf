"""Growth and bounds against the eigenvalues of the 2x2 recursion, and against a loop that walks it."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descentlab.descent import recursion as stability

SETTINGS = [
    {},
    {"momentum": 0.5},
    {"momentum": 0.9},
    {"momentum": 0.99},
    {"momentum": 0.9, "dampening": 0.4},
    {"momentum": 0.3, "dampening": 0.9},
    {"momentum": 0.5, "nesterov": True},
    {"momentum": 0.9, "nesterov": True},
]


def recursion(x: float, momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False) -> Any:
    """One step of (error, buffer times lr) as ``torch.optim.SGD`` takes it, from its documentation."""
    if momentum == 0:
        return np.array([[1 - x, 0.0], [0.0, 0.0]])
    buffer = np.array([(1 - dampening) * x, momentum])
    step = np.array([x, 0.0]) + momentum * buffer if nesterov else buffer
    return np.array([np.array([1.0, 0.0]) - step, buffer])


def after(steps: int, x: float, **settings: Any) -> float:
    """The size of an error of 1 after so many steps, or once it is above 1e6."""
    step, state = recursion(x, **settings), np.array([1.0, 0.0])
    for _ in range(steps):
        state = step @ state
        if np.abs(state).max() > 1e6:
            break
    return float(np.abs(state).max())


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_errors_shrink_below_the_bound_and_grow_above_it(settings: dict[str, Any]) -> None:
    limit = stability.stability_limit(**settings)
    assert after(20_000, 0.999 * limit, **settings) < 1e-3
    assert after(20_000, 1.001 * limit, **settings) > 1e3


@given(
    st.floats(1e-6, 6.0),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999, 1.0, 1.2]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.booleans(),
)
def test_growth_is_the_dominant_eigenvalue(x: float, momentum: float, dampening: float, nesterov: bool) -> None:
    nesterov = nesterov and dampening == 0
    roots = np.linalg.eigvals(recursion(x, momentum, dampening, nesterov))
    dominant = roots[np.argmax(np.abs(roots))]
    growth = float(stability.convergence_factor(np.array(x), momentum, dampening, nesterov))
    assert abs(growth) == pytest.approx(abs(dominant), abs=1e-7)  # a double root is found to half the digits
    if abs(dominant.imag) < 1e-12 and abs(abs(roots[0]) - abs(roots[1])) > 1e-6:
        assert math.copysign(1, growth) == math.copysign(1, dominant.real)


@given(
    st.floats(1e-18, 0.5),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999, 1.0, 1.2]),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
)
def test_the_gap_to_one_keeps_its_digits(x: float, momentum: float, dampening: float, nesterov: bool) -> None:
    """Against the quadratic formula with 60 digits."""
    nesterov = nesterov and dampening == 0
    with localcontext(prec=60):
        mu, pull = Decimal(momentum), Decimal(x) * (1 - Decimal(dampening))
        trace = (1 + mu) * (1 - Decimal(x)) if nesterov else 1 + mu - pull
        determinant = mu * (1 - Decimal(x)) if nesterov else mu
        discriminant = trace**2 - 4 * determinant
        if discriminant < 0 or trace < 0:
            return  # it swings: nothing to compare near 1
        truth = 1 - (trace + discriminant.sqrt()) / 2 if momentum else Decimal(x)
        close = discriminant < Decimal("1e-6")  # near a double root half the digits are gone in any case
    gap = float(stability.one_minus_convergence_factor(np.array([x]), momentum, dampening, nesterov)[0])
    assert gap == pytest.approx(float(truth), rel=1e-6 if close else 1e-9, abs=1e-7 if close else 0)


def test_no_pull_no_gap() -> None:
    for momentum in (0.0, 0.9, 1.0):
        assert stability.one_minus_convergence_factor(np.zeros(2), momentum).tolist() == [0.0, 0.0]


def test_plain_growth_by_hand() -> None:
    np.testing.assert_array_equal(
        stability.convergence_factor(np.array([0.0, 0.5, 1.0, 1.4, 2.0, 2.8])), 1 - np.array([0, 0.5, 1, 1.4, 2, 2.8])
    )


def test_momentum_one_swings_for_ever() -> None:
    x = np.array([1e-12, 1e-3, 0.1, 1.0, 3.0, 3.999])
    np.testing.assert_allclose(np.abs(stability.convergence_factor(x, momentum=1.0)), 1.0, rtol=0, atol=1e-15)
    assert stability.stability_limit(1.0) == 4.0
    assert after(10_000, 1.0, momentum=1.0) < 3
    assert after(10_000, 4.004, momentum=1.0) > 1e3


def test_more_momentum_than_one_has_no_bound_below_which_all_is_well() -> None:
    assert stability.stability_limit(1.1) == 0.0
    assert stability.stability_limit(1.1, nesterov=True) == pytest.approx(2 * 2.1 / 3.2)  # too small a rate grows, too
    for nesterov in (False, True):
        assert abs(float(stability.convergence_factor(np.array(1e-3), 1.1, nesterov=nesterov))) > 1


def test_full_dampening_never_diverges() -> None:
    assert stability.stability_limit(0.9, dampening=1.0) == math.inf
    assert float(stability.convergence_factor(np.array(1e6), 0.9, dampening=1.0)) == 1.0
    assert stability.stability_limit(0.0, dampening=1.0) == 2.0  # without momentum, dampening does nothing in torch
