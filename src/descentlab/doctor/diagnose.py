"""The examination: everything that is looked at for one diagnosis, in order. Nothing is run, nothing altered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.directions import ends
from descentlab.doctor.finding import Finding
from descentlab.doctor.findings.data import facts, inflation
from descentlab.doctor.findings.outcome import Case
from descentlab.doctor.findings.run import conclusions, held_out_finding, held_out_unknown
from descentlab.doctor.forecast import forecast, whole_batch
from descentlab.doctor.remedies import Pharmacy
from descentlab.errors import EngineError, SettingError, finite_number, whole_number
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import descent_asked, problem_asked
from descentlab.theory.full_batch import NEAR, Theory
from descentlab.theory.learning_rates import rates_to_use
from descentlab.theory.settling_time import Aim

if TYPE_CHECKING:
    from descentlab.doctor.losses.diagnose import LossDiagnosis
    from descentlab.model_selection.validation import Validation


def diagnose(
    problem: Problem | None = None,
    descent: Descent | None = None,
    *,
    losses: Sequence[object] | None = None,
    observed: object = None,
    validation: object = None,
    within: float = NEAR,
    every: int = 1,
    **settings: Any,
) -> Diagnosis | LossDiagnosis:
    """Say what gradient descent will do before it runs, and why it went wrong. Nothing is run, nothing altered.

    Args:
        problem: what is fitted; from rows or from a factor.
        descent: how to step; or give its settings as keywords: ``diagnose(problem, lr=0.01, epochs=500)``.
        losses: printed losses, instead of a problem: then only ``lr``, ``momentum``, ``dampening``, ``nesterov``
            and ``every`` are used, and a :class:`~descentlab.doctor.losses.LossDiagnosis` comes back.
        observed: the final loss, or the losses by epoch, that the asker's own run printed, in their reduction.
        validation: held-out rows: a factor, a problem, a table or file with the same columns, or X and y in
            a tuple or list.
        within: how near to the minimum's cost counts as there, as a part of it: 1e-12 to 1.
        every: the losses, or those observed, were printed every so many epochs.
        **settings: those of :class:`descentlab.Descent`.

    Raises:
        SettingError: a rate without data, no rate, a setting outside what it may be, a start of the wrong length or so
            far off that its cost is beyond float64, losses that are no numbers.
    """
    if losses is not None:
        return _of_losses(problem, losses, every, settings)
    every = whole_number("every", every, 1)
    if every != 1 and observed is None:
        raise SettingError("every_without_losses", every=every)
    if problem is None:
        raise SettingError("nothing_to_diagnose")
    problem = problem_asked(diagnose, problem)
    descent = descent_asked(diagnose, problem, descent, settings)
    within = finite_number("within", within, 1e-12, 1.0)
    return _of_problem(problem, descent, within, observed, validation, every)


def _of_losses(problem: object, losses: Sequence[object], every: int, settings: dict[str, Any]) -> LossDiagnosis:
    from descentlab.doctor.losses.diagnose import of_losses

    if problem is not None:
        raise SettingError("losses_beside_data")
    usable = ("lr", "momentum", "dampening", "nesterov")
    unusable = [name for name in settings if name not in usable]
    if unusable:
        raise SettingError("losses_settings", names=unusable, usable=usable)
    return of_losses(losses, settings.pop("lr", None), every=every, **settings)


def _of_problem(
    problem: Problem, asked: Descent, within: float, observed: object, held_out: object, every: int
) -> Diagnosis:
    # In exact arithmetic: what float32 makes of it is told as overflow. What is told is of the steps, not of a mean.
    descent = replace(whole_batch(problem, asked), dtype="float64", device="cpu", average=None)
    whole = asked.batch_size is not None and descent.batch_size is None
    theory = Theory(problem, descent)
    _refuse_too_far(theory)
    aim = Aim.of(theory, within)
    future = forecast(theory, aim, within)
    rates = rates_to_use(theory, aim) if future.epochs_to_tolerance != 0 else {}  # at the minimum none is needed
    start = problem.coordinates.to_units(problem.start(descent.start))
    slowest, steepest = ends(theory)
    vif = inflation(problem)
    findings = conclusions(Case(theory, future, within, slowest, steepest, rates, whole))
    if observed is not None:
        from descentlab.doctor.observed.compare import compare

        findings += [replace(each, about="observed") for each in compare(problem, descent, observed, every=every)]
    validated = None
    if held_out is not None:
        validated, said = _held_out(problem, descent, held_out)
        findings.append(said)
    bound = theory.lr_bound if descent.is_sgd and theory.applies else None
    return Diagnosis(
        problem,
        asked,
        within,
        future,
        bound,
        slowest,
        steepest,
        theory.condition,
        theory.least_cost,
        problem.coordinates.to_units(theory.destination),
        rates,
        Pharmacy(theory, aim, within, start, vif).remedies(rates) if rates else (),
        (*findings, *(replace(each, about="data") for each in facts(problem, vif, theory.decay))),
        validated,
    )


def _refuse_too_far(theory: Theory) -> None:
    """A start whose squared error float64 cannot hold leaves nothing to compare costs with."""
    start = theory.problem.start(theory.descent.start)
    with np.errstate(over="ignore", invalid="ignore"):
        if not math.isfinite(theory.scale * float(theory.problem.quadratic.objective(start))):
            furthest = float(np.abs(theory.problem.coordinates.to_units(start)).max())
            raise SettingError("start_too_far", furthest=furthest)


def _held_out(problem: Problem, descent: Descent, given: object) -> tuple[Validation | None, Finding]:
    """The course of the held-out cost and what it means, or why there is none."""
    from descentlab.model_selection.validation import pair, validate

    try:
        found = validate(problem, descent, *pair(given))
    except EngineError as error:
        return None, held_out_unknown(error.sentence)
    return found, held_out_finding(found, descent.epochs)
