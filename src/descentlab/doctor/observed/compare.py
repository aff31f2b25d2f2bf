"""What theory gives against what was observed, and, where they differ, which mistake reproduces the numbers.

Nothing is altered. Predictions are exact (:mod:`descentlab.doctor.observed.simulation`), in the user's reduction, for
losses printed before or after an update. A cause is named only if simulating it reproduces every number seen, and
the numbers hold enough digits for that not to be chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.finding import Finding
from descentlab.doctor.losses.reading import read_losses
from descentlab.doctor.observed import findings, simulation
from descentlab.doctor.observed.causes import loop_bugs, other_settings, other_start_or_rate, printed_cost, update_bugs
from descentlab.doctor.observed.comparison import COST_FORMS, Hypothesis, ObservedComparison
from descentlab.doctor.observed.losses import ObservedLosses
from descentlab.errors import EngineError, MissingDependencyError
from descentlab.messages import Message, message, pluralize
from descentlab.problem.problem import Problem
from descentlab.typing import FLOAT32_UNIT_ROUNDOFF, UNIT_ROUNDOFF

HYPOTHESES: tuple[Callable[[ObservedComparison], Iterator[Hypothesis]], ...] = (
    printed_cost.different_printed_reduction,
    printed_cost.different_gradient_reduction,
    printed_cost.averaged_twice,
    other_start_or_rate.resumed_weights,
    loop_bugs.one_row_cost,
    loop_bugs.broadcasting,
    loop_bugs.forgotten_zero_grad,
    loop_bugs.per_sample_updates,
    update_bugs.update_bugs,
    other_settings.actual_momentum,
    other_settings.actual_weight_decay,
    other_settings.extra_bias,
    other_settings.scaled_data,
)
# These are fitted, so they fit much.
FITTED_HYPOTHESES = (
    printed_cost.scaled_printed_cost,
    other_start_or_rate.different_lr,
    other_start_or_rate.different_start,
)
CauseMatches = list[tuple[Hypothesis, str]]
SPACING_ALTERNATIVES = 12  # to be printed some epochs apart: how far, from which on, before or after the update


def compare_observed(
    problem: Problem, descent: Descent, observed: object, epochs_seen: object = None, every: int | None = None
) -> tuple[Finding, ...]:
    """Hold what a run printed against what it should have printed.

    Args:
        problem, descent: what was meant to be run.
        observed: the final loss, or the losses by epoch from the first, in the descent's own reduction, nan and inf
            among them, in any form that :func:`descentlab.doctor.losses.reading.read_losses` takes.
        epochs_seen: the numbers of the epochs that these losses were printed at, if they are others than the text says.
        every: the number of epochs between two losses, from the first or from that one on. None is what the text says,
            or 1; where that does not fit and their count suggests another number, it is tried.

    Returns:
        One finding that they agree; or the causes that reproduce every number; or that it is not the rate, with
        what to check in order.

    Raises:
        SettingError: an observed loss is not a number or is negative, or there is none; the epochs do not fit.
    """
    reading = read_losses(observed)
    sentence = reading.message(every)
    if epochs_seen is None and (every is None or reading.counts_epochs):
        epochs_seen = reading.epochs
        every = every and reading.evenly_spaced(every)[1]  # an error, if the epochs printed are others
    every = every or 1
    comparisons = [
        ObservedComparison(problem, descent, losses)
        for losses in ObservedLosses.interpretations(reading.losses, descent.epochs, epochs_seen, every)
    ]
    is_minibatch = descent.batch_size is not None and (descent.batch_size < problem.n or descent.replacement)
    if descent.batch_size is not None and is_minibatch and descent.shuffle:
        return (findings.not_comparable_finding(message("observed.random", size=pluralize(descent.batch_size, "row"))),)
    last_update = max(int(comparison.observed.updates[-1]) for comparison in comparisons)
    if not simulation.is_affordable(problem, descent, last_update):
        return (findings.not_comparable_finding(message("observed.too_long", updates=last_update)),)
    try:
        # Rates and losses may have any size; overflow of float64 is handled where it matters.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            return _with_reading(_conclude(comparisons, every == 1 and epochs_seen is None), sentence)
    except (EngineError, MissingDependencyError) as cause:
        return (findings.not_comparable_finding(message("observed.no_engine", cause=cause.message)),)


def _with_reading(conclusions: tuple[Finding, ...], sentence: Message | None) -> tuple[Finding, ...]:
    """The findings, the first with what was read."""
    if sentence is None:
        return conclusions
    first, *others = conclusions
    return (replace(first, caveats=(*first.caveats, sentence)), *others)


def _conclude(comparisons: list[ObservedComparison], epochs_unknown: bool) -> tuple[Finding, ...]:
    """What follows from the losses, read in one way or in several.

    Args:
        comparisons: the ways, the likeliest first.
        epochs_unknown: whether the epochs of the losses are unknown, so that they may be several epochs apart.
    """
    for comparison in comparisons:
        offset = comparison.exact_offset
        if offset is None and not comparison.observed.is_significant(1):
            offset = comparison.approximate_offset
        if offset is not None:
            return (findings.agreement_finding(comparison, offset),)
    if epochs_unknown and comparisons[0].approximate_offset is None:
        finding = _match_with_spacing(comparisons[0])
        if finding is not None:
            return (finding,)
    for comparison in comparisons:
        matches = _find_causes(comparison)
        if matches:
            return tuple(
                findings.cause_finding(comparison, hypothesis, form, len(matches)) for hypothesis, form in matches
            )
    for comparison in comparisons:
        if comparison.approximate_offset is not None:
            return (findings.agreement_finding(comparison, comparison.approximate_offset),)
    return tuple(findings.unexplained_findings(min(comparisons, key=findings.mismatch)))


def _match_with_spacing(comparison: ObservedComparison) -> Finding | None:
    """The finding that the losses agree if they were printed every N epochs, for each N that fits their count."""
    for every in comparison.observed.possible_intervals(comparison.descent.epochs):
        for observed in comparison.observed.printed_every(every):
            spaced = ObservedComparison(comparison.problem, comparison.descent, observed)
            for offset, unit in (
                (spaced.exact_offset, UNIT_ROUNDOFF),
                (spaced.approximate_offset, FLOAT32_UNIT_ROUNDOFF),
            ):
                if offset is not None and observed.is_significant(
                    SPACING_ALTERNATIVES, observed.predictions_at(spaced.rounding_tolerance(unit), offset)
                ):
                    return findings.agreement_finding(spaced, offset, every)
    return None


def _find_causes(comparison: ObservedComparison) -> CauseMatches:
    """Every cause that reproduces all the numbers, once each.

    By itself; where none does, and theory does not agree loosely, within the rounding of float32; then together with
    another way to print the cost; then two mistakes at once; and only then those that are fitted.
    """
    if not comparison.observed.is_finite.any():
        return []
    candidates = [guess for hypothesis in HYPOTHESES for guess in hypothesis(comparison)]
    matches = _first_match_by_name(comparison, candidates, UNIT_ROUNDOFF)
    if matches or comparison.approximate_offset is not None:
        return matches
    matches = _first_match_by_name(comparison, candidates, FLOAT32_UNIT_ROUNDOFF) or _first_match_by_name(
        comparison, candidates, FLOAT32_UNIT_ROUNDOFF, combined=True
    )
    if not matches:
        pairs = list(update_bugs.ascent_with_other_reduction(comparison))
        matches = _first_match_by_name(comparison, pairs, FLOAT32_UNIT_ROUNDOFF) or _first_match_by_name(
            comparison, pairs, FLOAT32_UNIT_ROUNDOFF, combined=True
        )
    fitted_candidates = (guess for hypothesis in FITTED_HYPOTHESES for guess in hypothesis(comparison))
    return matches or _first_match_by_name(comparison, fitted_candidates, FLOAT32_UNIT_ROUNDOFF)


def _first_match_by_name(
    comparison: ObservedComparison, candidates: Iterable[Hypothesis], unit: float, combined: bool = False
) -> CauseMatches:
    """The first guess of each name that matches, with the way the cost is printed."""
    matches: dict[str, tuple[Hypothesis, str]] = {}
    for hypothesis in candidates:
        if hypothesis.name in matches or (combined and hypothesis.cost_transform is not None):
            continue
        forms = COST_FORMS if combined else (comparison.descent.reduction,)
        form = next((kind for kind in forms if comparison.matches(hypothesis, kind, len(forms), unit)), None)
        if form is not None:
            matches[hypothesis.name] = hypothesis, form
    return list(matches.values())
