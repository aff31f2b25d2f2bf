"""Facts about the data that matter to a descent, read off the factor: no row is looked at again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from descentlab.doctor.finding import Finding, Severity
from descentlab.messages import format_rounded, message
from descentlab.problem.problem import Problem
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

MAX_SCALE_RATIO = 100.0  # sizes that differ by so much make the small column slow
MAX_OFFSET_RATIO = 100.0  # a mean of so many spreads makes the intercept slow
MAX_VIF = 1000.0  # the variance inflation from which a column adds next to nothing of its own
MAX_CHANCE_ROWS = 3  # so few can lie on a line by chance
MIN_FLOAT32_STEPS = (
    1000.0  # distinct values that float32 leaves a column per standard deviation, below which it suffers
)


def data_findings(problem: Problem, vif: FloatArray, weight_decay: float = 0.0) -> list[Finding]:
    """Everything about the data worth a sentence, the gravest first.

    Args:
        problem: the data.
        vif: its :func:`variance_inflation`.
        weight_decay: the weight decay that pulls where the data does not.
    """
    findings = [
        *_dependent_findings(problem, weight_decay),
        *_collinearity_findings(problem, vif),
        *_scale_findings(problem),
        *_offset_findings(problem),
    ]
    findings += [*_float32_findings(problem), *_target_findings(problem)]
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))


def _column_std(problem: Problem) -> FloatArray:
    factor = problem.factor
    return np.where(factor.is_constant, 0.0, factor.std)[: len(problem.features)]


def _column_rms(problem: Problem) -> FloatArray:
    factor = problem.factor
    rms: FloatArray = np.hypot(factor.means, factor.std)[: len(problem.features)]
    return rms


def _dependent_findings(problem: Problem, weight_decay: float) -> Iterator[Finding]:
    """Constant, duplicate and collinear columns: each relation by name."""
    relations = problem.spectrum().null_directions
    if relations:
        names = [problem.features[j] for j in problem.fit.dependent]
        key = "finding.dependent_columns" if len(relations) > 1 else "finding.dependent_column"
        key = "finding.dependent_decayed" if weight_decay else key
        yield Finding(
            "dependent_columns",
            Severity.CAUTION,
            (message(key, count=len(relations)), *relations),
            {"columns": names, "rank": len(problem.parameters) - len(relations)},
            None if weight_decay else message("advice.dependent_columns", names=[f"`{name}`" for name in names]),
        )


def variance_inflation(problem: Problem) -> FloatArray:
    """(d,) variance inflation of each feature: its variance over what the other features leave of it; inf for none.

    ``VIF_j = variance_j * (C^-1)_jj`` with C the covariance (D. A. Belsley, E. Kuh and R. E. Welsch, *Regression
    Diagnostics*, 1980). Dependent features are left out of the others; without a bias, moments about zero.
    """
    d = len(problem.features)
    rows = (problem.factor.R_centered[1:, 1:] if problem.bias else problem.factor.R[:, 1:])[:, :d]
    norms = (
        np.where(_column_std(problem) > 0, np.linalg.norm(rows, axis=0), 0.0) if problem.bias else _column_rms(problem)
    )
    independent = [j for j in range(d) if j not in problem.fit.dependent and norms[j] > 0]
    vif = np.full(d, np.inf)
    if not independent:
        return vif
    _, s, V = np.linalg.svd(rows[:, independent] / np.linalg.norm(rows[:, independent], axis=0), full_matrices=False)
    s = np.maximum(s, UNIT_ROUNDOFF * len(s))  # below it a direction cannot be told from one that is not there
    vif[independent] = ((V / s[:, None]) ** 2).sum(axis=0)
    if len(s) < len(independent):  # fewer rows than features: each of them depends on the others
        vif[independent] = np.inf
    return vif


def _collinearity_findings(problem: Problem, vif: FloatArray) -> Iterator[Finding]:
    finite_vif = np.where(np.isfinite(vif), vif, 0.0)
    order = np.argsort(-np.round(finite_vif / max(finite_vif.max(initial=0.0), 1.0), 9), kind="stable")  # ties by place
    inflated = [int(j) for j in order if finite_vif[j] > MAX_VIF]
    if inflated:
        worst = inflated[0]
        yield Finding(
            "nearly_collinear",
            Severity.CAUTION,
            (
                message(
                    "finding.nearly_collinear",
                    names=[f"`{problem.features[j]}`" for j in inflated[:6]],
                    worst=f"`{problem.features[worst]}`",
                    left=f"{100 / vif[worst]:.2g}",
                ),
            ),
            {"variance_inflation": {problem.features[j]: float(vif[j]) for j in inflated}},
            message("advice.nearly_collinear"),
            "D. A. Belsley, E. Kuh, R. E. Welsch, Regression Diagnostics (1980), chapter 3",
        )


def _scale_findings(problem: Problem) -> Iterator[Finding]:
    rms = _column_rms(problem)
    nonzero = np.flatnonzero(rms > 0)
    if problem.standardize or len(nonzero) < 2:
        return
    large, small = nonzero[np.argmax(rms[nonzero])], nonzero[np.argmin(rms[nonzero])]
    ratio = float(rms[large] / rms[small])
    if ratio >= MAX_SCALE_RATIO:
        yield Finding(
            "scales_apart",
            Severity.CAUTION,
            (
                message(
                    "finding.scales_apart",
                    large=f"`{problem.features[large]}`",
                    small=f"`{problem.features[small]}`",
                    ratio=format_rounded(ratio),
                    slower=format_rounded(ratio**2),
                ),
            ),
            {"sizes": dict(zip(problem.features, rms.tolist(), strict=True)), "ratio": ratio},
            message("advice.scales_apart", small=f"`{problem.features[small]}`"),
        )


def _offset_findings(problem: Problem) -> Iterator[Finding]:
    if problem.center or not problem.bias:
        return
    means, std = np.abs(problem.factor.means[: len(problem.features)]), _column_std(problem)
    offset_columns = [j for j in range(len(means)) if std[j] > 0 and means[j] >= MAX_OFFSET_RATIO * std[j]]
    if offset_columns:
        worst = max(offset_columns, key=lambda j: means[j] / std[j])
        ratio = float(means[worst] / std[worst])
        yield Finding(
            "far_from_zero",
            Severity.CAUTION,
            (
                message(
                    "finding.far_from_zero" if len(offset_columns) == 1 else "finding.far_from_zero_several",
                    names=[f"`{problem.features[j]}`" for j in offset_columns],
                    worst=f"`{problem.features[worst]}`",
                    mean=float(problem.factor.means[worst]),
                    spread=float(std[worst]),
                    ratio=format_rounded(ratio),
                ),
            ),
            {"mean_over_spread": {problem.features[j]: float(means[j] / std[j]) for j in offset_columns}},
            message("advice.far_from_zero"),
        )


def _float32_findings(problem: Problem) -> Iterator[Finding]:
    """Columns whose spread float32 cannot resolve: its steps near the mean are too wide."""
    if problem.center:  # by its mean in float64, before anything is converted
        return
    means, std = np.abs(problem.factor.means[: len(problem.features)]), _column_std(problem)
    with np.errstate(over="ignore"):
        step = np.spacing(means.astype(np.float32)).astype(np.float64)
    coarse = [j for j in range(len(means)) if 0 < std[j] < MIN_FLOAT32_STEPS * step[j]]
    if coarse:
        worst = min(coarse, key=lambda j: std[j] / step[j])
        yield Finding(
            "float32_cannot_resolve",
            Severity.CAUTION,
            (
                message(
                    "finding.float32_cannot_resolve",
                    names=[f"`{problem.features[j]}`" for j in coarse],
                    worst=f"`{problem.features[worst]}`",
                    step=format_rounded(step[worst], 2),
                    spread=format_rounded(std[worst]),
                ),
            ),
            {"steps_per_spread": {problem.features[j]: float(std[j] / step[j]) for j in coarse}},
            message("advice.float32_cannot_resolve"),
        )


def _target_findings(problem: Problem) -> Iterator[Finding]:
    """A target that does not vary, or that a single column copies."""
    factor, target = problem.factor, f"`{problem.target}`"
    if factor.is_constant[-1] and problem.bias:
        main_message = message("finding.constant_target", name=target, value=float(factor.means[-1]))
        yield Finding("constant_target", Severity.CAUTION, (main_message,), {}, message("advice.constant_target"))
        return
    if len(problem.features) < 2 or not problem.bias or problem.n <= MAX_CHANCE_ROWS:
        return
    C = factor.R_centered[1:, 1:]
    norms = np.linalg.norm(C, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations = np.abs(C[:, :-1].T @ C[:, -1]) / (norms[:-1] * norms[-1])
    copies = [problem.features[j] for j in np.flatnonzero(correlations > 1 - 1e-12)]
    if copies:
        yield Finding(
            "target_copied",
            Severity.CAUTION,
            (message("finding.target_copied", name=target, names=[f"`{name}`" for name in copies]),),
            {"columns": copies},
            message("advice.target_copied"),
        )
