"""The only judge of endings: what a loop came to, with the numbers and the words for it."""

from __future__ import annotations

import math

import numpy as np

from descentlab.descent.reductions import gradient_factor
from descentlab.engines import length
from descentlab.messages import Sentence, number, sentence
from descentlab.run.ending import Ending, Reason
from descentlab.run.loop import Loop
from descentlab.theory.full_batch import Theory

NOTHING = 1e-20  # a part of what there was to gain that is only rounding
MANY = 10  # from how many times the minimum's cost on it is said in times, not in percent


def judge(loop: Loop) -> Ending:
    """The ending of a loop that has stopped."""
    assert loop.last is not None
    problem, descent, last = loop.problem, loop.descent, loop.last
    epoch = int(last.epochs[0]) - 1
    lr = float(descent.rates(np.array([max(epoch - 1, 0)]))[0])
    theory = Theory(problem, descent, lr)
    here = last.params[0]
    cost, norm = float(last.cost[0]), float(last.gradient_norm[0])
    excess, at_start = theory.excess(here), theory.excess(problem.start(descent.start))
    reason = _reason(loop, theory)
    growing = theory.growing if descent.foreseeable else None
    ending = Ending(
        reason=reason,
        epoch=epoch,
        since=_since(loop, theory) if reason is Reason.CONVERGED else None,
        cost=cost,
        least_cost=theory.least_cost,
        excess=excess,
        left=excess / at_start if at_start > 0 else math.inf if excess > 0 else 0.0,
        gradient_norm=norm,
        growth=cost / loop.first_cost if loop.first_cost > 0 else math.inf if cost > 0 else 1.0,
        lr=lr,
        lr_bound=theory.lr_bound if descent.is_sgd and theory.applies else None,
        factor=growing.factor if growing else None,
        column=growing.column if growing else None,
        sentences=(),
    )
    return ending.saying(*_words(ending, loop, theory))


def _since(loop: Loop, theory: Theory) -> int:
    """The first recorded epoch from which the gradient is small and the minimum near, by halving."""
    assert loop.last is not None
    looks = [*loop.kept, loop.last]
    epochs = np.concatenate([look.epochs for look in looks])
    params = np.concatenate([look.params for look in looks])
    norms = np.concatenate([look.gradient_norm for look in looks])
    small = (norms <= loop.small) | (theory.decay > 0)  # under weight decay the gradient never is: nearness has to do
    low, high = -1, len(epochs) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if small[middle] and theory.near(params[middle]):
            high = middle
        else:
            low = middle
    return int(epochs[high])


def _reason(loop: Loop, theory: Theory) -> Reason:
    assert loop.last is not None
    if loop.cause is not None and loop.cause is not Reason.CONVERGED:
        return loop.cause
    tail = np.concatenate([look.params for look in loop.kept[-3:]])[-3:]
    unmoved = len(tail) == 3 and bool((tail == loop.last.params).all())
    if loop.last.gradient_norm[0] <= loop.small < math.inf or unmoved or _balanced(loop, theory):
        return Reason.CONVERGED if theory.near(loop.last.params[0]) else Reason.STALLED
    if theory.unstable and loop.last.cost[0] > loop.first_cost:
        return Reason.DIVERGED
    return Reason.OUT_OF_EPOCHS


def _balanced(loop: Loop, theory: Theory) -> bool:
    """Whether weight decay and the gradient cancel: what is left of them is as small as a small gradient."""
    assert loop.last is not None
    if not theory.decay or not theory.applies:
        return False
    here, problem = loop.last.params[0], loop.problem
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = gradient_factor(loop.descent.reduction, problem.weight) * problem.quadratic.gradient(here)
        return bool(length(gradient + theory.decay * here) <= loop.small < math.inf)


def _words(ending: Ending, loop: Loop, theory: Theory) -> list[Sentence]:
    """What to tell: how it ended, then the one thing that explains it."""
    assert loop.last is not None
    descent, bound = loop.descent, ending.lr_bound
    numbers: dict[str, object] = {
        **ending.numbers(),
        "factor": theory.growing.in_words,
        "lr_bound": bound,
        "growth": ending.growth,
        "first_cost": loop.first_cost,
        "dtype": descent.dtype,
        "momentum": descent.effective_momentum,
        "rest": rest(theory, ending.excess, ending.left),
    }
    stuck = ending.reason is Reason.STALLED and ending.gradient_norm > loop.small
    said = [sentence("ending.unmoved" if stuck else f"ending.{ending.reason}", **numbers)]
    if ending.reason is Reason.CONVERGED and ending.gradient_norm > loop.small and theory.decay:
        said = [sentence("ending.balanced", **numbers)]
    if ending.reason is Reason.CONVERGED:
        return said
    broken = ending.reason in (Reason.DIVERGED, Reason.OVERFLOWED)
    if not theory.applies:
        said.append(sentence("ending.accumulates"))
    elif bound is None:
        said += [sentence("ending.no_bound")] * broken
    elif descent.effective_momentum >= 1 and abs(theory.growing.factor) >= 1:  # Nesterov's can converge at 1
        said.append(sentence("ending.momentum_one", **numbers))
    elif 0 < bound < ending.lr:
        key = "ending.above_bound" if ending.factor is not None else "ending.above_full_batch"
        key = key if descent.schedule is None else "ending.above_scheduled"
        said.append(sentence(key, ratio=ending.lr / bound, half=bound / 2, **numbers))
        scaled = theory.scaled_bound if key == "ending.above_bound" else None
        said += [sentence("ending.standardize", bound=scaled)] * (scaled is not None)
    elif broken:
        said.append(sentence("ending.not_full_batch", **numbers))
    elif ending.factor is not None and descent.schedule is None and not theory.near(loop.last.params[0]):
        said.append(sentence("ending.slow", **numbers))
    return said


def rest(theory: Theory, excess: float, left: float) -> Sentence:
    """What is left to gain: against the minimum's cost, or against the start's where the minimum's is 0.

    Args:
        theory: of the descent.
        excess: how far the objective is above the least, as a mean squared error.
        left: that as a part of what it was at the start.
    """
    if not theory.applies or excess == 0 or left < NOTHING:
        return sentence("ending.rest_nothing" if theory.applies else "ending.rest_unknown")
    if theory.fits_exactly:
        return sentence("ending.rest_left", percent=percent(left))
    if theory.penalised:
        return sentence("ending.rest_penalised", percent=percent(excess / theory.least_objective))
    part = excess / theory.least_cost
    if part > MANY:
        return sentence("ending.rest_times", times=number(1 + part), least_cost=theory.least_cost)
    return sentence("ending.rest_above", percent=percent(part), least_cost=theory.least_cost)


def percent(part: float) -> str:
    """A part as a percentage, to three digits, without its sign."""
    return f"{100 * part:.3g}"
