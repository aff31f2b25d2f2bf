"""What else follows from the forecast: the bound, the overflow, the slow direction, the settings, what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from descentlab.doctor.finding import Finding, Weight
from descentlab.doctor.findings.outcome import POLYAK, SAAD, Case, verdict
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.remedies import LITTLE
from descentlab.messages import Sentence, counted, distinct, rounded, sentence
from descentlab.run.termination import percent

if TYPE_CHECKING:
    from descentlab.model_selection.validation import Validation

IEEE = "IEEE 754: the largest float32 is about 3.4e38, the largest float64 about 1.8e308"
WORSE = 1.5  # how many times the fastest's epochs make the textbook's rate worth a warning
EARLY = 0.001  # a held-out cost that rises again by less than this part is flat


def conclusions(case: Case) -> list[Finding]:
    """What can be said of the run itself, the verdict first."""
    found = [verdict(case)]
    for conclude in (_bound, _overflow, _lower_rate, _slow_direction, _worst_case, _exact_fit, _penalty, _settings):
        found += conclude(case)
    return found


def _overflow(case: Case) -> Iterator[Finding]:
    table, epochs = case.forecast.overflow, case.theory.descent.epochs
    if table is None:
        return
    for kind, key in (("float32", "finding.overflow"), ("float64", "finding.overflow_double")):
        weights = table[kind]["weights"]
        if weights is None:
            continue
        said = [sentence(key, **table[kind] | {"cost": _updates(table[kind]["cost"])})]
        firsts = [count for count in table[kind].values() if count is not None]
        if min(firsts) > epochs:
            said.append(sentence("finding.overflow_later", epochs=counted(epochs)))
        elif max(firsts) > epochs:
            said.append(sentence("finding.overflow_partly", epochs=counted(epochs)))
        weight = Weight.PROBLEM if min(firsts) <= epochs else Weight.FACT
        yield Finding("overflow", weight, tuple(said), {"type": kind, **table[kind]}, None, IEEE)


def _updates(count: int | None) -> Sentence | None:
    return None if count is None else counted(count, "update")


def _bound(case: Case) -> Iterator[Finding]:
    theory = case.theory
    descent, bound = theory.descent, theory.lr_bound
    if not (descent.is_sgd and theory.applies and descent.batch_size is None) or bound == 0:
        return
    if descent.effective_momentum == 1 and descent.lr <= bound:  # stable, which is not what matters then
        return
    if math.isinf(bound) and theory.largest > 0:
        words = (sentence("finding.dampened", momentum=descent.momentum),)
        yield Finding("dampened", Weight.PROBLEM, words, {"lr_bound": bound}, sentence("advice.dampened"))
        return
    if math.isinf(bound):
        yield Finding("nothing_curves", Weight.FACT, (sentence("finding.nothing_curves"),), {"lr_bound": bound})
        return
    ratio = descent.lr / bound
    values = {
        "lr": descent.lr,
        "bound": bound,
        "ratio": distinct(ratio),
        "percent": distinct(100 * ratio, 100) if 0.9 < ratio < 1 else percent(ratio),
    }
    key = "finding.above_bound" if ratio > 1 else "finding.below_bound"
    said = [sentence(key, **values)]
    if descent.momentum and not descent.nesterov:
        plain = 2 / theory.largest
        said.append(sentence("finding.bound_with_momentum", momentum=descent.momentum, plain=plain))
    if descent.schedule is not None:
        said.append(sentence("finding.bound_scheduled"))
    weight = Weight.PROBLEM if ratio > 1 and descent.schedule is None else Weight.FACT
    source = POLYAK if descent.momentum else SAAD
    yield Finding("bound", weight, tuple(said), {"lr": descent.lr, "lr_bound": bound, "ratio": ratio}, None, source)


def _lower_rate(case: Case) -> Iterator[Finding]:
    """Lowering the rate alone mostly trades NaN for slowness: by how much."""
    own = case.theory.descent.effective_momentum
    best = case.rates.get("own_momentum" if own else "fastest")
    if case.forecast.verdict is not Verdict.DIVERGES or not case.forecast.closed_form:
        return
    if best is None or best.epochs is None:
        return
    kept = sentence("finding.kept_momentum", momentum=own) if own else ""
    values: dict[str, object] = {"lr": best.shown, "epochs": counted(best.epochs), "within": case.percent, "kept": kept}
    evidence, asked = {"lr": best.lr, "epochs": best.epochs}, case.theory.descent.epochs
    if best.epochs <= asked:
        said = sentence("finding.lower_rate_works", **values)
        yield Finding("lower_rate", Weight.FACT, (said,), evidence)
        return
    said = sentence("finding.lower_rate_is_slow", asked=asked, **values)
    yield Finding("lower_rate", Weight.CAUTION, (said,), evidence, _instead(case, best.epochs))


def _instead(case: Case, epochs: int) -> Sentence:
    """What to do where the best rate takes so many epochs: other momentum, or another problem."""
    plain, pair = case.rates.get("fastest"), case.rates.get("fastest_pair")
    if plain is not None and plain.epochs is not None and plain.epochs < 0.5 * epochs:
        return sentence("advice.plain", lr=plain.shown, epochs=counted(plain.epochs))
    if pair is not None and pair.epochs is not None and pair.momentum > LITTLE:
        values = {"momentum": pair.shown_momentum, "lr": pair.shown, "epochs": counted(pair.epochs)}
        return sentence("advice.momentum_or_problem", **values)
    return sentence("advice.change_the_problem")


def _slow_direction(case: Case) -> Iterator[Finding]:
    slowest, condition = case.slowest, case.theory.condition
    if slowest is None or condition < 10:
        return
    descent = case.theory.descent
    said = [sentence("finding.slow_direction", direction=slowest.name, condition=rounded(condition))]
    if case.forecast.closed_form and descent.effective_momentum < 1:
        said.append(sentence("finding.slow_factor", factor=slowest.factor_in_words))
    evidence = {"condition": condition, "columns": slowest.columns, "factor": slowest.factor}
    yield Finding("slow_direction", Weight.CAUTION, tuple(said), evidence, None, SAAD)


def _worst_case(case: Case) -> Iterator[Finding]:
    """The textbook's rate is for the worst start, and this one is hardly ever it."""
    book, best = case.rates.get("textbook"), case.rates.get("fastest")
    if book is None or best is None or best.epochs is None or book.epochs is None:
        return
    if book.epochs >= WORSE * max(best.epochs, 1):
        times = book.epochs / max(best.epochs, 1)
        values = {"textbook": book.shown, "lr": best.shown, "times": rounded(times)}
        evidence = {"textbook_lr": book.lr, "textbook_epochs": book.epochs, "lr": best.lr, "epochs": best.epochs}
        counts = {"slow": counted(book.epochs), "epochs": counted(best.epochs)}
        said = sentence("finding.worst_case_rate", **values, **counts)
        yield Finding("worst_case_rate", Weight.FACT, (said,), evidence, None, SAAD)


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
        alone = descent.foreseeable
        said = sentence("finding.forgotten_zero_grad" if alone else "finding.forgotten_zero_grad_beside")
        advice, evidence = sentence("advice.zero_grad"), {"momentum": 1.0} if alone else {}
        yield Finding("forgotten_zero_grad", Weight.PROBLEM, (said,), evidence, advice, POLYAK if alone else None)
    elif descent.effective_momentum == 1 and not descent.nesterov and descent.dampening < 1 and not theory.diverges:
        said, advice = sentence("finding.momentum_one"), sentence("advice.momentum_one")
        yield Finding("momentum_one", Weight.PROBLEM, (said,), {"momentum": 1.0}, advice, POLYAK)
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
    late = "finding.held_out_falling" if validation.best_updates == epochs else "finding.held_out_late"
    best = counted(validation.best_updates, "update")
    counts = {"best": best, "epochs": counted(epochs, "update"), "rows": counted(validation.rows, "row")}
    said = sentence("finding.held_out_early" if early else late, **values | counts)
    advice = sentence("advice.held_out_early", best=best) if early else None
    return Finding("held_out", Weight.CAUTION if early else Weight.FACT, (said,), values, advice, about="held_out")


def held_out_unknown(cause: Sentence) -> Finding:
    """Why it cannot be told when to stop for their sake: no engine can follow the descent."""
    said = sentence("finding.held_out_unknown", cause=cause)
    return Finding("held_out_unknown", Weight.CAUTION, (said,), about="held_out")
