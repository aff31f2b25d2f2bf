"""Makes a diagnosis: predicts the descent, collects the findings, and compares observed losses with the theory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor import report  # noqa: F401 (registers how a diagnosis is presented)
from descentlab.doctor.checks import checked_messages, unchecked_messages
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.directions import extreme_directions
from descentlab.doctor.finding import Finding
from descentlab.doctor.findings.data import data_findings, variance_inflation
from descentlab.doctor.findings.run import held_out_finding, held_out_unknown_finding, run_findings
from descentlab.doctor.forecast import as_full_batch, forecast
from descentlab.doctor.headline import make_headline
from descentlab.doctor.recommendation import make_recommendation
from descentlab.doctor.remedies import RemedyEvaluator
from descentlab.doctor.run_context import RunContext
from descentlab.errors import EngineError, SettingError, check_float, check_int
from descentlab.problem.decomposition import one_blas_thread
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import check_problem, resolve_descent
from descentlab.theory.full_batch import DEFAULT_WITHIN, FullBatchTheory
from descentlab.theory.learning_rates import recommended_rates
from descentlab.theory.settling_time import ConvergenceCriterion

if TYPE_CHECKING:
    from descentlab.doctor.losses.diagnose import LossDiagnosis
    from descentlab.model_selection.validation import Validation


def diagnose(
    problem: Problem | None = None,
    descent: Descent | None = None,
    *,
    losses: object = None,
    observed: object = None,
    validation: object = None,
    within: float = DEFAULT_WITHIN,
    every: int | None = None,
    **settings: Any,
) -> Diagnosis | LossDiagnosis:
    """Predict what gradient descent will do, or explain why it went wrong. Nothing is run or changed.

    Args:
        problem: the problem that is fitted, made from rows or from a factor.
        descent: how to step; or give its settings as keywords: ``diagnose(problem, lr=0.01, epochs=500)``.
        losses: printed losses, instead of a problem, in any form that they have: numbers, texts, tensors, the text of a
            log, a file (:class:`pathlib.Path`). Then only ``lr``, ``momentum``, ``dampening``, ``nesterov``
            and ``every`` are used, and a :class:`~descentlab.doctor.losses.diagnosis.LossDiagnosis` is returned.
        observed: the final loss, or the losses by epoch, that the user's own loop printed, in the descent's reduction;
            in the same forms. Epochs that a text names are used.
        validation: held-out rows: a factor, a problem, a table or file with the same columns, or X and y in a tuple or
            list.
        within: how near to the minimum's cost counts as converged, as a part of it: 1e-12 to 1.
        every: the number of epochs between two of the losses; None for what the text says, or 1.
        **settings: those of :class:`descentlab.Descent`.

    Raises:
        SettingError: the rate or the data is missing, a setting is out of range, the start has the wrong length or its
            cost exceeds float64, or a loss is not a number.

    >>> import descentlab as dl
    >>> diagnosis = dl.diagnose(dl.Problem([1, 2, 3], [1, 2, 3], bias=False), lr=0.1, epochs=50)
    >>> diagnosis.verdict.value, diagnosis.epochs_to_tolerance, round(diagnosis.lr_bound, 4)
    ('converges-monotone', 2, 0.2143)
    >>> dl.diagnose(losses="36.4, 43.9, 53.0", lr=0.01).verdict.value
    'diverges'
    """
    if losses is not None:
        return _diagnose_losses(problem, losses, every, settings)
    every = None if every is None else check_int("every", every, 1)
    if every not in (None, 1) and observed is None:
        raise SettingError("every_without_losses", every=every)
    if problem is None:
        raise SettingError("nothing_to_diagnose")
    problem = check_problem(diagnose, problem)
    descent = resolve_descent(diagnose, problem, descent, settings)
    within = check_float("within", within, 1e-12, 1.0)
    with one_blas_thread(len(problem.parameters)):
        return _diagnose_problem(problem, descent, within, observed, validation, every)


def _diagnose_losses(problem: object, losses: object, every: int | None, settings: dict[str, Any]) -> LossDiagnosis:
    from descentlab.doctor.losses.diagnose import diagnose_losses

    if problem is not None:
        raise SettingError("losses_beside_data")
    usable = ("lr", "momentum", "dampening", "nesterov")
    unusable = [name for name in settings if name not in usable]
    if unusable:
        raise SettingError("losses_settings", names=unusable, usable=usable)
    return diagnose_losses(losses, settings.pop("lr", None), every=every, **settings)


def _diagnose_problem(
    problem: Problem, user_descent: Descent, within: float, observed: object, held_out: object, every: int | None
) -> Diagnosis:
    # Exact arithmetic: float32 matters for overflow, which is a finding. Averaging does not change the steps.
    descent = replace(as_full_batch(problem, user_descent), dtype="float64", device="cpu", average=None)
    batch_holds_all_rows = user_descent.batch_size is not None and descent.batch_size is None
    theory = FullBatchTheory(problem, descent)
    _check_start_finite(theory)
    criterion = ConvergenceCriterion.from_theory(theory, within)
    prediction = forecast(theory, criterion, within)
    # From a start at the minimum cost, rates are for the coefficients; at these as well, none is needed.
    make_criterion = ConvergenceCriterion.from_theory
    if prediction.epochs_to_tolerance == 0:
        make_criterion = ConvergenceCriterion.for_coefficients
    rates = {}
    if prediction.epochs_to_coefficients != 0 or prediction.epochs_to_tolerance != 0:
        rates = recommended_rates(theory, make_criterion(theory, within))
    start = problem.scaling.to_original(problem.scaled_params(descent.start))
    slowest, fastest = extreme_directions(theory)
    vif = variance_inflation(problem)
    context = RunContext(theory, prediction, within, slowest, fastest, rates, batch_holds_all_rows)
    remedies = RemedyEvaluator(theory, make_criterion, within, start, vif).evaluate(rates) if rates else ()
    recommendation = make_recommendation(context, remedies)
    findings = run_findings(context)
    if observed is not None:
        from descentlab.doctor.observed.compare import compare_observed

        compared = compare_observed(problem, descent, observed, every=every)
        findings += [replace(each, topic="observed") for each in compared]
    validation = None
    if held_out is not None:
        validation, finding = _validate_held_out(problem, descent, held_out)
        findings.append(finding)
    findings += data_findings(problem, vif, theory.weight_decay)
    return Diagnosis(
        problem=problem,
        descent=user_descent,
        within=within,
        forecast=prediction,
        lr_bound=theory.lr_bound if descent.is_sgd and theory.is_exact else None,
        slowest=slowest,
        fastest=fastest,
        condition=theory.condition,
        least_cost=theory.least_cost,
        goal=problem.scaling.to_original(theory.limit_point),
        rates=rates,
        remedies=remedies,
        findings=tuple(findings),
        recommendation=recommendation,
        headline=make_headline(context, findings, recommendation),
        furthest=context.furthest,
        checked=checked_messages(context, findings),
        unchecked=unchecked_messages(context, observed is not None, validation is not None),
        validation=validation,
    )


def _check_start_finite(theory: FullBatchTheory) -> None:
    """Raise if the squared error at the start exceeds float64: then no costs can be compared."""
    start = theory.problem.scaled_params(theory.descent.start)
    with np.errstate(over="ignore", invalid="ignore"):
        if not math.isfinite(theory.cost_scale * float(theory.problem.quadratic.objective(start))):
            largest_param = float(np.abs(theory.problem.scaling.to_original(start)).max())
            raise SettingError("start_too_far", furthest=largest_param)


def _validate_held_out(problem: Problem, descent: Descent, held_out: object) -> tuple[Validation | None, Finding]:
    """The held-out cost and its finding, or why there is none."""
    from descentlab.model_selection.validation import unpack_held_out, validate

    try:
        validation = validate(problem, descent, *unpack_held_out(held_out))
    except EngineError as error:
        return None, held_out_unknown_finding(error.message)
    return validation, held_out_finding(validation, descent.epochs)
