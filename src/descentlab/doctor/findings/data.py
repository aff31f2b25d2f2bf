"""Facts about the data that matter to a descent, read off the factor: no row is looked at again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from descentlab.doctor.finding import Finding, Weight
from descentlab.factor.householder import UNIT
from descentlab.messages import rounded, sentence
from descentlab.problem.problem import Problem
from descentlab.typing import Array

SCALES_APART = 100.0  # sizes that differ by so much make the small column slow
FAR_FROM_ZERO = 100.0  # a mean of so many spreads makes the intercept slow
NEARLY_DEPENDENT = 1000.0  # the variance inflation from which a column adds next to nothing of its own
FEW_ROWS = 3  # so few can lie on a line by chance
FLOAT32_STEPS = 1000.0  # distinct values that float32 leaves a column per standard deviation, below which it suffers


def facts(problem: Problem, vif: Array, decay: float = 0.0) -> list[Finding]:
    """Everything about the data worth a sentence, the gravest first.

    Args:
        problem: the data.
        vif: its :func:`inflation`.
        decay: the weight decay that pulls where the data does not.
    """
    found = [*_dependent(problem, decay), *_nearly_dependent(problem, vif), *_scales(problem), *_offsets(problem)]
    found += [*_float32(problem), *_target(problem)]
    return sorted(found, key=lambda finding: list(Weight).index(finding.weight))


def _deviations(problem: Problem) -> Array:
    factor = problem.factor
    return np.where(factor.constant, 0.0, factor.deviations)[: len(problem.features)]


def _sizes(problem: Problem) -> Array:
    factor = problem.factor
    sizes: Array = np.hypot(factor.means, factor.deviations)[: len(problem.features)]
    return sizes


def _dependent(problem: Problem, decay: float) -> Iterator[Finding]:
    """Constant, duplicate and collinear columns: each relation by name."""
    relations = problem.spectrum().flat
    if relations:
        names = [problem.features[j] for j in problem.fit.dependent]
        key = "finding.dependent_columns" if len(relations) > 1 else "finding.dependent_column"
        key = "finding.dependent_decayed" if decay else key
        yield Finding(
            "dependent_columns",
            Weight.CAUTION,
            (sentence(key, count=len(relations)), *relations),
            {"columns": names, "rank": len(problem.parameters) - len(relations)},
            None if decay else sentence("advice.dependent_columns", names=[f"`{name}`" for name in names]),
        )


def inflation(problem: Problem) -> Array:
    """(d,) variance inflation of each feature: its variance over what the other features leave of it; inf for none.

    ``VIF_j = variance_j * (C^-1)_jj`` with C the covariance (D. A. Belsley, E. Kuh and R. E. Welsch, *Regression
    Diagnostics*, 1980). Dependent features are left out of the others; without a bias, moments about zero.
    """
    d = len(problem.features)
    rows = (problem.factor.centred[1:, 1:] if problem.bias else problem.factor.R[:, 1:])[:, :d]
    lengths = np.where(_deviations(problem) > 0, np.linalg.norm(rows, axis=0), 0.0) if problem.bias else _sizes(problem)
    kept = [j for j in range(d) if j not in problem.fit.dependent and lengths[j] > 0]
    vif = np.full(d, np.inf)
    if not kept:
        return vif
    _, s, V = np.linalg.svd(rows[:, kept] / np.linalg.norm(rows[:, kept], axis=0), full_matrices=False)
    s = np.maximum(s, UNIT * len(s))  # below it a direction cannot be told from one that is not there
    vif[kept] = ((V / s[:, None]) ** 2).sum(axis=0)
    if len(s) < len(kept):  # fewer rows than features: each of them depends on the others
        vif[kept] = np.inf
    return vif


def _nearly_dependent(problem: Problem, vif: Array) -> Iterator[Finding]:
    named = np.where(np.isfinite(vif), vif, 0.0)
    order = np.argsort(-np.round(named / max(named.max(initial=0.0), 1.0), 9), kind="stable")  # ties by place
    inflated = [int(j) for j in order if named[j] > NEARLY_DEPENDENT]
    if inflated:
        worst = inflated[0]
        yield Finding(
            "nearly_collinear",
            Weight.CAUTION,
            (
                sentence(
                    "finding.nearly_collinear",
                    names=[f"`{problem.features[j]}`" for j in inflated[:6]],
                    worst=f"`{problem.features[worst]}`",
                    left=f"{100 / vif[worst]:.2g}",
                ),
            ),
            {"variance_inflation": {problem.features[j]: float(vif[j]) for j in inflated}},
            sentence("advice.nearly_collinear"),
            "D. A. Belsley, E. Kuh, R. E. Welsch, Regression Diagnostics (1980), chapter 3",
        )


def _scales(problem: Problem) -> Iterator[Finding]:
    sizes = _sizes(problem)
    used = np.flatnonzero(sizes > 0)
    if problem.standardize or len(used) < 2:
        return
    large, small = used[np.argmax(sizes[used])], used[np.argmin(sizes[used])]
    ratio = float(sizes[large] / sizes[small])
    if ratio >= SCALES_APART:
        yield Finding(
            "scales_apart",
            Weight.CAUTION,
            (
                sentence(
                    "finding.scales_apart",
                    large=f"`{problem.features[large]}`",
                    small=f"`{problem.features[small]}`",
                    ratio=rounded(ratio),
                    slower=rounded(ratio**2),
                ),
            ),
            {"sizes": dict(zip(problem.features, sizes.tolist(), strict=True)), "ratio": ratio},
            sentence("advice.scales_apart", small=f"`{problem.features[small]}`"),
        )


def _offsets(problem: Problem) -> Iterator[Finding]:
    if problem.center or not problem.bias:
        return
    means, spread = np.abs(problem.factor.means[: len(problem.features)]), _deviations(problem)
    far = [j for j in range(len(means)) if spread[j] > 0 and means[j] >= FAR_FROM_ZERO * spread[j]]
    if far:
        worst = max(far, key=lambda j: means[j] / spread[j])
        ratio = float(means[worst] / spread[worst])
        yield Finding(
            "far_from_zero",
            Weight.CAUTION,
            (
                sentence(
                    "finding.far_from_zero" if len(far) == 1 else "finding.far_from_zero_several",
                    names=[f"`{problem.features[j]}`" for j in far],
                    worst=f"`{problem.features[worst]}`",
                    mean=float(problem.factor.means[worst]),
                    spread=float(spread[worst]),
                    ratio=rounded(ratio),
                ),
            ),
            {"mean_over_spread": {problem.features[j]: float(means[j] / spread[j]) for j in far}},
            sentence("advice.far_from_zero"),
        )


def _float32(problem: Problem) -> Iterator[Finding]:
    """Columns whose spread float32 cannot resolve: its steps near the mean are too wide."""
    if problem.center:  # by its mean in float64, before anything is converted
        return
    means, spread = np.abs(problem.factor.means[: len(problem.features)]), _deviations(problem)
    with np.errstate(over="ignore"):
        step = np.spacing(means.astype(np.float32)).astype(np.float64)
    coarse = [j for j in range(len(means)) if 0 < spread[j] < FLOAT32_STEPS * step[j]]
    if coarse:
        worst = min(coarse, key=lambda j: spread[j] / step[j])
        yield Finding(
            "float32_cannot_resolve",
            Weight.CAUTION,
            (
                sentence(
                    "finding.float32_cannot_resolve",
                    names=[f"`{problem.features[j]}`" for j in coarse],
                    worst=f"`{problem.features[worst]}`",
                    step=rounded(step[worst], 2),
                    spread=rounded(spread[worst]),
                ),
            ),
            {"steps_per_spread": {problem.features[j]: float(spread[j] / step[j]) for j in coarse}},
            sentence("advice.float32_cannot_resolve"),
        )


def _target(problem: Problem) -> Iterator[Finding]:
    """A target that does not vary, or that a single column copies."""
    factor, target = problem.factor, f"`{problem.target}`"
    if factor.constant[-1] and problem.bias:
        said = sentence("finding.constant_target", name=target, value=float(factor.means[-1]))
        yield Finding("constant_target", Weight.CAUTION, (said,), {}, sentence("advice.constant_target"))
        return
    if len(problem.features) < 2 or not problem.bias or problem.n <= FEW_ROWS:
        return
    C = factor.centred[1:, 1:]
    lengths = np.linalg.norm(C, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.abs(C[:, :-1].T @ C[:, -1]) / (lengths[:-1] * lengths[-1])
    copies = [problem.features[j] for j in np.flatnonzero(alike > 1 - 1e-12)]
    if copies:
        yield Finding(
            "target_copied",
            Weight.CAUTION,
            (sentence("finding.target_copied", name=target, names=[f"`{name}`" for name in copies]),),
            {"columns": copies},
            sentence("advice.target_copied"),
        )
