"""The verdict as a finding: what becomes of the run, in words, with what is left to gain and how long it would take."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from descentlab.descent.recursion import nesterov_window
from descentlab.descent.residual_polynomial import ROUNDING
from descentlab.doctor.directions import Direction, Namer
from descentlab.doctor.finding import Finding, Weight
from descentlab.doctor.forecast import Forecast, Verdict
from descentlab.doctor.remedies import LITTLE
from descentlab.messages import Sentence, counted, distinct, rounded, sentence
from descentlab.run.termination import percent, rest
from descentlab.theory.full_batch import Theory
from descentlab.theory.learning_rates import Rate
from descentlab.theory.settling_time import FARTHEST

POLYAK = "B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964)"
SAAD = "Y. Saad, Iterative Methods for Sparse Linear Systems (2nd ed., 2003), section 4.2.1"
BOTTOU = (
    "L. Bottou, F. E. Curtis, J. Nocedal, Optimization Methods for Large-Scale Machine Learning (2018), theorem 4.6"
)
FAR_OFF = 0.1  # a coefficient that is off by this part of itself is worth a sentence


@dataclass(frozen=True, eq=False)
class Case:
    """Everything that conclusions are drawn from.

    Attributes:
        theory: of the descent as asked.
        forecast: what will become of it.
        within: the tolerance.
        slowest, fastest: its flattest and its steepest direction; None where nothing curves.
        rates: the rates to use, by name.
        whole_batch: whether the batch size asked for holds every row.
    """

    theory: Theory
    forecast: Forecast
    within: float
    slowest: Direction | None
    fastest: Direction | None
    rates: dict[str, Rate]
    whole_batch: bool

    @property
    def percent(self) -> str:
        return percent(self.within)


def verdict(case: Case) -> Finding:
    """What becomes of the run."""
    word, forecast = case.forecast.verdict, case.forecast
    if word is Verdict.UNKNOWN:
        return _cannot_tell(case) if forecast.walked is None else _too_long(case)
    if word is Verdict.DIVERGES:
        return _diverges(case)
    if forecast.epochs_to_tolerance == 0:
        said = [sentence("finding.at_the_minimum", within=case.percent), *_unstable(case)]
        weight = Weight.CAUTION if case.theory.unstable else Weight.FACT
        return Finding("at_the_minimum", weight, tuple(said))
    return _converges(case) if word.converges else _too_slow(case)


def _cannot_tell(case: Case) -> Finding:
    descent, problem = case.theory.descent, case.theory.problem
    assert descent.batch_size is not None
    steps = math.ceil(problem.n / descent.batch_size)
    bound = case.theory.lr_bound
    said = [sentence("finding.mini_batches", size=descent.batch_size, rows=problem.n, steps=steps)]
    if descent.is_sgd and math.isfinite(bound) and bound > 0:
        ratio = descent.lr / bound
        key = "finding.mini_batches_above" if ratio > 1 else "finding.mini_batches_below"
        said.append(sentence(key, lr=descent.lr, bound=bound, ratio=ratio, percent=percent(ratio)))
    evidence: dict[str, object] = {"batch_size": descent.batch_size, "steps_per_epoch": steps}
    if descent.is_sgd:
        evidence["lr_bound_of_the_average_step"] = bound
    return Finding("mini_batches", Weight.CAUTION, tuple(said), evidence, sentence("advice.mini_batches"), BOTTOU)


def _too_long(case: Case) -> Finding:
    """More epochs than anybody would wait for: what came of the first of them."""
    forecast, asked = case.forecast, case.theory.descent.epochs
    values = {"walked": counted(forecast.walked or 0), "epochs": counted(asked), "cost": forecast.cost}
    evidence = {"walked": forecast.walked, "epochs": asked, "cost": forecast.cost}
    return Finding("too_long_to_walk", Weight.CAUTION, (sentence("finding.too_long_to_walk", **values),), evidence)


def _unstable(case: Case) -> list[Sentence]:
    """A rate that would diverge, if the start had an error where it does."""
    theory = case.theory
    if not theory.unstable or theory.diverges:
        return []
    factor = float(theory.factors[np.argmax(np.where(theory.response.grows, np.abs(theory.factors), 0.0))])
    return [sentence("finding.unstable_unfelt", factor=factor)]


def _diverges(case: Case) -> Finding:
    theory, forecast = case.theory, case.forecast
    descent = theory.descent
    if theory.accumulating > 1:
        said = sentence("finding.diverges_accumulating", factor=distinct(theory.accumulating))
        return Finding(
            "diverges", Weight.PROBLEM, (said,), {"factor": theory.accumulating}, sentence("advice.zero_grad")
        )
    if not forecast.closed_form:
        first = _first_cost(theory)
        key = "finding.diverges_walked" if forecast.cost is not None else "finding.overflows_walked"
        said = sentence(key, epochs=counted(descent.epochs), cost=forecast.cost, first_cost=first)
        return Finding("diverges", Weight.PROBLEM, (said,), {"cost": forecast.cost, "first_cost": first})
    growing = theory.growing
    evidence = {"factor": growing.factor, "lr": descent.lr, "lr_bound": theory.lr_bound}
    if descent.effective_momentum > 1 and descent.nesterov:
        said = sentence("finding.diverges_nesterov", factor=growing.in_words)
        window = sentence("finding.nesterov_window", **nesterov_window(descent.momentum))
        advice = sentence("advice.momentum_one")
        return Finding("diverges", Weight.PROBLEM, (said, window), evidence, advice, POLYAK)
    if descent.effective_momentum > 1:
        said = sentence("finding.diverges_momentum", momentum=descent.effective_momentum, factor=growing.in_words)
        return Finding("diverges", Weight.PROBLEM, (said,), evidence, sentence("advice.momentum_one"), POLYAK)
    direction = Namer(theory.problem).name(theory.spectrum.directions[:, growing.direction])
    steeply = growing.factor < 0
    if abs(abs(growing.factor) - 1) <= ROUNDING:  # two roots of size 1 meet
        said = sentence("finding.diverges_linearly", direction=direction, momentum=descent.effective_momentum)
    else:
        key = "finding.diverges_along" if growing.direction else "finding.diverges"
        said = sentence(key, direction=direction, factor=growing.in_words)
    sides = (sentence("finding.changes_sides"),) if steeply else ()
    return Finding("diverges", Weight.PROBLEM, (said, *sides), evidence, None, SAAD)


def _converges(case: Case) -> Finding:
    forecast, epochs = case.forecast, case.theory.descent.epochs
    how = "finding.converges_swinging" if forecast.oscillates else "finding.converges_smoothly"
    needed = forecast.epochs_to_tolerance
    said = [sentence(how, needed=needed, within=case.percent), _after(case), *_furthest(case), *_unstable(case)]
    if needed is not None and needed > epochs:
        said.insert(1, sentence("finding.leaves_again", epochs=counted(epochs), within=case.percent))
    evidence = {"epochs_to_tolerance": needed, "epochs": epochs, "cost": forecast.cost}
    return Finding("converges", Weight.FACT, tuple(said), evidence)


def _too_slow(case: Case) -> Finding:
    forecast, theory = case.forecast, case.theory
    descent, needed = theory.descent, forecast.epochs_to_tolerance
    endless = forecast.closed_form and needed is None
    fading = theory.growing.gap > 0 and abs(theory.growing.factor) <= 1
    stays = bool((theory.response.stands & ~theory.response.swings & (theory.error != 0)).any())
    first = "too_slow" if not endless or fading else "stays_off" if stays else "never_shrinks"
    first = "never_settles" if theory.accumulating > 1 - ROUNDING else first
    said = [sentence(f"finding.{first}" if descent.is_sgd else "finding.too_slow_walked"), _after(case)]
    if forecast.near:
        said.append(sentence("finding.near_by_chance", within=case.percent))
    said += [*_furthest(case), *_unstable(case)]
    if needed is not None:
        times = rounded(needed / descent.epochs)
        said.append(sentence("finding.needs", needed=counted(needed), within=case.percent, times=times))
    elif endless and fading:
        said.append(sentence("finding.beyond_counting", within=case.percent, most=FARTHEST))
    elif not forecast.closed_form and descent.is_sgd:
        said.append(sentence("finding.not_within", epochs=counted(descent.epochs), within=case.percent))
    evidence = {"epochs_to_tolerance": needed, "epochs": descent.epochs, "cost": forecast.cost}
    return Finding("too_slow", Weight.PROBLEM, tuple(said), evidence, _quicker(case))


def _after(case: Case) -> Sentence:
    """The cost after the last update, and what is left to gain."""
    theory, forecast = case.theory, case.forecast
    assert forecast.params is not None
    here = theory.problem.coordinates.from_units(forecast.params)
    start = theory.problem.start(theory.descent.start)
    excess, at_start = theory.excess(here), theory.excess(start)
    left = excess / at_start if at_start > 0 else 0.0
    own: Sentence | str = ""
    if theory.scale != 1 and forecast.cost is not None:
        own = sentence("finding.own_loss", loss=forecast.cost * theory.scale, reduction=theory.descent.reduction)
    epochs, remaining = counted(theory.descent.epochs), rest(theory, excess, left)
    return sentence("finding.after", epochs=epochs, cost=forecast.cost, own=own, rest=remaining)


def _furthest(case: Case) -> list[Sentence]:
    """The coefficient that is furthest from where it is bound: a cost near its minimum can hide it."""
    theory, params = case.theory, case.forecast.params
    if params is None or not theory.descent.is_sgd:
        return []
    goal = theory.problem.coordinates.to_units(theory.destination)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.nan_to_num(np.abs(params - goal) / theory.sizes)
    j = int(np.argmax(off))
    if off[j] < (case.within if theory.fits_exactly else FAR_OFF):
        return []
    name = f"`{theory.problem.parameters[j]}`"
    return [sentence("finding.furthest", name=name, value=float(params[j]), goal=float(f"{goal[j]:.6g}"))]


def _quicker(case: Case) -> Sentence | None:
    """What would be quicker: another rate, or momentum."""
    descent, needed = case.theory.descent, case.forecast.epochs_to_tolerance
    best, pair = case.rates.get("fastest"), case.rates.get("fastest_pair")
    if best is None or best.epochs is None or pair is None or pair.epochs is None or not descent.is_sgd:
        return None
    values = {"lr": best.shown, "epochs": counted(best.epochs), "momentum": pair.shown_momentum}
    values |= {"pair_lr": pair.shown, "pair_epochs": counted(pair.epochs)}
    if descent.momentum:
        worth = needed is None or pair.epochs < 0.9 * needed
        return sentence("advice.pair" if pair.momentum > LITTLE else "advice.plain", **values) if worth else None
    faster = pair.epochs < 0.9 * best.epochs
    if needed is not None and best.epochs > 0.9 * needed:
        return sentence("advice.only_momentum", **values) if faster else None
    return sentence("advice.quicker" if faster else "advice.another_rate", **values)


def _first_cost(theory: Theory) -> float:
    return float(theory.problem.quadratic.cost(theory.problem.start(theory.descent.start)))
