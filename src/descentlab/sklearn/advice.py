"""Advice for fits that diverged or did not converge; settings that are already active are not suggested."""

from __future__ import annotations

from typing import Any

from descentlab.errors import DivergenceError
from descentlab.messages import Message, message, pluralize
from descentlab.sklearn.fit_result import FitResult
from descentlab.theory.full_batch import FullBatchTheory


def divergence_error(theory: FullBatchTheory, settings: Any) -> DivergenceError:
    """The error of a rate above the bound: the verdict and its number, what to do, then where errors grow."""
    dominant_mode, lr_bound = theory.dominant_mode, theory.lr_bound
    if theory.descent.effective_momentum >= 1 or lr_bound == 0:
        return DivergenceError("estimator_momentum", momentum=theory.descent.momentum)
    return DivergenceError(
        "estimator_diverges",
        lr=theory.descent.lr,
        ratio=theory.descent.lr / lr_bound,
        bound=lr_bound,
        column=dominant_mode.column,
        factor=dominant_mode.factor_text,
        cures=divergence_advice(theory, settings),
    )


def divergence_advice(theory: FullBatchTheory, settings: Any) -> Message:
    """Settings that converge: the automatic rate, half the bound, standardized columns and their bound."""
    problem, descent = theory.problem, theory.descent
    if descent.effective_momentum >= 1:
        return message("estimator.cures_momentum")
    if isinstance(settings.lr, str):
        return message("estimator.cures_smaller", smaller=descent.lr / 10)
    half = theory.lr_bound / 2
    if problem.standardize:
        return message("estimator.cures_auto", half=half)
    standardized = FullBatchTheory(problem.with_changes(standardize=True), descent)
    return message("estimator.cures", half=half, bound=standardized.lr_bound)


def convergence_advice(settings: Any, result: FitResult) -> list[Message]:
    """Settings that would bring the fit closer to the minimum."""
    has_closed_form = result.descent.batch_size is None and result.descent.schedule is None
    if has_closed_form and settings.epochs is not None:
        return [message("estimator.nearer_epochs")]
    messages = [] if has_closed_form else [message("estimator.nearer_more", epochs=pluralize(result.descent.epochs))]
    if result.descent.schedule is not None:
        messages.append(message("estimator.nearer_schedule"))
    if not isinstance(settings.lr, str):
        messages.append(message("estimator.nearer_auto"))
    elif not result.problem.standardize:
        messages.append(message("estimator.nearer_ridge" if result.problem.ridge else "estimator.nearer_scaled"))
    return messages
