"""The closed form of an error's course, against the recursion walked in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from descentlab.descent import recursion
from descentlab.descent.residual_polynomial import ResidualPolynomial

SETTINGS = [
    {"momentum": 0.0, "dampening": 0.0, "nesterov": False},
    {"momentum": 0.5, "dampening": 0.0, "nesterov": False},
    {"momentum": 0.9, "dampening": 0.0, "nesterov": False},
    {"momentum": 0.9, "dampening": 0.5, "nesterov": False},
    {"momentum": 0.9, "dampening": 1.0, "nesterov": False},
    {"momentum": 1.0, "dampening": 0.0, "nesterov": False},
    {"momentum": 0.9, "dampening": 0.0, "nesterov": True},
    {"momentum": 0.999, "dampening": 0.0, "nesterov": True},
]


def walked(x: float, epochs: int, momentum: float, dampening: float, nesterov: bool) -> list[Fraction]:
    """The error after 0 .. epochs updates of torch's own recursion, without any rounding."""
    exact_x, mu, tau = Fraction(x), Fraction(momentum), Fraction(dampening)
    e, m, seen = Fraction(1), Fraction(0), [Fraction(1)]
    for update in range(epochs):
        gradient = exact_x * e
        m = gradient if update == 0 or not mu else mu * m + (1 - tau) * gradient
        e -= gradient + mu * m if nesterov else m
        seen.append(e)
    return seen


def double_roots(momentum: float, nesterov: bool) -> list[float]:
    mu = momentum
    if nesterov:
        return [((1 - mu) / (1 + mu)) ** 2, 1.0]
    return [(1 - mu**0.5) ** 2, (1 + mu**0.5) ** 2]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("part", [1e-12, 1e-5, 0.1, 0.4, 0.5, 0.75, 0.999, 1.0, 1.001, 1.7])
def test_it_is_the_recursion(settings: recursion.MomentumSettings, part: float) -> None:
    bound = recursion.stability_limit(**settings)
    x = part * (bound if np.isfinite(bound) else 4.0)
    exact = walked(x, 60, **settings)
    found = ResidualPolynomial.from_lr_times_curvature(np.array([x]), **settings).evaluate(np.arange(61)[:, None])[:, 0]
    size = np.maximum.accumulate(np.abs([float(e) for e in exact]))
    np.testing.assert_allclose(found, [float(e) for e in exact], rtol=0, atol=4e-13 * size.max(), err_msg=str(x))
    # What an error has lost is known to its own digits while little of it is lost.
    lost = np.array([float(1 - e) for e in exact])
    if part == 1e-12:
        np.testing.assert_allclose(1 - found, lost, rtol=0, atol=1e-14)


@pytest.mark.parametrize("settings", [each for each in SETTINGS if 0 < each["momentum"] < 1 and not each["dampening"]])
def test_it_keeps_its_digits_where_the_roots_meet(settings: recursion.MomentumSettings) -> None:
    for x in double_roots(settings["momentum"], settings["nesterov"]):
        for near in (x, np.nextafter(x, 0), np.nextafter(x, 9), x * (1 + 1e-10), x * (1 - 1e-10)):
            exact = [float(e) for e in walked(near, 40, **settings)]
            found = ResidualPolynomial.from_lr_times_curvature(np.array([near]), **settings).evaluate(
                np.arange(41)[:, None]
            )[:, 0]
            np.testing.assert_allclose(found, exact, rtol=0, atol=1e-7 * np.abs(exact).max())


def test_far_epochs_cost_nothing_and_stay_exact() -> None:
    x = 1e-9
    found = float(ResidualPolynomial.from_lr_times_curvature(np.array([x])).log_modulus[0] * 1e9)
    assert found == pytest.approx(-1 - x / 2, rel=1e-15)
    late = ResidualPolynomial.from_lr_times_curvature(np.array([x])).evaluate(np.array([10**9]))
    assert late[0] == pytest.approx(float(np.exp(-1 - x / 2)), rel=1e-14)


def test_shrunk_values_go_on_where_float64_ends() -> None:
    response = ResidualPolynomial.from_lr_times_curvature(np.array([3.0]))
    assert response.evaluate(np.array([2000]))[0] == np.inf
    shrunk = response.evaluate(np.array([2000]), log_divisor=2000 * np.log(2.0))
    assert shrunk[0] == pytest.approx(1.0, rel=1e-12)


@given(
    part=st.floats(1e-9, 0.9999),
    momentum=st.floats(0.0, 0.9999),
    form=st.sampled_from(["heavy ball", "nesterov", "dampened"]),
)
@example(part=0.5, momentum=2e-100, form="dampened")  # both roots are 0: h(1) is not, all later ones are
def test_the_envelope_bounds_the_error_and_never_rises(part: float, momentum: float, form: str) -> None:
    settings = recursion.MomentumSettings(
        momentum=momentum,
        dampening=0.3 if form == "dampened" and momentum else 0.0,
        nesterov=form == "nesterov" and momentum > 0,
    )
    x = part * recursion.stability_limit(**settings)
    response = ResidualPolynomial.from_lr_times_curvature(np.array([x]), **settings)
    t = np.unique(np.geomspace(1, 1e6, 400).astype(int))[:, None]
    envelope = response.upper_envelope(t)[:, 0]
    assert np.all(np.diff(envelope) <= 1e-12 * envelope[:-1])
    assert np.all(np.abs(response.evaluate(t)[:, 0]) <= envelope * (1 + 1e-9) + 1e-300)


def test_an_error_that_never_shrinks_stays_below_its_envelope() -> None:
    """With a momentum of 1 the roots lie on the unit circle."""
    response = ResidualPolynomial.from_lr_times_curvature(np.array([0.5]), momentum=1.0)
    errors = np.abs(response.evaluate(np.arange(200)[:, None]))
    assert errors.max() > 1.05
    assert errors.max() <= response.upper_envelope(np.zeros((1, 1)))[0, 0] < 1.1
