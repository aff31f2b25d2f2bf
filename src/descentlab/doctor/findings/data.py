"""Facts about the data that matter to a descent, read off the factor: no row is looked at again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from descentlab.doctor.finding import Finding, Severity, caution_finding
from descentlab.doctor.references import BELSLEY_REFERENCE
from descentlab.messages import format_rounded, message
from descentlab.problem.problem import Problem
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

MAX_SCALE_RATIO = 100.0  # root mean square of one column over that of another
MAX_OFFSET_RATIO = 100.0  # mean of a column over its standard deviation
MAX_VIF = 1000.0
MAX_CHANCE_ROWS = 3  # this many rows lie on a line by chance
MIN_FLOAT32_STEPS = 1000.0  # float32 values per standard deviation of a column


class DataContext(NamedTuple):
    """What the rules about data read."""

    problem: Problem
    vif: FloatArray
    weight_decay: float


def _quoted(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _column_std(problem: Problem) -> FloatArray:
    factor = problem.factor
    return np.where(factor.is_constant, 0.0, factor.std)[: len(problem.features)]


def _column_rms(problem: Problem) -> FloatArray:
    factor = problem.factor
    rms: FloatArray = np.hypot(factor.means, factor.std)[: len(problem.features)]
    return rms


def _dependent_findings(data: DataContext) -> Iterator[Finding]:
    """Constant, duplicate and collinear columns: each relation by name."""
    problem = data.problem
    relations = problem.spectrum().null_directions
    if relations:
        names = [problem.features[j] for j in problem.fit.dependent]
        key = "dependent_decayed" if data.weight_decay else f"dependent_column{'s' * (len(relations) > 1)}"
        yield caution_finding(
            "dependent_columns",
            message(f"finding.{key}", count=len(relations)),
            *relations,
            advice=None if data.weight_decay else message("advice.dependent_columns", names=_quoted(names)),
            columns=names,
            rank=len(problem.parameters) - len(relations),
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
    s = np.maximum(s, UNIT_ROUNDOFF * len(s))  # smaller singular values are rounding errors
    vif[independent] = ((V / s[:, None]) ** 2).sum(axis=0)
    if len(s) < len(independent):  # fewer rows than features: each of them depends on the others
        vif[independent] = np.inf
    return vif


def _collinearity_findings(data: DataContext) -> Iterator[Finding]:
    problem, vif = data.problem, data.vif
    finite_vif = np.where(np.isfinite(vif), vif, 0.0)
    order = np.argsort(-np.round(finite_vif / max(finite_vif.max(initial=0.0), 1.0), 9), kind="stable")  # ties by place
    inflated = [int(j) for j in order if finite_vif[j] > MAX_VIF]
    if inflated:
        names, worst = [problem.features[j] for j in inflated], inflated[0]
        values = {"names": _quoted(names[:6]), "worst": f"`{names[0]}`", "left": f"{100 / vif[worst]:.2g}"}
        yield caution_finding(
            "nearly_collinear",
            message("finding.nearly_collinear", **values),
            advice=message("advice.nearly_collinear"),
            reference=BELSLEY_REFERENCE,
            variance_inflation=dict(zip(names, vif[inflated].tolist(), strict=True)),
        )


def _scale_findings(data: DataContext) -> Iterator[Finding]:
    problem, rms = data.problem, _column_rms(data.problem)
    nonzero = np.flatnonzero(rms > 0)
    if problem.standardize or len(nonzero) < 2:
        return
    large, small = nonzero[np.argmax(rms[nonzero])], nonzero[np.argmin(rms[nonzero])]
    ratio = float(rms[large] / rms[small])
    if ratio >= MAX_SCALE_RATIO:
        names = {"large": f"`{problem.features[large]}`", "small": f"`{problem.features[small]}`"}
        ratios = {"ratio": format_rounded(ratio), "slower": format_rounded(ratio**2)}
        is_level = problem.design is not None and problem.features[small] in problem.design.category_columns
        key = "advice.scales_apart_level" if is_level else "advice.scales_apart"
        yield caution_finding(
            "scales_apart",
            message("finding.scales_apart", **names, **ratios),
            advice=message(key, small=names["small"]),
            sizes=dict(zip(problem.features, rms.tolist(), strict=True)),
            ratio=ratio,
        )


def _offset_findings(data: DataContext) -> Iterator[Finding]:
    problem = data.problem
    if problem.center or not problem.bias:
        return
    means, std = problem.factor.means[: len(problem.features)], _column_std(problem)
    ratios = {j: float(abs(means[j]) / std[j]) for j in range(len(means)) if std[j] > 0}
    ratios = {j: ratio for j, ratio in ratios.items() if ratio >= MAX_OFFSET_RATIO}
    if ratios:
        worst = max(ratios, key=ratios.__getitem__)
        yield caution_finding(
            "far_from_zero",
            message(
                "finding.far_from_zero" if len(ratios) == 1 else "finding.far_from_zero_several",
                names=_quoted(problem.features[j] for j in ratios),
                worst=f"`{problem.features[worst]}`",
                mean=float(means[worst]),
                spread=float(std[worst]),
                ratio=format_rounded(ratios[worst]),
            ),
            advice=message("advice.far_from_zero"),
            mean_over_spread={problem.features[j]: ratio for j, ratio in ratios.items()},
        )


def _float32_findings(data: DataContext) -> Iterator[Finding]:
    """Columns whose spread float32 cannot resolve: its steps near the mean are too wide."""
    problem = data.problem
    if problem.center:  # by its mean in float64, before anything is converted
        return
    means, std = np.abs(problem.factor.means[: len(problem.features)]), _column_std(problem)
    with np.errstate(over="ignore"):
        step = np.spacing(means.astype(np.float32)).astype(np.float64)
    steps = {j: float(std[j] / step[j]) for j in range(len(means)) if 0 < std[j] < MIN_FLOAT32_STEPS * step[j]}
    if steps:
        worst = min(steps, key=steps.__getitem__)
        yield caution_finding(
            "float32_cannot_resolve",
            message(
                "finding.float32_cannot_resolve",
                names=_quoted(problem.features[j] for j in steps),
                worst=f"`{problem.features[worst]}`",
                step=format_rounded(step[worst], 2),
                spread=format_rounded(std[worst]),
            ),
            advice=message("advice.float32_cannot_resolve"),
            steps_per_spread={problem.features[j]: count for j, count in steps.items()},
        )


def _target_findings(data: DataContext) -> Iterator[Finding]:
    """A target that does not vary, or that a single column copies."""
    problem = data.problem
    factor, target = problem.factor, f"`{problem.target}`"
    if factor.is_constant[-1] and problem.bias:
        main_message = message("finding.constant_target", name=target, value=float(factor.means[-1]))
        yield caution_finding("constant_target", main_message, advice=message("advice.constant_target"))
        return
    if len(problem.features) < 2 or not problem.bias or problem.n <= MAX_CHANCE_ROWS:
        return
    C = factor.R_centered[1:, 1:]
    norms = np.linalg.norm(C, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations = np.abs(C[:, :-1].T @ C[:, -1]) / (norms[:-1] * norms[-1])
    copies = [problem.features[j] for j in np.flatnonzero(correlations > 1 - 1e-12)]
    if copies:
        main_message = message("finding.target_copied", name=target, names=_quoted(copies))
        yield caution_finding("target_copied", main_message, advice=message("advice.target_copied"), columns=copies)


DATA_RULES = (
    _dependent_findings,
    _collinearity_findings,
    _scale_findings,
    _offset_findings,
    _float32_findings,
    _target_findings,
)


def data_findings(problem: Problem, vif: FloatArray, weight_decay: float = 0.0) -> list[Finding]:
    """The findings about the data, the gravest first.

    Args:
        problem: the data.
        vif: its :func:`variance_inflation`.
        weight_decay: the weight decay, which acts in directions that the data does not determine.
    """
    data = DataContext(problem, vif, weight_decay)
    findings = [replace(finding, topic="data") for rule in DATA_RULES for finding in rule(data)]
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
