"""What to do about a fit that diverged, or fell short of the minimum: what is so already is no cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from descentlab.errors import DivergenceError
from descentlab.messages import Sentence, counted, number, sentence
from descentlab.theory.full_batch import Theory

if TYPE_CHECKING:
    from descentlab.sklearn.fitting import Fitted


def beyond(theory: Theory, settings: Any) -> DivergenceError:
    """The rate, its bound, the column along which errors grow, and what to do."""
    growing, bound = theory.growing, theory.lr_bound
    if theory.descent.effective_momentum >= 1 or bound == 0:
        return DivergenceError("estimator_momentum", momentum=theory.descent.momentum)
    return DivergenceError(
        "estimator_diverges",
        lr=theory.descent.lr,
        ratio=theory.descent.lr / bound,
        bound=bound,
        column=growing.column,
        factor=growing.in_words,
        cures=cures(theory, settings),
    )


def cures(theory: Theory, settings: Any) -> Sentence:
    """What else to give: the automatic rate, half the bound, standardized columns and their bound."""
    problem, descent = theory.problem, theory.descent
    if descent.effective_momentum >= 1:
        return sentence("estimator.cures_momentum")
    if isinstance(settings.lr, str):
        return sentence("estimator.cures_smaller", smaller=number(descent.lr / 10))
    half = theory.lr_bound / 2
    if problem.standardize:
        return sentence("estimator.cures_auto", half=half)
    other = Theory(problem.variant(standardize=True), descent)
    return sentence("estimator.cures", half=half, bound=other.lr_bound)


def nearer(settings: Any, one: Fitted) -> list[Sentence]:
    """What of an estimator's settings would bring a fit nearer to the minimum: none that is so already."""
    closed = one.descent.batch_size is None and one.descent.schedule is None
    if closed and settings.epochs is not None:
        return [sentence("estimator.nearer_epochs")]
    found = [] if closed else [sentence("estimator.nearer_more", epochs=counted(one.descent.epochs))]
    if one.descent.schedule is not None:
        found.append(sentence("estimator.nearer_schedule"))
    if not isinstance(settings.lr, str):
        found.append(sentence("estimator.nearer_auto"))
    elif not one.problem.standardize:
        found.append(sentence("estimator.nearer_ridge" if one.problem.ridge else "estimator.nearer_scaled"))
    return found
