"""Looking elsewhere: what theory gives against what was observed, and, where they differ, what reproduces it.

Nothing is altered. Predictions are exact (:mod:`descentlab.doctor.observed.simulation`), in the asker's own
reduction, for
losses printed before or after an update. A cause is named only if simulating it reproduces every number seen, and
the numbers hold enough digits for that not to be chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.finding import Finding
from descentlab.doctor.observed import findings, simulation
from descentlab.doctor.observed.causes import loop_bugs, other_settings, other_start_or_rate, printed_cost, update_bugs
from descentlab.doctor.observed.comparison import KINDS, Guess, Inquiry
from descentlab.doctor.observed.losses import Seen
from descentlab.doctor.observed.rounding import DOUBLE, SINGLE
from descentlab.errors import EngineError, MissingDependencyError
from descentlab.messages import counted, sentence
from descentlab.problem.problem import Problem

HYPOTHESES: tuple[Callable[[Inquiry], Iterator[Guess]], ...] = (
    printed_cost.printed_convention,
    printed_cost.gradient_convention,
    other_start_or_rate.stale_weights,
    loop_bugs.one_row_cost,
    loop_bugs.broadcasting,
    loop_bugs.forgotten_zero_grad,
    loop_bugs.per_sample_updates,
    update_bugs.swapped_gradients,
    update_bugs.ascent,
    update_bugs.sequential_updates,
    update_bugs.not_updated,
    update_bugs.input_missing,
    other_settings.momentum_acts,
    other_settings.decay_acts,
    other_settings.bias_added,
    other_settings.scaled_columns,
)
# These are fitted, so they fit much.
LAST_RESORTS = (printed_cost.printed_multiple, other_start_or_rate.another_rate, other_start_or_rate.other_start)
Causes = list[tuple[Guess, str]]
WAYS = 12  # to be printed some epochs apart: how far, from which on, before or after the update


def compare(
    problem: Problem, descent: Descent, observed: object, epochs_seen: object = None, every: int = 1
) -> tuple[Finding, ...]:
    """Hold what a run printed against what it should have printed.

    Args:
        problem, descent: what was meant to be run.
        observed: the final loss, or the losses by epoch from the first, in the descent's own reduction; numbers or
            texts, nan and inf among them.
        epochs_seen: the numbers of the epochs that these losses were printed at, if they are others.
        every: the losses were printed every so many epochs, from the first or from that one on. Where 1 does not
            fit and their count suggests another number, that is tried.

    Returns:
        One finding that they agree; or the causes that reproduce every number; or that it is not the rate, with
        what to check in order.

    Raises:
        SettingError: what was observed is no number, negative, or empty; the epochs do not fit.
    """
    readings = [Inquiry(problem, descent, seen) for seen in Seen.readings(observed, descent.epochs, epochs_seen, every)]
    some = descent.batch_size is not None and (descent.batch_size < problem.n or descent.replacement)
    if descent.batch_size is not None and some and descent.shuffle:
        return (findings.beyond_theory(sentence("observed.random", size=counted(descent.batch_size, "row"))),)
    longest = max(int(case.seen.updates[-1]) for case in readings)
    if not simulation.affordable(problem, descent, longest):
        return (findings.beyond_theory(sentence("observed.too_long", updates=longest)),)
    try:
        # Rates and losses of any size are asked about, and what leaves float64 is told apart where it matters.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            return _held(readings, every == 1 and epochs_seen is None)
    except (EngineError, MissingDependencyError) as cause:
        return (findings.beyond_theory(sentence("observed.no_engine", cause=cause.sentence)),)


def _held(readings: list[Inquiry], in_a_row: bool) -> tuple[Finding, ...]:
    """What follows from the losses, read in one way or in several.

    Args:
        readings: the ways, the likeliest first.
        in_a_row: whether the epochs were not told, so that they may have been some epochs apart.
    """
    for case in readings:
        shift = case.exactly
        if shift is None and not case.seen.tells(1):
            shift = case.loosely
        if shift is not None:
            return (findings.agrees(case, shift),)
    if in_a_row and readings[0].loosely is None:
        found = _apart(readings[0])
        if found is not None:
            return (found,)
    for case in readings:
        causes = _causes(case)
        if causes:
            return tuple(findings.cause(case, guess, kind, len(causes)) for guess, kind in causes)
    for case in readings:
        if case.loosely is not None:
            return (findings.agrees(case, case.loosely),)
    return tuple(findings.unexplained(min(readings, key=findings.distance)))


def _apart(case: Inquiry) -> Finding | None:
    """That the losses agree if they were printed every so many epochs, where their count makes that whole."""
    for every in case.seen.strides(case.descent.epochs):
        for seen in case.seen.spaced(every):
            spaced = Inquiry(case.problem, case.descent, seen)
            for shift, unit in ((spaced.exactly, DOUBLE), (spaced.loosely, SINGLE)):
                if shift is not None and seen.tells(WAYS, seen.at(spaced.rounding(unit), shift)):
                    return findings.agrees(spaced, shift, every)
    return None


def _causes(case: Inquiry) -> Causes:
    """Every cause that reproduces all the numbers, once each.

    By itself; where none does, and theory does not agree loosely, within the rounding of float32; then together with
    another way to print the cost; and only then those that are fitted.
    """
    if not case.seen.finite.any():
        return []
    guesses = [guess for hypothesis in HYPOTHESES for guess in hypothesis(case)]
    found = _matching(case, guesses, DOUBLE)
    if found or case.loosely is not None:
        return found
    found = _matching(case, guesses, SINGLE) or _matching(case, guesses, SINGLE, combined=True)
    fitted = (guess for hypothesis in LAST_RESORTS for guess in hypothesis(case))
    return found or _matching(case, fitted, SINGLE)


def _matching(case: Inquiry, guesses: Iterable[Guess], unit: float, combined: bool = False) -> Causes:
    """The first guess of each name that matches, with the way the cost is printed."""
    found: dict[str, tuple[Guess, str]] = {}
    for guess in guesses:
        if guess.name in found or (combined and guess.form is not None):
            continue
        kinds = KINDS if combined else (case.descent.reduction,)
        kind = next((kind for kind in kinds if case.matches(guess, kind, len(kinds), unit)), None)
        if kind is not None:
            found[guess.name] = guess, kind
    return list(found.values())
