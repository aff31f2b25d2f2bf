"""The page's numbers are the doctor's numbers: model.js under V8 against the Python engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent import recursion as stability
from descentlab.descent.recursion import MomentumSettings
from descentlab.descent.reductions import gradient_scale
from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.doctor.forecast import forecast
from descentlab.theory.learning_rates import fastest_rate, minimax_heavy_ball, minimax_rate
from descentlab.theory.overflow import overflow_updates
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.typing import FloatArray
from tests.lab.cases import EASY, HARD, REDUCTIONS, STEPS, UPDATES, Case, deviations, rows_of
from tests.lab.v8 import Page

EXACT = 1e-12
EARLY = [n for n in UPDATES if n <= 3]  # so many updates later, what the rate's last digit is has hardly mattered
# After t updates a last digit of the rate weighs t times as much: late numbers are held to what four roundings of
# Python's own input make of them, times what its powers of the update may lose beside that where errors barely shrink.
ROUNDING = 100
RATES = (0.01, 0.4, 1.0, 1.99, 2.0, 2.3, 3.9, 4.1)
MAKE = "kept.p = model.makeProblem(data, hypothesis), kept.t = model.makeTheory(kept.p, settings), null"
NUMBERS = """(() => {
  const t = kept.t, all = updates.map((n) => model.at(t, n));
  return {
    curvature: t.curvature, bound: [t.bound], condition: [t.condition], goal: t.goal, "least cost": [t.leastCost],
    factor: [Math.abs(t.growing.factor)], gap: [t.growing.gap], params: all.map((each) => each.params),
    cost: all.map((each) => each.cost), "gradient norm": all.map((each) => each.gradientNorm),
    fits: t.fitsExactly, rank: t.rank, diverges: t.diverges,
  };
})()"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.close()


def make(page: Page, case: Case) -> None:
    page(MAKE, data=case.data(), hypothesis=case.hypothesis(), settings=case.settings())


def compared(page: Page, case: Case) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """How far the page is from Python, and how far Python is from itself where its input is rounded otherwise."""
    make(page, case)
    found, expected = page(NUMBERS, updates=list(UPDATES)), case.numbers()
    theory, sizes = case.theory, case.sizes(expected)
    assert (found["fits"], found["rank"]) == (theory.fits_exactly, theory.spectrum.rank)
    assert found["diverges"] == theory.diverges
    moved = [deviations(case.moved(seed).numbers(), expected, sizes) for seed in range(4)]
    return deviations(found, expected, sizes), {name: np.max([each[name] for each in moved], axis=0) for name in sizes}


@pytest.mark.slow
@pytest.mark.parametrize("i", range(112))
def test_numbers_are_those_of_python(page: Page, i: int) -> None:
    told, rounding = compared(page, Case.number(i, EASY))
    for name, off in told.items():
        late = name in ("params", "cost", "gradient norm")
        assert (off[: len(EARLY)] if late else off).max(initial=0.0) <= EXACT, name
        allowed = np.maximum(EXACT, ROUNDING * rounding[name])
        assert (off <= allowed).all(), (name, off, allowed)


@pytest.mark.slow
@pytest.mark.parametrize("i", range(56))
def test_columns_far_apart_or_nearly_dependent_lose_no_more_than_rounding_takes(page: Page, i: int) -> None:
    """Directions whose columns all but cancel have, in any algorithm, only the digits that cancelling leaves them."""
    case = Case.number(i, HARD)
    told, rounding = compared(page, case)
    A = case.problem.quadratic.A
    unit = A / np.linalg.norm(A, axis=0)
    lost = 20 * float(np.linalg.cond(unit)) * 2.0**-53
    for name, off in told.items():
        assert (off <= np.maximum(EXACT + lost, ROUNDING * rounding[name])).all(), (name, off, rounding[name])


@pytest.mark.slow
@pytest.mark.parametrize("i", range(90))
def test_epochs_and_verdicts_are_those_of_python(page: Page, i: int) -> None:
    case = Case.number(i, (*EASY, "graded"))
    make(page, case)
    theory, aim, recursion = case.theory, ConvergenceCriterion.from_theory(case.theory), case.descent.momentum_settings
    if not theory.diverges:
        assert page("model.settled(kept.t)") == aim.epochs_to_tolerance(case.descent.lr, recursion)
    assert page("model.overflow(kept.t)") == overflow_updates(theory)
    for epochs in (1, 10, 100, 1000):
        told = forecast(replace(theory, descent=replace(case.descent, epochs=epochs)), aim, 0.01).verdict
        assert page("model.verdict(kept.t, epochs)", epochs=epochs) == str(told)
    best, own = page("model.fastest(kept.t)"), fastest_rate(aim, theory.regularized_lambda_max, recursion)
    assert (best is None) == (own is None)
    if own is not None and own.epochs is not None:
        assert abs(best["epochs"] - own.epochs) <= max(1, 1e-3 * own.epochs)
        assert best["momentum"] == own.momentum


@pytest.mark.parametrize("i", range(0, 40, 3))
def test_the_textbooks_rates(page: Page, i: int) -> None:
    case = Case.number(i, EASY)
    make(page, case)
    theory, aim = case.theory, ConvergenceCriterion.from_theory(case.theory)
    polyak = minimax_heavy_ball(aim, theory.regularized_lambda_max, theory.regularized_lambda_min)
    assert page("model.textbook(kept.t).lr") == pytest.approx(
        minimax_rate(aim, theory.regularized_lambda_max, theory.regularized_lambda_min).lr, rel=EXACT
    )
    assert page("model.heavyBall(kept.t)") == pytest.approx({"lr": polyak.lr, "momentum": polyak.momentum}, rel=1e-11)


@pytest.mark.parametrize("i", range(0, 80, 3))
def test_a_path_is_made_of_the_points_on_it(page: Page, i: int) -> None:
    case = Case.number(i, EASY)
    make(page, case)
    ts = [*range(60), 75, 90, 200]
    path, points = page("[model.path(kept.t, ts), ts.map((t) => model.at(kept.t, t))]", ts=ts)
    size = np.abs([each["params"] for each in points]).max(axis=1)
    off = np.abs(np.array(path["params"]) - [each["params"] for each in points]).max(axis=1)
    assert (off <= EXACT * (size + size[0] + 1)).all()


@pytest.mark.parametrize("i", range(0, 80, 3))
def test_near_is_what_python_says(page: Page, i: int) -> None:
    case = Case.number(i, EASY)
    make(page, case)
    theory, rng = case.theory, np.random.default_rng(i)
    spread = np.abs(theory.limit_point).max()
    for part in (1e-4, 1e-3, 1e-2, 0.1, 1.0):
        at = theory.limit_point + part * spread * rng.normal(size=len(theory.limit_point))
        assert page("model.near(kept.t, at)", at=at.tolist()) == bool(theory.is_converged(at))


@pytest.mark.parametrize("kind", [*EASY, "far", "years"])
def test_a_factor_of_rows_is_that_of_python(page: Page, kind: str) -> None:
    for seed in range(5):
        X, y, _ = rows_of(kind, np.random.default_rng(seed))
        rows = np.column_stack([X, y])
        factor = dl.Factor.from_block(rows, [f"c{j}" for j in range(rows.shape[1])])
        found = page("model.factorOf(rows)", rows=rows.tolist())
        C, k = np.zeros((rows.shape[1],) * 2), rows.shape[1]
        for i, row in enumerate(found["triangle"]):
            C[i, i:] = row
        np.testing.assert_allclose(found["means"], factor.means, rtol=1e-15, atol=1e-15)
        # C'C, since below a dependent column a triangle's rows are what rounding makes them; far values have few digits
        length = np.linalg.norm(factor.R_centered[1:, 1:], axis=0) + 1e-3 * np.linalg.norm(rows, axis=0) / 1e3
        expected = factor.R_centered[1:, 1:].T @ factor.R_centered[1:, 1:]
        assert (np.abs(C.T @ C - expected) <= 1e-13 * np.outer(length, length)).all()
        if kind in ("normal", "exact", "wide", "far", "years"):
            sure = slice(None, k - 1)  # an exact fit leaves nothing below
            np.testing.assert_allclose(C[sure, sure], factor.R_centered[1:, 1:][sure, sure], atol=1e-13 * length.max())
        assert (found["rows"], found["weight"]) == (len(rows), len(rows))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("hypothesis", [{}, {"bias": False}, {"standardize": True, "ridge": 0.2}])
def test_a_step_in_its_parts_is_the_loop_by_hand(page: Page, reduction: str, hypothesis: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    X, y, _ = rows_of("normal", rng)
    problem = dl.Problem(X, y, **hypothesis)
    case = Case(problem, dl.Descent(lr=0.07, reduction=reduction, weight_decay=0.1))
    make(page, case)
    p = rng.normal(size=len(problem.parameters))
    Z = np.column_stack([problem.scaled_rows().X, *([np.ones(len(X))] if problem.bias else [])])
    c, ridge = gradient_scale(reduction, len(X)), problem.quadratic.penalty
    gradient = c * (Z.T @ (Z @ p - y) + len(X) * ridge * p)
    found = page("model.microStep(points, kept.p, p, kept.t.settings)", points=np.c_[X, y].tolist(), p=p.tolist())
    np.testing.assert_allclose(found["predictions"], Z @ p, rtol=EXACT, atol=EXACT)
    np.testing.assert_allclose(found["products"], (Z @ p - y)[:, None] * Z, rtol=EXACT, atol=EXACT)
    np.testing.assert_allclose(found["sums"], Z.T @ (Z @ p - y), rtol=1e-11)
    np.testing.assert_allclose(found["gradient"], gradient, rtol=1e-11)
    np.testing.assert_allclose(found["next"], p - 0.07 * (gradient + 0.1 * p), rtol=1e-11)
    np.testing.assert_allclose(page("model.gradientOf(kept.p, p, r)", p=p.tolist(), r=reduction), gradient, rtol=1e-11)
    assert page("model.costOf(kept.p, p)", p=p.tolist()) == pytest.approx(np.mean((Z @ p - y) ** 2), rel=EXACT)
    units = problem.scaling.to_original(p)
    np.testing.assert_allclose(page("model.toUnits(kept.p, p)", p=p.tolist()), units, rtol=EXACT)
    np.testing.assert_allclose(page("model.fromUnits(kept.p, p)", p=units.tolist()), p, rtol=1e-11)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_one_direction_is_stepped_as_in_python(page: Page, step: dict[str, Any]) -> None:
    recursion: MomentumSettings = dl.Descent(lr=1.0, **step).momentum_settings
    x = np.array([1e-12, 1e-5, *RATES])
    found = page(
        "({ limit: model.limit(r), growth: x.map((each) => model.growth(each, r)),"
        " gap: x.map((each) => model.gap(each, r)), response: model.response(x, r),"
        " at: ts.map((t) => model.response(x, r).at(t)) })",
        x=x.tolist(),
        r=dict(recursion),
        ts=[0, 1, 2, 9, 100],
    )
    own = ResidualPolynomial.from_lr_times_curvature(x, **recursion)
    assert found["limit"] == stability.stability_limit(**recursion)
    np.testing.assert_allclose(found["growth"], stability.convergence_factor(x, **recursion), rtol=1e-14)
    np.testing.assert_allclose(
        found["gap"], stability.one_minus_convergence_factor(x, **recursion), rtol=1e-14, atol=1e-15
    )
    for name, expected in (("swings", own.oscillates), ("grows", own.diverges), ("stands", own.is_marginal)):
        assert found["response"][name] == expected.tolist()
    np.testing.assert_allclose(found["at"], own.evaluate(np.array([0, 1, 2, 9, 100])[:, None]), rtol=EXACT, atol=EXACT)


def test_what_leaves_float64_is_infinite(page: Page) -> None:
    case = Case.of("normal", "bias", {}, "mean", 2.5, seed=1)
    make(page, case)
    found = page("model.at(kept.t, 1e6)")
    assert found["cost"] == np.inf
    assert not np.isfinite(found["params"]).any()
    assert page("model.path(kept.t, [0, 1e6]).cost[1]") == np.inf


def test_a_settled_descent_past_its_bound_is_none(page: Page) -> None:
    make(page, Case.of("normal", "bias", {}, "mean", 1.05, seed=1))
    assert page("model.settled(kept.t)") is None
    assert page("model.verdict(kept.t, 10)") == "diverges"


@pytest.mark.parametrize("step", STEPS[:6], ids=str)
def test_what_has_hardly_begun_to_move_has_all_its_digits(page: Page, step: dict[str, Any]) -> None:
    problem = dl.Problem([1.0, 2.0, 4.0], [2.0, 3.0, 9.0], bias=False)
    case = Case(problem, dl.Descent(lr=1e-14, **step))
    make(page, case)
    params = case.numbers()["params"][:, 0]
    found = [each["params"][0] for each in page("updates.map((t) => model.at(kept.t, t))", updates=list(UPDATES))]
    np.testing.assert_allclose(found, params, rtol=EXACT)
    np.testing.assert_allclose(page("model.path(kept.t, ts).params", ts=list(UPDATES)), params[:, None], rtol=EXACT)


def test_slow_directions_beside_a_momentum_near_1_keep_their_digits(page: Page) -> None:
    x, ts = [1e-19, 1e-18], [1, 10**6, 10**8, 10**9, 10**10]
    recursion = MomentumSettings(momentum=1 - 1e-9, dampening=0.0, nesterov=False)
    found = page("ts.map((t) => model.response(x, r).at(t))", x=x, r=dict(recursion), ts=ts)
    np.testing.assert_allclose(
        found,
        ResidualPolynomial.from_lr_times_curvature(np.array(x), **recursion).evaluate(np.array(ts)[:, None]),
        rtol=1e-14,
    )
