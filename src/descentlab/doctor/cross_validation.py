"""Folds as they are asked for beside a diagnosis: its own rate and ridge among those tried, or why there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.finding import Finding, Weight
from descentlab.doctor.forecast import whole_batch
from descentlab.errors import DataError, whole_number
from descentlab.messages import Sentence, sentence
from descentlab.model_selection.cross_validate import tried
from descentlab.model_selection.cross_validation import CrossValidation
from descentlab.model_selection.grid import Trials
from descentlab.model_selection.splitting import dealt, selected
from descentlab.problem.problem import Problem

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)  # of the columns' mean square: from hardly any penalty to a strong one


def choose_by_folds(problem: Problem, descent: Descent, folds: int) -> CrossValidation | Finding:
    """Rate, epochs and ridge by folds of the problem's rows, or a finding that says why they cannot be told.

    Tried are the descent's own rate and fractions of the bound, the problem's own ridge and decades below the columns'
    mean square, and updates up to the epochs asked for.

    Raises:
        SettingError: fewer than 2 folds, or more than rows.
    """
    folds = whole_number("folds", folds, 2)
    descent = whole_batch(problem, descent)
    beyond = _beyond(problem, descent)
    if beyond:
        said = sentence("folds.not_plain", names=beyond)
        return _none(said, sentence("advice.no_folds", names=beyond))
    if descent.effective_momentum >= 1:
        return _none(sentence("folds.momentum_one", momentum=descent.momentum), sentence("advice.momentum_one"))
    try:
        selection = selected(problem, None, None, None, None, problem.missing, {})
        factors = dealt(selection, folds, descent.seed, shuffle=True)
        return tried(_trials(problem, descent), factors, tuple(selection.notices))
    except DataError as error:
        return _none(error.sentence)


def _trials(problem: Problem, descent: Descent) -> Trials:
    size = float(problem.spectrum("mean").eigenvalues.mean()) / 2
    ridges = {problem.ridge, *(float(f"{part * size:.1g}") for part in RIDGES)}
    own = (descent.lr, problem.ridge)
    trials = Trials.of(problem, replace(descent, dtype="float64", device="cpu"), None, sorted(ridges), {})
    return replace(trials, own=own)


def _beyond(problem: Problem, descent: Descent) -> list[str]:
    """The settings that folds cannot speak of."""
    beyond = {
        "optimizer": not descent.is_sgd,
        "option": bool(descent.options),
        "batch_size": descent.batch_size is not None,
        "schedule": descent.schedule is not None,
        "average": descent.average is not None,
        "zero_grad": not descent.zero_grad,
        "start": bool(np.any(problem.start(descent.start))),
    }
    return [f"`{name}`" for name, is_so in beyond.items() if is_so]


def _none(said: Sentence, advice: Sentence | None = None) -> Finding:
    return Finding("no_folds", Weight.CAUTION, (said,), {}, advice, about="held_out")
