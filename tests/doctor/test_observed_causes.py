"""Loops with a mistake in their update or their columns, run as they would be, and the name that each is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.finding import Finding
from descentlab.doctor.observed.compare import compare_observed

EPOCHS = 15


class Case:
    """Data of one or several features, a stated descent, and the loop that is to be spoilt."""

    def __init__(self, seed: int, features: int = 1, bias: bool = True, part: float = 0.3) -> None:
        rng = np.random.default_rng(seed)
        self.n = int(rng.integers(6, 30))
        self.X = rng.normal(size=(self.n, features)) * rng.uniform(0.7, 1.5, size=features) + 0.8
        self.y = self.X @ rng.normal(size=features) * 2 + 1.5 + rng.normal(size=self.n) * 0.4
        self.W = rng.normal(size=features)
        self.b = float(rng.normal()) if bias else 0.0
        self.bias = bias
        self.problem = dl.Problem(self.X, self.y, bias=bias)
        self.lr = part * self.problem.spectrum().lr_bound()
        self.start = np.append(self.W, self.b) if bias else self.W
        self.descent = dl.Descent(lr=self.lr, epochs=EPOCHS, start=self.start)

    def found(self, losses: Any, digits: int = 7, **settings: Any) -> tuple[Finding, ...]:
        return compare_observed(self.problem, self.descent, [f"{loss:.{digits}g}" for loss in losses], **settings)

    def named(self, losses: Any) -> Finding:
        """The one cause that is named."""
        found = self.found(losses)
        assert len(found) == 1, [finding.name for finding in found]
        assert found[0].text("en") != found[0].text("ko")
        return found[0]


def cases(features: int = 1, **settings: Any) -> list[Case]:
    return [Case(seed, features, **settings) for seed in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("order", ["weights_first", "bias_first", "one_by_one"])
def test_updates_one_after_another(order: str, features: int) -> None:
    if order == "one_by_one" and features == 1:
        return  # it is weights_first
    for case in cases(features):
        X, y, n, W, b, losses = case.X, case.y, case.n, case.W.copy(), case.b, []
        for _ in range(EPOCHS):
            losses.append(np.mean((X @ W + b - y) ** 2))
            if order == "bias_first":
                b -= case.lr * 2 / n * np.sum(X @ W + b - y)
            if order == "one_by_one":
                for j in range(features):
                    W[j] -= case.lr * 2 / n * np.sum((X @ W + b - y) * X[:, j])
            else:
                W = W - case.lr * 2 / n * X.T @ (X @ W + b - y)
            if order != "bias_first":
                b -= case.lr * 2 / n * np.sum(X @ W + b - y)
        found = case.named(losses)
        assert (found.name, found.numbers["order"]) == ("sequential_updates", order)


@pytest.mark.parametrize("frozen", ["bias", "weights", "none"])
def test_what_is_not_updated(frozen: str) -> None:
    for case in cases(2):
        W, b, losses = case.W, 0.0 if frozen == "none" else case.b, []
        for _ in range(EPOCHS):
            r = case.X @ W + b - case.y
            losses.append(np.mean(r**2))
            if frozen == "weights":
                b = b - case.lr * 2 * r.mean()
            else:
                W = W - case.lr * 2 / case.n * case.X.T @ r
        found = case.named(losses)
        assert (found.name, found.numbers["parameters"]) == ("not_updated", frozen)


@pytest.mark.slow
@pytest.mark.parametrize("features", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_x_left_out_of_the_gradient(bias: bool, features: int) -> None:
    for case in cases(features, bias=bias):
        W, b, losses = case.W, case.b, []
        for _ in range(EPOCHS):
            r = case.X @ W + b - case.y
            losses.append(np.mean(r**2))
            W = W - case.lr * 2 * r.mean()
            b = b - case.lr * 2 * r.mean() * bias
        assert case.named(losses).name == "input_missing"


@pytest.mark.slow
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.95, 0.99])
def test_momentum_that_was_not_stated(momentum: float, nesterov: bool) -> None:
    for case in cases(2):
        p, v, Z, losses = case.start, np.zeros(3), np.column_stack([case.X, np.ones(case.n)]), []
        for _ in range(EPOCHS):
            r = Z @ p - case.y
            losses.append(np.mean(r**2))
            g = 2 / case.n * Z.T @ r
            v = momentum * v + g
            p = p - case.lr * (g + momentum * v if nesterov else v)
        found = case.named(losses)
        assert (found.name, found.numbers["momentum"], found.numbers["nesterov"]) == (
            "momentum_acts",
            momentum,
            nesterov,
        )


def test_momentum_that_was_stated_and_does_not_act() -> None:
    for case in cases():
        plain = dl.descend(case.problem, case.descent).history.cost
        descent = dl.Descent(lr=case.lr, epochs=EPOCHS, start=case.start, momentum=0.9)
        (found,) = compare_observed(case.problem, descent, plain)
        assert (found.name, found.numbers["momentum"]) == ("momentum_acts", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.1, 0.01, 0.001])
def test_weight_decay_that_was_not_stated(decay: float) -> None:
    for case in cases(2):
        p, Z, losses = case.start, np.column_stack([case.X, np.ones(case.n)]), []
        for _ in range(EPOCHS):
            r = Z @ p - case.y
            losses.append(np.mean(r**2))
            p = p - case.lr * (2 / case.n * Z.T @ r + decay * p)
        found = case.named(losses)
        assert (found.name, found.numbers["weight_decay"]) == ("decay_acts", decay)


def test_a_bias_that_was_not_stated() -> None:
    for case in cases(2, bias=False):
        losses = dl.descend(
            dl.Problem(case.X, case.y), lr=case.lr, epochs=EPOCHS, start=[*case.start, 0.0]
        ).history.cost
        assert case.named(losses).name == "bias_added"


SCALINGS = {
    "centered": lambda a: a - a.mean(axis=0),
    "standardized": lambda a: (a - a.mean(axis=0)) / a.std(axis=0),
    "standardized_sample": lambda a: (a - a.mean(axis=0)) / a.std(axis=0, ddof=1),
    "min_max": lambda a: (a - a.min(axis=0)) / (a.max(axis=0) - a.min(axis=0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["features", "target", "both"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_columns_scaled_before_the_loop(scaling: str, columns: str) -> None:
    for case in cases(2):
        X = case.X if columns == "target" else SCALINGS[scaling](case.X)
        y = case.y if columns == "features" else SCALINGS[scaling](case.y)
        W, b, losses = case.W, case.b, []
        for _ in range(EPOCHS):
            r = X @ W + b - y
            losses.append(np.mean(r**2))
            W, b = W - case.lr * 2 / case.n * X.T @ r, b - case.lr * 2 * r.mean()
        found = case.named(losses)
        assert (found.name, found.numbers["scaling"], found.numbers["columns"]) == (
            "scaled_columns",
            scaling,
            columns,
        )


def test_without_rows_standardizing_is_still_seen() -> None:
    for case in cases(2):
        losses = dl.descend(dl.Problem(case.X, case.y, standardize=True), lr=case.lr, epochs=EPOCHS).history.cost
        descent = dl.Descent(lr=case.lr, epochs=EPOCHS)
        (found,) = compare_observed(dl.Problem(case.problem.factor), descent, [f"{loss:.7g}" for loss in losses])
        assert (found.name, found.numbers["scaling"]) == ("scaled_columns", "standardized")


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, True])
def test_forgotten_zero_grad_in_float32(exact: bool) -> None:
    for case in cases():
        W: Any
        X = case.X.astype(np.float32)
        y = (2 * X[:, 0] + 1 if exact else case.y).astype(np.float32)
        problem = dl.Problem(X.astype(float), y.astype(float))
        n, lr = np.float32(case.n), np.float32(case.lr)
        W, b, dW, db = np.zeros(1, np.float32), np.float32(0), np.zeros(1, np.float32), np.float32(0)
        losses = []
        for _ in range(300):
            r = X @ W + b - y
            losses.append(float((r * r).mean()))
            dW, db = dW + 2 * (X.T @ r) / n, db + 2 * r.sum() / n
            W, b = W - lr * dW, b - lr * db
        for observed in (losses, losses[:20], [f"{loss:.4f}" for loss in losses]):
            found = compare_observed(problem, dl.Descent(lr=case.lr, epochs=300), observed)
            assert [finding.name for finding in found] == ["forgotten_zero_grad"]


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("printed", ["twice", "once", "root"])
def test_a_mean_taken_twice(printed: str, half: bool) -> None:
    for case in cases(2):
        p, Z, losses = case.start, np.column_stack([case.X, np.ones(case.n)]), []
        for _ in range(EPOCHS):
            r = Z @ p - case.y
            once = np.mean(r**2) / (2 if half else 1)
            losses.append({"twice": once / case.n, "once": once, "root": np.sqrt(np.mean(r**2))}[printed])
            p = p - case.lr * (1 if half else 2) * Z.T @ r / case.n**2
        found = case.named(losses)
        assert found.name == "averaged_twice"
        assert found.numbers["acting"] == pytest.approx(case.lr / case.n / (2 if half else 1))
        assert ("The loss is averaged twice" in found.text("en")) == (printed == "twice")


def test_right_loops_are_given_no_cause() -> None:
    """Whatever the data, the start, the type and the digits printed."""
    rng = np.random.default_rng(11)
    for seed in range(50):
        case = Case(seed, int(rng.integers(1, 4)), bool(rng.integers(2)), float(rng.choice([0.01, 0.1, 0.5, 0.9])))
        X, y = case.X, case.y
        if seed % 3 == 0:
            y = X @ np.ones(X.shape[1])
        problem = dl.Problem(X, y, bias=case.bias)
        dtype: Any
        for dtype in (np.float32, np.float64):
            A: Any = X.astype(dtype)
            t, W, b, losses = y.astype(dtype), case.W.astype(dtype), dtype(case.b), []
            n, c = dtype(case.n), dtype(2 * case.lr)
            for _ in range(300):
                r = A @ W + b - t
                losses.append(float((r * r).mean()))
                W = W - c * (A.T @ r) / n
                b = b - c * r.mean() if case.bias else b
            descent = dl.Descent(lr=case.lr, epochs=300, start=case.start)
            for observed in (losses, [f"{loss:.4f}" for loss in losses], losses[-1], f"{losses[-1]:.6g}"):
                found = compare_observed(problem, descent, observed)
                assert [finding.name for finding in found] == ["observed_agrees"], (seed, dtype)


@pytest.mark.slow
def test_one_number_near_the_least_cost_names_no_earlier_run() -> None:
    """Every long enough run prints it, so that it tells nothing of where this one began."""
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    y = np.array([2.2, 3.8, 6.1, 8.2, 9.7])
    problem = dl.Problem(x, y)
    bound = problem.spectrum().lr_bound()
    for part in (0.05, 0.1, 0.2):
        descent = dl.Descent(lr=part * bound, epochs=200)
        later = dl.descend(problem, lr=part * bound, epochs=800).cost
        for digits in (3, 4, 5, 6):
            names = {finding.name for finding in compare_observed(problem, descent, f"{later:.{digits}g}")}
            assert not names & {"stale_weights", "gradient_convention", "another_rate", "momentum_acts"}
    # Where it is still far from there, it does tell.
    descent = dl.Descent(lr=0.02 * bound, epochs=20)
    later = dl.descend(problem, lr=0.02 * bound, epochs=41).history.cost[-1]
    found = compare_observed(problem, descent, f"{later:.7g}")
    assert "stale_weights" in [finding.name for finding in found]


def test_rivals_are_not_told_apart() -> None:
    """From W = 3 the lesson's losses are 4 times those from W = 0, and nothing but the weights can tell which."""
    lesson = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    losses = dl.descend(lesson, lr=0.03, epochs=6, start=[3.0]).history.cost
    found = compare_observed(lesson, dl.Descent(lr=0.03, epochs=6), [f"{loss:.6g}" for loss in losses])
    assert [finding.numbers["rivals"] for finding in found] == [len(found)] * len(found)
    assert len(found) > 1
    for finding in found:
        assert "cannot tell which" in finding.text("en")
        assert finding.advice is not None
        assert finding.advice.text("en").startswith("To tell them apart, print more losses")


@pytest.mark.slow
def test_a_final_loss_within_rounding_is_given_no_cause() -> None:
    """However near it comes to what some mistake would print: one number does not tell a mistake from rounding."""
    rng = np.random.default_rng(4)
    for seed in range(40):
        case = Case(seed, 2)
        descent = dl.Descent(lr=case.lr, epochs=30, start=case.start, momentum=0.9 * (seed % 2))
        decayed = dl.Descent(lr=case.lr, epochs=30, start=case.start, momentum=0.9 * (seed % 2), weight_decay=1e-4)
        right, near = (float(dl.descend(case.problem, each).history.cost[-1]) for each in (descent, decayed))
        for loss in (right * (1 + 1e-4 * rng.normal()), near):
            if abs(loss / right - 1) < 5e-4:
                found = compare_observed(case.problem, descent, loss)
                assert [finding.name for finding in found] == ["observed_agrees"]
