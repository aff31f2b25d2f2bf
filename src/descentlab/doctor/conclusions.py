"""What the forecast means: the verdict in words, the bound, the overflow, the slow direction, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descentlab.doctor.direction import Direction
from descentlab.doctor.finding import Finding, Weight
from descentlab.doctor.forecast import Forecast, Verdict
from descentlab.doctor.rates import Rate
from descentlab.doctor.remedies import LITTLE
from descentlab.text import Sentence, number, rounded, sentence
from descentlab.theory import Theory
from descentlab.verdict import percent, rest

if TYPE_CHECKING:
    from descentlab.doctor.folds.validation import Validation

POLYAK = "B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964)"
NESTEROV = "Y. Nesterov, Introductory Lectures on Convex Optimization (2004), theorem 2.1.15"
BOTTOU = (
    "L. Bottou, F. E. Curtis, J. Nocedal, Optimization Methods for Large-Scale Machine Learning (2018), theorem 4.6"
)
IEEE = "IEEE 754: the largest float32 is about 3.4e38, the largest float64 about 1.8e308"
WORSE = 1.5  # how many times the fastest's epochs make the textbook's rate worth a warning
FAR_OFF = 0.1  # a coefficient that is off by this part of itself is worth a sentence
EARLY = 0.001  # a held-out cost that rises again by less than this part is flat


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


def conclusions(case: Case) -> list[Finding]:
    """What can be said of the run itself, the verdict first."""
    found = [_verdict(case)]
    for conclude in (_bound, _overflow, _lower_rate, _slow_direction, _worst_case, _exact_fit, _penalty, _settings):
        found += conclude(case)
    return found


def _verdict(case: Case) -> Finding:
    verdict, forecast = case.forecast.verdict, case.forecast
    if verdict is Verdict.UNKNOWN:
        return _cannot_tell(case)
    if verdict is Verdict.DIVERGES:
        return _diverges(case)
    if forecast.epochs_to_tolerance == 0:
        return Finding("at_the_minimum", Weight.FACT, (sentence("finding.at_the_minimum", within=case.percent),))
    return _converges(case) if verdict.converges else _too_slow(case)


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
    evidence = {"batch_size": descent.batch_size, "steps_per_epoch": steps, "lr_bound_of_the_average_step": bound}
    return Finding("mini_batches", Weight.CAUTION, tuple(said), evidence, sentence("advice.mini_batches"), BOTTOU)


def _diverges(case: Case) -> Finding:
    theory, forecast = case.theory, case.forecast
    descent = theory.descent
    if not forecast.closed_form:
        first = _first_cost(theory)
        key = "finding.diverges_walked" if forecast.cost is not None else "finding.overflows_walked"
        said = sentence(key, epochs=counted(descent.epochs), cost=forecast.cost, first_cost=first)
        return Finding("diverges", Weight.PROBLEM, (said,), {"cost": forecast.cost, "first_cost": first})
    growing = theory.growing
    evidence = {"factor": growing.factor, "lr": descent.lr, "lr_bound": theory.lr_bound}
    if descent.effective_momentum > 1:
        said = sentence("finding.diverges_momentum", momentum=descent.effective_momentum, factor=growing.in_words)
        return Finding("diverges", Weight.PROBLEM, (said,), evidence, sentence("advice.momentum_one"), POLYAK)
    direction = case.fastest.name if case.fastest else ""
    said = sentence("finding.diverges", direction=direction, factor=growing.in_words)
    steeply = growing.factor < 0
    sides = (sentence("finding.changes_sides"),) if steeply else ()
    return Finding("diverges", Weight.PROBLEM, (said, *sides), evidence, None, NESTEROV)


def _converges(case: Case) -> Finding:
    forecast, epochs = case.forecast, case.theory.descent.epochs
    how = "finding.converges_swinging" if forecast.oscillates else "finding.converges_smoothly"
    needed = forecast.epochs_to_tolerance
    said = [sentence(how, needed=needed, within=case.percent), _after(case), *_furthest(case)]
    evidence = {"epochs_to_tolerance": needed, "epochs": epochs, "cost": forecast.cost}
    return Finding("converges", Weight.FACT, tuple(said), evidence)


def _too_slow(case: Case) -> Finding:
    forecast, theory = case.forecast, case.theory
    descent, needed = theory.descent, case.forecast.epochs_to_tolerance
    swings = forecast.closed_form and needed is None
    said = [sentence("finding.never_shrinks" if swings else "finding.too_slow"), _after(case), *_furthest(case)]
    if needed is not None:
        times = rounded(needed / descent.epochs)
        said.append(sentence("finding.needs", needed=counted(needed), within=case.percent, times=times))
    elif not forecast.closed_form:
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
    """The fastest rate as advice, if it is any faster."""
    best, needed = case.rates.get("fastest"), case.forecast.epochs_to_tolerance
    if best is None or best.epochs is None or not case.theory.descent.is_sgd:
        return None
    pair = case.rates.get("fastest_pair")
    values = {"lr": best.shown, "epochs": counted(best.epochs), "within": case.percent}
    if pair is not None and pair.epochs is not None and pair.epochs < 0.9 * best.epochs:
        values |= {"momentum": pair.shown_momentum, "pair_lr": pair.shown, "pair_epochs": counted(pair.epochs)}
    if needed is not None and best.epochs > 0.9 * needed:
        return sentence("advice.only_momentum", **values) if "momentum" in values else None
    return sentence("advice.quicker" if "momentum" in values else "advice.another_rate", **values)


def _overflow(case: Case) -> Iterator[Finding]:
    table, epochs = case.forecast.overflow, case.theory.descent.epochs
    if table is None:
        return
    for kind, key in (("float32", "finding.overflow"), ("float64", "finding.overflow_double")):
        weights = table[kind]["weights"]
        if weights is None:
            continue
        said = [sentence(key, **table[kind])]
        if weights > epochs:
            said.append(sentence("finding.overflow_later", epochs=counted(epochs)))
        weight = Weight.PROBLEM if weights <= epochs else Weight.FACT
        yield Finding("overflow", weight, tuple(said), {"type": kind, **table[kind]}, None, IEEE)


def _bound(case: Case) -> Iterator[Finding]:
    theory = case.theory
    descent, bound = theory.descent, theory.lr_bound
    if not (descent.is_sgd and theory.applies and descent.batch_size is None) or descent.effective_momentum >= 1:
        return
    if math.isinf(bound):
        yield Finding("nothing_curves", Weight.FACT, (sentence("finding.nothing_curves"),), {"lr_bound": bound})
        return
    ratio = descent.lr / bound
    values = {
        "lr": descent.lr,
        "bound": bound,
        "ratio": number(ratio),
        "percent": number(100 * ratio) if 0.9 < ratio < 1 else percent(ratio),
    }
    key = "finding.above_bound" if ratio > 1 else "finding.below_bound"
    said = [sentence(key, **values)]
    if descent.momentum and not descent.nesterov:
        plain = 2 / (theory.spectrum.largest + theory.decay)
        said.append(sentence("finding.bound_with_momentum", momentum=descent.momentum, plain=plain))
    if descent.schedule is not None:
        said.append(sentence("finding.bound_scheduled"))
    weight = Weight.PROBLEM if ratio > 1 and descent.schedule is None else Weight.FACT
    source = POLYAK if descent.momentum else NESTEROV
    yield Finding("bound", weight, tuple(said), {"lr": descent.lr, "lr_bound": bound, "ratio": ratio}, None, source)


def _lower_rate(case: Case) -> Iterator[Finding]:
    """Lowering the rate alone mostly trades NaN for slowness: by how much."""
    best = case.rates.get("fastest")
    if case.forecast.verdict is not Verdict.DIVERGES or not case.forecast.closed_form or best is None:
        return
    if best.epochs is None:
        return
    values: dict[str, object] = {"lr": best.shown, "epochs": counted(best.epochs), "within": case.percent}
    evidence, asked = {"lr": best.lr, "epochs": best.epochs}, case.theory.descent.epochs
    if best.epochs <= asked:
        said = sentence("finding.lower_rate_works", **values)
        yield Finding("lower_rate", Weight.FACT, (said,), evidence, sentence("advice.lower_rate_works", lr=best.shown))
        return
    pair = case.rates.get("fastest_pair")
    said = sentence("finding.lower_rate_is_slow", asked=asked, **values)
    advice = sentence("advice.change_the_problem")
    if pair is not None and pair.epochs is not None and pair.momentum > LITTLE and best.epochs:
        advice = sentence(
            "advice.momentum_or_problem", momentum=pair.shown_momentum, lr=pair.shown, epochs=counted(pair.epochs)
        )
    yield Finding("lower_rate", Weight.CAUTION, (said,), evidence, advice)


def _slow_direction(case: Case) -> Iterator[Finding]:
    slowest, condition = case.slowest, case.theory.spectrum.condition
    if slowest is None or condition < 10:
        return
    descent = case.theory.descent
    said = [sentence("finding.slow_direction", direction=slowest.name, condition=rounded(condition))]
    if case.forecast.closed_form and descent.effective_momentum < 1:
        said.append(sentence("finding.slow_factor", factor=slowest.factor_in_words))
    evidence = {"condition": condition, "columns": slowest.columns, "factor": slowest.factor}
    yield Finding("slow_direction", Weight.CAUTION, tuple(said), evidence, None, NESTEROV)


def _worst_case(case: Case) -> Iterator[Finding]:
    """The textbook's rate is for the worst start, and this one is hardly ever it."""
    book, best = case.rates.get("textbook"), case.rates.get("fastest")
    if book is None or best is None or best.epochs is None or book.epochs is None:
        return
    if book.epochs >= WORSE * max(best.epochs, 1):
        values = {"textbook": book.shown, "lr": best.shown, "times": rounded(book.epochs / max(best.epochs, 1))}
        counts = {"slow": counted(book.epochs), "epochs": counted(best.epochs)}
        said = sentence("finding.worst_case_rate", **values, **counts)
        yield Finding("worst_case_rate", Weight.FACT, (said,), values, None, NESTEROV)


def _exact_fit(case: Case) -> Iterator[Finding]:
    if case.theory.fits_exactly and case.forecast.verdict is not Verdict.UNKNOWN:
        yield Finding("exact_fit", Weight.FACT, (sentence("finding.exact_fit", within=case.percent),))


def _penalty(case: Case) -> Iterator[Finding]:
    theory = case.theory
    if theory.penalised:
        key = "finding.weight_decay" if theory.decay else "finding.ridge"
        values = {"least": theory.least_cost, "unpenalised": theory.problem.fit.cost if theory.decay else None}
        yield Finding("penalty", Weight.FACT, (sentence(key, **values),), values)


def _settings(case: Case) -> Iterator[Finding]:
    """What the settings themselves call for: forgotten zero_grad, schedules, other optimizers, whole batches."""
    theory = case.theory
    descent = theory.descent
    if not descent.zero_grad and descent.is_sgd:
        said = sentence("finding.forgotten_zero_grad")
        yield Finding(
            "forgotten_zero_grad", Weight.PROBLEM, (said,), {"momentum": 1.0}, sentence("advice.zero_grad"), POLYAK
        )
    elif descent.effective_momentum == 1:
        said = sentence("finding.momentum_one")
        yield Finding(
            "momentum_one", Weight.PROBLEM, (said,), {"momentum": 1.0}, sentence("advice.momentum_one"), POLYAK
        )
    if not descent.is_sgd and descent.batch_size is None:
        yield _optimizer(case)
    if case.whole_batch:
        yield Finding("whole_batch", Weight.FACT, (sentence("finding.whole_batch", rows=theory.problem.n),))


def _optimizer(case: Case) -> Finding:
    descent, needed = case.theory.descent, case.forecast.epochs_to_tolerance
    key = "finding.optimizer_reaches" if needed is not None else "finding.optimizer_does_not"
    said = [
        sentence(key, optimizer=descent.optimizer, needed=needed, epochs=counted(descent.epochs), within=case.percent)
    ]
    best = case.rates.get("fastest")
    if best is not None and best.epochs is not None:
        said.append(sentence("finding.optimizer_beside", lr=best.shown, epochs=counted(best.epochs)))
    return Finding("optimizer", Weight.FACT, tuple(said), {"epochs_to_tolerance": needed})


def held_out_finding(validation: Validation, epochs: int) -> Finding:
    """When to stop for the sake of rows held out of the fit."""
    values = {
        "best": validation.best_updates,
        "best_cost": validation.best_cost,
        "final_cost": validation.final_cost,
        "epochs": epochs,
        "rows": validation.rows,
    }
    early = validation.best_updates < epochs and validation.final_cost > validation.best_cost * (1 + EARLY)
    said = sentence("finding.held_out_early" if early else "finding.held_out_late", **values)
    advice = sentence("advice.held_out_early", best=validation.best_updates) if early else None
    return Finding("held_out", Weight.CAUTION if early else Weight.FACT, (said,), values, advice, about="held_out")


def counted(epochs: int) -> Sentence:
    """A number of epochs: "1 epoch", "2,000 epochs"."""
    return sentence("count.epoch" if epochs == 1 else "count.epochs", count=epochs)


def _first_cost(theory: Theory) -> float:
    return float(theory.problem.quadratic.cost(theory.problem.start(theory.descent.start)))
