"""Random small problems against exact fractions: are digits, cost bounds, ranks or nearness ever claimed too high?

``python -m tests.problem.campaign 50000 --seed 1`` prints how many claims were too high, and the first of them.

A claim holds if it is true of the data as given, where each float64 is the number that it is; or of the numbers that
were meant, which the float64 are nearest to: columns that are multiples, or equal but for their last place, are
dependent.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import descentlab as dl
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion
from tests.rational import Vector, floats, fractions, solve_singular

SLACK = 10**-0.05  # a twentieth of a digit, for the rounding of the printed number of digits


@dataclass(frozen=True)
class RandomProblem:
    """Rows as float64 and settings of :class:`descentlab.Problem`."""

    kind: str
    X: Any
    meant: list[Vector]
    y: Any
    weights: Any
    settings: dict[str, Any] = field(default_factory=dict)

    def exact(self, columns: list[Vector]) -> ExactProblem:
        """The problem in fractions, with these columns for X."""
        n, d = self.X.shape
        w = fractions(np.ones(n) if self.weights is None else self.weights)
        total = sum(w, Fraction(0))
        bias, ridge = self.settings["bias"], Fraction(self.settings["ridge"])
        means = [_mean(column, w, total) for column in columns]
        centers = means if bias and (self.settings["center"] or self.settings["standardize"]) else [Fraction(0)] * d
        squares = [Fraction(1)] * d
        if self.settings["standardize"]:
            shifts = means if bias else [Fraction(0)] * d
            squares = [
                _mean([(v - s) ** 2 for v in column], w, total) or Fraction(1)
                for column, s in zip(columns, shifts, strict=True)
            ]
        columns = [*columns, *[[Fraction(1)] * n] * bias]
        return ExactProblem(columns, fractions(self.y.astype(np.float64)), w, total, centers, squares, ridge, bias)


@dataclass(frozen=True)
class ExactProblem:
    """A problem in fractions: columns with the ones of the bias, target, weights and their sum, what the descended
    columns are relative to, their squared scales, the ridge.
    """

    columns: list[Vector]
    y: Vector
    w: Vector
    total: Fraction
    centers: Vector
    squares: Vector
    ridge: Fraction
    bias: bool

    @cached_property
    def params(self) -> Vector:
        """The parameters of least objective, nearest to 0 in the descended coordinates."""
        columns = [*self.columns, self.y]
        gram = [
            [_mean([u * v for u, v in zip(a, b, strict=True)], self.w, self.total) for b in columns]
            for a in self.columns
        ]
        for j, square in enumerate(self.squares):
            gram[j][j] += self.ridge * square
        params, null = solve_singular(gram)
        return _nearest_to_zero(params, null, self.squares, self.centers, self.bias) if null else params

    def cost(self, params: Vector) -> Fraction:
        """The mean squared error."""
        residuals = [
            sum((p * column[i] for p, column in zip(params, self.columns, strict=True)), -self.y[i])
            for i in range(len(self.y))
        ]
        return _mean([r * r for r in residuals], self.w, self.total)

    def objective(self, params: Vector) -> Fraction:
        """The mean squared error and the ridge penalty."""
        penalty = sum((s * p * p for s, p in zip(self.squares, params, strict=False)), Fraction(0))
        return self.cost(params) + self.ridge * penalty

    def from_scaled(self, scaled: Any, scales: Any) -> Vector:
        """Descended parameters in the units of the data."""
        params = [Fraction(q) / Fraction(s) for q, s in zip(scaled.tolist(), [*scales.tolist(), 1.0], strict=False)]
        if self.bias:
            params[-1] -= sum((c * p for c, p in zip(self.centers, params, strict=False)), Fraction(0))
        return params


def _mean(values: Vector, w: Vector, total: Fraction) -> Fraction:
    return sum((a * b for a, b in zip(values, w, strict=True)), Fraction(0)) / total


def _nearest_to_zero(params: Vector, null: list[Vector], squares: Vector, centers: Vector, bias: bool) -> Vector:
    """The point of ``params + span(null)`` whose scaled parameters are least."""
    d = len(squares)

    def dot(a: Vector, b: Vector) -> Fraction:
        found = sum((s * u * v for s, u, v in zip(squares, a, b, strict=False)), Fraction(0))
        if bias:
            constants = [p[d] + sum((m * v for m, v in zip(centers, p, strict=False)), Fraction(0)) for p in (a, b)]
            found += constants[0] * constants[1]
        return found

    steps, _ = solve_singular([[*(dot(a, b) for b in null), -dot(a, params)] for a in null])
    return [v + sum(c * n[i] for c, n in zip(steps, null, strict=True)) for i, v in enumerate(params)]


def random_problems(seed: int) -> Iterator[RandomProblem]:
    """An endless stream of problems, the same for the same seed."""
    rng = np.random.default_rng(seed)
    while True:
        kind = str(rng.choice(list(MAKERS)))
        n, d = int(rng.integers(1, 7)), int(rng.integers(1, 5))
        if kind == "wide":
            n, d = int(rng.integers(1, 4)), int(rng.integers(4, 7))
        meant: list[Vector] = MAKERS[kind](rng, n, d)
        X = floats(meant)
        if kind.startswith("nearly"):
            X = _with_last_places(rng, X)
        y = rng.integers(-20, 30, n).astype(float) if rng.random() < 0.7 else rng.standard_normal(n)
        if rng.random() < 0.3:
            y = X @ rng.integers(-3, 4, X.shape[1]) + rng.integers(-2, 3)
        if rng.random() < 0.1:
            y = y + 1e9  # an intercept far away
        if kind == "float32":
            X, y = X.astype(np.float32), y.astype(np.float32)
        weights = None
        if rng.random() < 0.3:
            apart = kind != "large integers" and rng.random() < 0.5  # rounding is bounded for a column, not row by row
            weights = rng.choice([1e-6, 1e-3, 1.0, 1e6] if apart else [0.5, 1.0, 2.0, 3.0], n)
        bias = bool(rng.random() < 0.75)
        settings = {"bias": bias, "ridge": float(rng.choice([0, 0, 0, 1e-6, 0.1, 1.0, 1e4])), "center": False}
        settings["standardize"] = bool(rng.random() < 0.4)
        if bias and not settings["standardize"]:
            settings["center"] = bool(rng.random() < 0.3)
        yield RandomProblem(kind, X, meant, y, weights, settings)


def _tenths(rng: Any, n: int, digits: int = 1) -> Vector:
    return [Fraction(int(v), 10**digits) for v in rng.integers(-9 * 10**digits, 9 * 10**digits + 1, n)]


def _with_last_places(rng: Any, X: Any) -> Any:
    """The values with some of the last places of the first column changed by one."""
    X = X.copy()
    X[:, 0] = np.nextafter(X[:, 0], np.where(rng.random(len(X)) < 0.4, np.inf, X[:, 0]))
    return X


def _dependent(rng: Any, n: int, d: int) -> list[Vector]:
    columns = [[Fraction(int(v)) for v in rng.integers(-9, 10, n)] for _ in range(d)]
    for j in range(1, d):
        if rng.random() < 0.6:
            c = [int(v) for v in rng.integers(-2, 3, j)]
            columns[j] = [
                sum((a * column[i] for a, column in zip(c, columns, strict=False)), Fraction(0)) for i in range(n)
            ]
    return columns


def _scaled(rng: Any, columns: list[Vector]) -> list[Vector]:
    return [
        [v * Fraction(10) ** int(power) for v in column]
        for column, power in zip(columns, rng.integers(-9, 10, len(columns)), strict=True)
    ]


MAKERS: dict[str, Callable[[Any, int, int], list[Vector]]] = {
    "integers": lambda rng, n, d: [[Fraction(int(v)) for v in rng.integers(-9, 10, n)] for _ in range(d)],
    "decimals": lambda rng, n, d: [_tenths(rng, n) for _ in range(d)],
    "nearly equal": lambda rng, n, d: [_tenths(rng, n)] * d,
    "nearly constant": lambda rng, n, d: [[Fraction(3)] * n, *(_tenths(rng, n) for _ in range(d - 1))],
    "scales": lambda rng, n, d: _scaled(rng, [_tenths(rng, n, 2) for _ in range(d)]),
    "offsets": lambda rng, n, d: [
        [v + 10 ** int(rng.integers(0, 13)) for v in column] for column in _dependent(rng, n, d)
    ],
    "spread over offset": lambda rng, n, d: [
        [v * Fraction(1, 10 ** int(rng.integers(3, 12))) + 10 for v in column] for column in _dependent(rng, n, d)
    ],
    "apart by 1e9": lambda rng, n, d: [[v * 10 ** (9 * int(j % 2)) for v in _tenths(rng, n)] for j in range(d)],
    "duplicated": lambda rng, n, d: (_dependent(rng, n, d) * 2)[: d + 1],
    "wide": _dependent,
    "large integers": lambda rng, n, d: [
        [Fraction(2**53 - int(v)) for v in rng.integers(0, 10 ** int(rng.integers(6, 13)), n)] for _ in range(d)
    ],
    "float32": lambda rng, n, d: [_tenths(rng, n, 3) for _ in range(d)],
    "dependent": _dependent,
    "dependent at scales": lambda rng, n, d: _scaled(rng, _dependent(rng, n, d)),
}


def overclaims(problem: RandomProblem) -> list[str]:
    """The claims that are too high; empty if all hold."""
    try:
        made = dl.Problem(problem.X, problem.y, weights=problem.weights, **problem.settings)
        claims = _Claims(made.solve(), FullBatchTheory(made, dl.Descent(lr=1.0)))
    except dl.DescentlabError:
        return []
    as_given = claims.wrong(problem.exact([fractions(column) for column in problem.X.T.astype(np.float64)]))
    return as_given and claims.wrong(problem.exact(problem.meant)) and as_given


@dataclass(frozen=True)
class _Claims:
    """What is said of one problem: digits, the bound of the least cost, and which costs are near it."""

    minimum: dl.Minimum
    theory: FullBatchTheory

    def wrong(self, exact: ExactProblem) -> list[str]:
        return [*self._wrong_minimum(exact), *self._wrong_nearness(exact)]

    def _wrong_minimum(self, exact: ExactProblem) -> Iterator[str]:
        minimum, cost = self.minimum, exact.cost(exact.params)
        for name, value, digits, param in zip(
            minimum.parameters, minimum.params.tolist(), minimum.digits.tolist(), exact.params, strict=True
        ):
            error = abs(Fraction(value) - param) * Fraction(SLACK)
            if digits > 0 and error > Fraction(10**-digits) * abs(Fraction(value)):
                yield f"{name}: {value!r} for {_as_float(param)!r}, to {digits:.1f} digits"
        if (
            math.isfinite(minimum.cost_error)
            and abs(Fraction(minimum.cost) - cost) > Fraction(minimum.cost_error) + cost / 2**50
        ):
            yield f"cost: {minimum.cost!r} for {_as_float(cost)!r}, within {minimum.cost_error!r}"

    def _wrong_nearness(self, exact: ExactProblem) -> Iterator[str]:
        """Costs on the way of a descent that are said to be within 1% of the least, or not to be, and are not, or are.

        The number of epochs to it has to be one after which the cost is within 1%.
        """
        theory = self.theory
        if theory.judges_coefficients() or not theory.spectrum.rank:
            return
        lr, least = 0.4 * theory.lr_bound, exact.objective(exact.params)
        theory = replace(theory, descent=replace(theory.descent, lr=lr))
        criterion = ConvergenceCriterion.from_theory(theory)
        epochs = criterion.epochs_to_tolerance(lr, theory.descent.momentum_settings)
        shares = [0, 1, 3, 10, 100, 10**6]
        updates = shares if epochs is None or epochs > 2**50 else [*shares, max(epochs - 1, 0), epochs]
        for update, scaled in zip(updates, theory.params_at(np.array(updates)), strict=True):
            params = exact.from_scaled(scaled, theory.problem.scaling.scales)
            above = exact.objective(params) - least
            is_near = bool(theory.is_converged(scaled))
            if is_near and above > least / 100 * (1 + Fraction(1, 2**40)):
                yield f"update {update}: said to be within 1%, but is {_as_float(above / least) if least else above}"
            is_far = theory.suboptimality(scaled) > theory.least.possible_tolerance(0.01)
            if is_far and above <= least / 100 * (1 - Fraction(1, 2**40)):
                yield f"update {update}: said not to be within 1%, but is {_as_float(above / least)}"


def _as_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def main() -> None:
    """Try as many problems as asked, and print what was claimed too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=5)
    arguments = parser.parse_args()
    tried, wrong = Counter[str](), Counter[str]()
    for problem in itertools.islice(random_problems(arguments.seed), arguments.count):
        tried[problem.kind] += 1
        if found := overclaims(problem):
            wrong[problem.kind] += 1
            if wrong.total() <= arguments.show:
                print(problem, *found, sep="\n  ")
    for kind, count in sorted(tried.items()):
        print(f"{kind}: {wrong[kind]} of {count} claimed too high")
    print(f"{wrong.total()} of {tried.total()} problems, seed {arguments.seed}")


if __name__ == "__main__":
    main()
