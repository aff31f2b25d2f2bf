"""Random problems of many kinds, what Python says of them, and what rounding of the input alone would make of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import descentlab as dl
from descentlab.engines import make_engine
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

HYPOTHESES: dict[str, dict[str, Any]] = {
    "bias": {},
    "no bias": {"bias": False},
    "centred": {"center": True},
    "standardized": {"standardize": True},
    "scaled without bias": {"bias": False, "standardize": True},
    "ridge": {"ridge": 0.3},
    "standardized ridge": {"standardize": True, "ridge": 0.01},
}
EASY = ("normal", "exact", "weighted", "wide", "duplicate", "related", "constant", "few rows")
HARD = ("graded", "far", "years", "nearly dependent")
STEPS: tuple[dict[str, Any], ...] = (
    {},
    {"momentum": 0.5},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.4},
    {"momentum": 0.8, "nesterov": True},
    {"zero_grad": False},
    {"weight_decay": 0.05},
    {"momentum": 0.7, "nesterov": True, "weight_decay": 0.01},
)
REDUCTIONS = ("mean", "half_mean", "sum", "half_sum")
RATES = (0.03, 0.3, 0.9, 0.999, 1.05, 2.5)  # as parts of the bound
UPDATES = (0, 1, 2, 3, 10, 57, 1000, 33_333, 1_000_000)


def rows_of(kind: str, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """X, y and weights of one kind of data."""
    n, d = int(rng.integers(12, 40)), int(rng.integers(1, 4))
    if kind == "wide":
        d = 8
    if kind == "few rows":
        n, d = 3, 4
    X = rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=d) + rng.normal(size=d)
    y = X @ rng.normal(size=d) + rng.normal()
    noise = 0.0 if kind == "exact" else rng.normal(size=n)
    if kind == "duplicate":
        X = np.column_stack([X, X[:, 0]])
    if kind == "related":
        X = np.column_stack([X, 0.5 * X[:, 0] - 2 * X[:, -1] + 3])
    if kind == "constant":
        X = np.column_stack([X, np.full(n, 7.0)])
    if kind == "graded":
        X = np.column_stack([X, 1e9 * rng.normal(size=n)])
    if kind == "far":
        X = X + 1e6
    if kind == "years":
        X[:, 0] = rng.integers(1990, 2024, size=n)
    if kind == "nearly dependent":
        X = np.column_stack([X, X[:, 0] + 1e-5 * rng.normal(size=n)])
    return X, y + noise, rng.uniform(0.2, 3, size=n) if kind == "weighted" else None


@dataclass(frozen=True, eq=False)
class Case:
    """One problem and one descent."""

    problem: dl.Problem
    descent: dl.Descent

    @classmethod
    def of(cls, kind: str, hypothesis: str, step: dict[str, Any], reduction: str, rate: float, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        X, y, weights = rows_of(kind, rng)
        problem = dl.Problem(X, y, weights=weights, **HYPOTHESES[hypothesis])
        start = None if seed % 3 else rng.normal(size=len(problem.parameters)).tolist()
        descent = dl.Descent(lr=1.0, reduction=reduction, start=start, **step)
        return cls(problem, replace(descent, lr=rate * float(f"{FullBatchTheory(problem, descent).lr_bound:.3g}")))

    @classmethod
    def number(cls, i: int, kinds: tuple[str, ...]) -> Case:
        """The i-th of the cases that go through all of the lists at once, in steps that have no common divisor."""
        names = tuple(HYPOTHESES)
        step, reduction = STEPS[i % len(STEPS)], REDUCTIONS[(i // 3) % 4]
        return cls.of(
            kinds[i % len(kinds)], names[i % len(names)], step, reduction, RATES[(i // 5) % len(RATES)], seed=i
        )

    @property
    def theory(self) -> FullBatchTheory:
        return FullBatchTheory(self.problem, self.descent)

    def data(self) -> dict[str, Any]:
        """The factor as it travels to the page."""
        factor = self.problem.factor
        C = factor.R_centered[1:, 1:]
        return {
            "columns": list(factor.columns),
            "rows": factor.rows,
            "weight": factor.weight,
            "means": factor.means.tolist(),
            "triangle": [C[i, i:].tolist() for i in range(len(C))],
            "noise": factor.column_error.tolist(),
        }

    def hypothesis(self) -> dict[str, Any]:
        problem = self.problem
        names = ("bias", "center", "standardize", "ridge")
        return {name: getattr(problem, name) for name in names}

    def settings(self) -> dict[str, Any]:
        names = ("lr", "reduction", "momentum", "dampening", "nesterov", "weight_decay", "zero_grad", "start")
        return {name: getattr(self.descent, name) for name in names}

    def moved(self, seed: int) -> Case:
        """The same with every number of the factor, and the rate, moved by half a unit in its last place, at random."""
        rng = np.random.default_rng(seed)
        factor = self.problem.factor
        centred = factor.R_centered * (1 + UNIT_ROUNDOFF * rng.choice([-1.0, 1.0], size=factor.R_centered.shape))
        shifted = replace(
            factor, R_centered=centred, origin=factor.origin * (1 + UNIT_ROUNDOFF * rng.choice([-1.0, 1.0]))
        )
        problem = dl.Problem(shifted, **self.hypothesis())
        lr = float(np.nextafter(self.descent.lr, np.inf if seed % 2 else 0.0))
        return Case(problem, replace(self.descent, lr=lr))

    def numbers(self) -> dict[str, FloatArray]:
        """What the engines say: every array with the updates, or else the directions, first."""
        theory, problem = self.theory, self.problem
        engine = make_engine("exact", problem, self.descent)
        engine.initialize(problem, self.descent)
        looks = [next(iter(engine.snapshots_at([t + 1]))) for t in UPDATES]
        with np.errstate(over="ignore", invalid="ignore"):
            params = np.array([problem.scaling.to_original(look.params[0]) for look in looks])
        return {
            "curvature": theory.regularized_eigenvalues,
            "bound": np.array([theory.lr_bound]),
            "condition": np.array([theory.condition]),
            "goal": problem.scaling.to_original(theory.limit_point),
            "least cost": np.array([theory.least_cost]),
            "factor": np.array([abs(theory.dominant_mode.factor)]),
            "gap": np.array([theory.dominant_mode.one_minus_factor]),
            "params": params,
            "cost": np.array([look.cost[0] for look in looks]),
            "gradient norm": np.array([look.gradient_norm[0] for look in looks]),
        }

    def sizes(self, numbers: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """What a deviation of each of them is measured against."""
        quadratic, goal = self.problem.quadratic, np.abs(numbers["goal"])
        start = np.abs(numbers["params"][0])
        p = self.problem.scaled_params(self.descent.start)
        descended = np.maximum(np.abs(p), np.abs(self.theory.limit_point))
        rounded = (np.abs(quadratic.A) @ descended + np.abs(quadratic.t)) / np.sqrt(quadratic.weight)
        floor = 1e-2 * float(np.sqrt(rounded @ rounded))
        cost = numbers["cost"]
        c = 2 * self.theory.cost_scale / quadratic.weight
        pulls = c * np.abs(quadratic.A.T) @ (np.abs(quadratic.A) @ descended + np.abs(quadratic.t))
        return {name: np.abs(value) for name, value in numbers.items()} | {
            "goal": goal + 1e-3 * goal.max(),
            "params": np.abs(numbers["params"]) + np.maximum(goal, start) + 1e-3 * goal.max(),
            "cost": cost + np.sqrt(cost) * floor + (floor * 1e-7) ** 2,
            "least cost": numbers["least cost"] + np.sqrt(numbers["least cost"]) * floor + (floor * 1e-7) ** 2,
            "gradient norm": numbers["gradient norm"] + 1e-2 * np.linalg.norm(pulls),
        }


def deviations(
    found: dict[str, Any], expected: dict[str, FloatArray], sizes: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """By name, how far each number is from what it should be, relatively; inf where only one of them is finite."""
    told = {}
    for name, value in expected.items():
        other = np.asarray(found[name], dtype=np.float64)
        assert other.shape == value.shape, name
        finite = np.isfinite(value)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            off = np.where(value == other, 0.0, np.abs(other - value) / np.where(sizes[name] > 0, sizes[name], 1.0))
        off = np.where(finite & np.isfinite(other), off, np.where(finite == np.isfinite(other), 0.0, np.inf))
        told[name] = off.reshape(len(off), -1).max(axis=1, initial=0.0)
    return told
