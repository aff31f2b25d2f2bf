"""Cross-validation that goes with a diagnosis: its own rate and ridge are among those tried."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.finding import Finding, caution_finding
from descentlab.doctor.forecast import as_full_batch
from descentlab.errors import DataError, check_int
from descentlab.messages import Message, message
from descentlab.model_selection.cross_validate import evaluate_grid
from descentlab.model_selection.cross_validation import CrossValidation
from descentlab.model_selection.grid import ParameterGrid
from descentlab.model_selection.splitting import build_fold_factors, select_rows
from descentlab.problem.problem import Problem

RELATIVE_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)  # of the columns' mean square: from hardly any penalty to a strong one


def cross_validate_for_diagnosis(
    problem: Problem, descent: Descent, folds: int, *, tries_own_rate: bool = True
) -> CrossValidation | Finding:
    """Rate, epochs and ridge by folds of the problem's rows, or a finding that says why folds are not possible.

    Tried are the descent's own rate, if ``tries_own_rate``, and fractions of the bound, the problem's own ridge and
    decades below the columns' mean square, and updates up to the epochs asked for.

    Raises:
        SettingError: fewer than 2 folds, or more than rows.
    """
    folds = check_int("folds", folds, 2)
    descent = as_full_batch(problem, descent)
    unsupported = _unsupported_settings(problem, descent)
    if unsupported:
        reason = message("folds.not_plain", names=unsupported)
        return _no_folds_finding(reason, message("advice.no_folds", names=unsupported))
    if descent.effective_momentum >= 1:
        return _no_folds_finding(
            message("folds.momentum_one", momentum=descent.momentum), message("advice.momentum_one")
        )
    try:
        selection = select_rows(problem, None, None, None, None, problem.missing, {})
        factors = build_fold_factors(selection, folds, descent.seed, shuffle=True)
        return evaluate_grid(_make_grid(problem, descent, tries_own_rate), factors, tuple(selection.notices))
    except DataError as error:
        return _no_folds_finding(error.message)


def _make_grid(problem: Problem, descent: Descent, tries_own_rate: bool) -> ParameterGrid:
    mean_square = float(problem.spectrum("mean").eigenvalues.mean()) / 2
    ridges = {problem.ridge, *(float(f"{fraction * mean_square:.1g}") for fraction in RELATIVE_RIDGES)}
    user_choice = (descent.lr, problem.ridge)
    grid = ParameterGrid.from_arguments(
        problem, replace(descent, dtype="float64", device="cpu"), None, sorted(ridges), {}
    )
    return replace(grid, user_choice=user_choice) if tries_own_rate else grid


def _unsupported_settings(problem: Problem, descent: Descent) -> list[str]:
    """The settings that folds cannot speak of."""
    unsupported = {
        "optimizer": not descent.is_sgd,
        "option": bool(descent.options),
        "batch_size": descent.batch_size is not None,
        "schedule": descent.schedule is not None,
        "average": descent.average is not None,
        "zero_grad": not descent.zero_grad,
        "start": bool(np.any(problem.scaled_params(descent.start))),
    }
    return [f"`{name}`" for name, is_set in unsupported.items() if is_set]


def _no_folds_finding(reason: Message, advice: Message | None = None) -> Finding:
    return caution_finding("no_folds", reason, advice=advice, topic="held_out")
