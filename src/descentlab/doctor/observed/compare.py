"""Looking elsewhere: what theory gives against what was observed, and, where they differ, what reproduces it.

Nothing is altered. Predictions are exact (:mod:`descentlab.doctor.observed.loops`), in the asker's own reduction, for
losses printed before or after an update. A cause is named only if simulating it reproduces every number seen, and
the numbers hold enough digits for that not to be chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from descentlab.descent import Descent
from descentlab.doctor.finding import Finding
from descentlab.doctor.observed import hypotheses, loops, said, slips
from descentlab.doctor.observed.inquiry import PRINTED, Guess, Inquiry
from descentlab.doctor.observed.seen import Seen
from descentlab.errors import EngineError, MissingDependencyError
from descentlab.problem import Problem
from descentlab.text import counted, sentence

HYPOTHESES: tuple[Callable[[Inquiry], Iterator[Guess]], ...] = (
    hypotheses.printed_convention,
    hypotheses.gradient_convention,
    hypotheses.stale_weights,
    slips.one_row_cost,
    slips.broadcasting,
    slips.forgotten_zero_grad,
    slips.per_sample_updates,
    slips.swapped_gradients,
    slips.ascent,
)
# These are fitted, so they fit much.
LAST_RESORTS = (hypotheses.printed_multiple, hypotheses.another_rate, hypotheses.other_start)


def compare(problem: Problem, descent: Descent, observed: object, epochs_seen: object = None) -> tuple[Finding, ...]:
    """Hold what a run printed against what it should have printed.

    Args:
        problem, descent: what was meant to be run.
        observed: the final loss, or the losses by epoch from the first, in the descent's own reduction; numbers or
            texts, nan and inf among them.
        epochs_seen: the numbers of the epochs that these losses were printed at, if they are others.

    Returns:
        One finding that they agree; or the causes that reproduce every number; or that it is not the rate, with
        what to check in order.

    Raises:
        SettingError: what was observed is no number, negative, or empty; the epochs do not fit.
    """
    seen = Seen.of(observed, descent.epochs, epochs_seen)
    case = Inquiry(problem, descent, seen)
    if descent.batch_size is not None and descent.batch_size < problem.n and descent.shuffle:
        return (said.beyond_theory(sentence("observed.random", size=counted(descent.batch_size, "row"))),)
    if not loops.affordable(problem, descent, int(seen.updates[-1])):
        return (said.beyond_theory(sentence("observed.too_long", updates=int(seen.updates[-1]))),)
    try:
        losses = case.losses
    except (EngineError, MissingDependencyError) as cause:
        return (said.beyond_theory(sentence("observed.no_engine", cause=cause.sentence)),)
    shift = seen.reproduced(losses)
    loosely = seen.agrees(losses, case.drift)
    if shift is None and not seen.tells(1):
        shift = loosely
    if shift is not None:
        return (said.agrees(case, shift),)
    causes = _causes(case, loosely)
    if not causes and loosely is not None:
        return (said.agrees(case, loosely),)
    return tuple(causes or said.unexplained(case))


def _causes(case: Inquiry, loosely: int | None) -> list[Finding]:
    """Every cause that reproduces all the numbers, once each.

    By itself; where none does, and theory does not agree loosely, together with another way to print the cost; and
    only then those that are fitted.
    """
    if not case.seen.finite.any():
        return []
    guesses = [guess for hypothesis in HYPOTHESES for guess in hypothesis(case)]
    found = _matching(case, guesses, combined=False)
    if found or loosely is not None:
        return found
    fitted = (guess for hypothesis in LAST_RESORTS for guess in hypothesis(case))
    return _matching(case, guesses, combined=True) or _matching(case, fitted, combined=False)


def _matching(case: Inquiry, guesses: Iterable[Guess], combined: bool) -> list[Finding]:
    found: dict[str, Finding] = {}
    for guess in guesses:
        kind = None if guess.name in found else _matches(case, guess, combined)
        if kind is not None:
            found[guess.name] = said.cause(case, guess, kind)
    return list(found.values())


def _matches(case: Inquiry, guess: Guess, combined: bool) -> str | None:
    """The way of printing the cost by which a guess reproduces the numbers, or None."""
    if not combined:
        fits = case.seen.tells(guess.among) and case.seen.reproduced(guess.losses, guess.slack) is not None
        return case.descent.reduction if fits else None
    if guess.costs is None or not case.seen.tells(guess.among * len(PRINTED)):
        return None
    for kind, printed in PRINTED.items():
        if case.seen.reproduced(printed(guess.costs, case.problem.weight)) is not None:
            return kind
    return None
