"""What else follows from the forecast: the bound, the overflow, the slow direction, the settings, what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from descentlab.doctor.finding import Finding, Severity
from descentlab.doctor.findings.outcome import POLYAK_REFERENCE, SAAD_REFERENCE, RunContext, outcome_finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.remedies import MIN_MOMENTUM
from descentlab.messages import Message, format_distinct, format_rounded, message, pluralize
from descentlab.run.termination import format_percent

if TYPE_CHECKING:
    from descentlab.model_selection.validation import Validation

IEEE754_REFERENCE = "IEEE 754: the largest float32 is about 3.4e38, the largest float64 about 1.8e308"
MINIMAX_WARN_RATIO = 1.5  # how many times the fastest's epochs make the textbook's rate worth a warning
HELD_OUT_FLAT_RTOL = 0.001  # a held-out cost that rises again by less than this part is flat


def run_findings(context: RunContext) -> list[Finding]:
    """What can be said of the run itself, the verdict first."""
    findings = [outcome_finding(context)]
    for make_findings in (
        _bound_findings,
        _overflow_findings,
        _lower_rate_findings,
        _slow_direction_findings,
        _minimax_rate_findings,
        _exact_fit_findings,
        _penalty_findings,
        _settings_findings,
    ):
        findings += make_findings(context)
    return findings


def _overflow_findings(context: RunContext) -> Iterator[Finding]:
    table, epochs = context.forecast.overflow, context.theory.descent.epochs
    if table is None:
        return
    for dtype, key in (("float32", "finding.overflow"), ("float64", "finding.overflow_double")):
        weights = table[dtype]["weights"]
        if weights is None:
            continue
        messages = [message(key, **table[dtype] | {"cost": _count_updates(table[dtype]["cost"])})]
        first_updates = [update for update in table[dtype].values() if update is not None]
        if min(first_updates) > epochs:
            messages.append(message("finding.overflow_later", epochs=pluralize(epochs)))
        elif max(first_updates) > epochs:
            messages.append(message("finding.overflow_partly", epochs=pluralize(epochs)))
        severity = Severity.PROBLEM if min(first_updates) <= epochs else Severity.FACT
        yield Finding("overflow", severity, tuple(messages), {"type": dtype, **table[dtype]}, None, IEEE754_REFERENCE)


def _count_updates(updates: int | None) -> Message | None:
    return None if updates is None else pluralize(updates, "update")


def _bound_findings(context: RunContext) -> Iterator[Finding]:
    theory = context.theory
    descent, lr_bound = theory.descent, theory.lr_bound
    if not (descent.is_sgd and theory.is_exact and descent.batch_size is None) or lr_bound == 0:
        return
    if descent.effective_momentum == 1 and descent.lr <= lr_bound:  # stable, which is not what matters then
        return
    if math.isinf(lr_bound) and theory.regularized_lambda_max > 0:
        dampening_messages = (message("finding.dampened", momentum=descent.momentum),)
        yield Finding(
            "dampened", Severity.PROBLEM, dampening_messages, {"lr_bound": lr_bound}, message("advice.dampened")
        )
        return
    if math.isinf(lr_bound):
        yield Finding("nothing_curves", Severity.FACT, (message("finding.nothing_curves"),), {"lr_bound": lr_bound})
        return
    ratio = descent.lr / lr_bound
    values = {
        "lr": descent.lr,
        "bound": lr_bound,
        "ratio": format_distinct(ratio),
        "percent": format_distinct(100 * ratio, 100) if 0.9 < ratio < 1 else format_percent(ratio),
    }
    key = "finding.above_bound" if ratio > 1 else "finding.below_bound"
    messages = [message(key, **values)]
    if descent.momentum and not descent.nesterov:
        plain_lr_bound = 2 / theory.regularized_lambda_max
        messages.append(message("finding.bound_with_momentum", momentum=descent.momentum, plain=plain_lr_bound))
    if descent.schedule is not None:
        messages.append(message("finding.bound_scheduled"))
    severity = Severity.PROBLEM if ratio > 1 and descent.schedule is None else Severity.FACT
    reference = POLYAK_REFERENCE if descent.momentum else SAAD_REFERENCE
    yield Finding(
        "bound", severity, tuple(messages), {"lr": descent.lr, "lr_bound": lr_bound, "ratio": ratio}, None, reference
    )


def _lower_rate_findings(context: RunContext) -> Iterator[Finding]:
    """Lowering the rate alone mostly trades NaN for slowness: by how much."""
    momentum = context.theory.descent.effective_momentum
    best = context.rates.get("own_momentum" if momentum else "fastest")
    if context.forecast.verdict is not Verdict.DIVERGES or not context.forecast.closed_form:
        return
    if best is None or best.epochs is None:
        return
    momentum_message = message("finding.kept_momentum", momentum=momentum) if momentum else ""
    values: dict[str, object] = {
        "lr": best.lr_text,
        "epochs": pluralize(best.epochs),
        "within": context.within_percent,
        "kept": momentum_message,
    }
    evidence, epochs = {"lr": best.lr, "epochs": best.epochs}, context.theory.descent.epochs
    if best.epochs <= epochs:
        main_message = message("finding.lower_rate_works", **values)
        yield Finding("lower_rate", Severity.FACT, (main_message,), evidence)
        return
    main_message = message("finding.lower_rate_is_slow", asked=epochs, **values)
    yield Finding("lower_rate", Severity.CAUTION, (main_message,), evidence, _alternative_advice(context, best.epochs))


def _alternative_advice(context: RunContext, epochs: int) -> Message:
    """What to do where the best rate takes so many epochs: other momentum, or another problem."""
    plain_rate, pair = context.rates.get("fastest"), context.rates.get("fastest_pair")
    if plain_rate is not None and plain_rate.epochs is not None and plain_rate.epochs < 0.5 * epochs:
        return message("advice.plain", lr=plain_rate.lr_text, epochs=pluralize(plain_rate.epochs))
    if pair is not None and pair.epochs is not None and pair.momentum > MIN_MOMENTUM:
        values = {"momentum": pair.momentum_text, "lr": pair.lr_text, "epochs": pluralize(pair.epochs)}
        return message("advice.momentum_or_problem", **values)
    return message("advice.change_the_problem")


def _slow_direction_findings(context: RunContext) -> Iterator[Finding]:
    slowest, condition = context.slowest, context.theory.condition
    if slowest is None or condition < 10:
        return
    descent = context.theory.descent
    messages = [message("finding.slow_direction", direction=slowest.name, condition=format_rounded(condition))]
    if context.forecast.closed_form and descent.effective_momentum < 1:
        messages.append(message("finding.slow_factor", factor=slowest.factor_text))
    evidence = {"condition": condition, "columns": slowest.columns, "factor": slowest.factor}
    yield Finding("slow_direction", Severity.CAUTION, tuple(messages), evidence, None, SAAD_REFERENCE)


def _minimax_rate_findings(context: RunContext) -> Iterator[Finding]:
    """The textbook's rate is for the worst start, and this one is hardly ever it."""
    minimax, best = context.rates.get("textbook"), context.rates.get("fastest")
    if minimax is None or best is None or best.epochs is None or minimax.epochs is None:
        return
    if minimax.epochs >= MINIMAX_WARN_RATIO * max(best.epochs, 1):
        times = minimax.epochs / max(best.epochs, 1)
        values = {"textbook": minimax.lr_text, "lr": best.lr_text, "times": format_rounded(times)}
        evidence = {"textbook_lr": minimax.lr, "textbook_epochs": minimax.epochs, "lr": best.lr, "epochs": best.epochs}
        counts = {"slow": pluralize(minimax.epochs), "epochs": pluralize(best.epochs)}
        main_message = message("finding.worst_case_rate", **values, **counts)
        yield Finding("worst_case_rate", Severity.FACT, (main_message,), evidence, None, SAAD_REFERENCE)


def _exact_fit_findings(context: RunContext) -> Iterator[Finding]:
    if context.theory.fits_exactly and context.forecast.verdict is not Verdict.UNKNOWN:
        yield Finding("exact_fit", Severity.FACT, (message("finding.exact_fit", within=context.within_percent),))


def _penalty_findings(context: RunContext) -> Iterator[Finding]:
    theory = context.theory
    if theory.is_regularized:
        key = "finding.weight_decay" if theory.weight_decay else "finding.ridge"
        values = {"least": theory.least_cost, "unpenalised": theory.problem.fit.cost if theory.weight_decay else None}
        yield Finding("penalty", Severity.FACT, (message(key, **values),), values)


def _settings_findings(context: RunContext) -> Iterator[Finding]:
    """What the settings themselves call for: forgotten zero_grad, schedules, other optimizers, whole batches."""
    theory = context.theory
    descent = theory.descent
    if not descent.zero_grad and descent.is_sgd:
        has_closed_form = descent.has_closed_form
        main_message = message(
            "finding.forgotten_zero_grad" if has_closed_form else "finding.forgotten_zero_grad_beside"
        )
        advice, evidence = message("advice.zero_grad"), {"momentum": 1.0} if has_closed_form else {}
        yield Finding(
            "forgotten_zero_grad",
            Severity.PROBLEM,
            (main_message,),
            evidence,
            advice,
            POLYAK_REFERENCE if has_closed_form else None,
        )
    elif descent.effective_momentum == 1 and not descent.nesterov and descent.dampening < 1 and not theory.diverges:
        main_message, advice = message("finding.momentum_one"), message("advice.momentum_one")
        yield Finding("momentum_one", Severity.PROBLEM, (main_message,), {"momentum": 1.0}, advice, POLYAK_REFERENCE)
    if not descent.is_sgd and descent.batch_size is None:
        yield _optimizer_finding(context)
    if context.batch_holds_all_rows:
        yield Finding("whole_batch", Severity.FACT, (message("finding.whole_batch", rows=theory.problem.n),))


def _optimizer_finding(context: RunContext) -> Finding:
    descent, epochs_to_tolerance = context.theory.descent, context.forecast.epochs_to_tolerance
    key = "finding.optimizer_reaches" if epochs_to_tolerance is not None else "finding.optimizer_does_not"
    messages = [
        message(
            key,
            optimizer=descent.optimizer,
            needed=epochs_to_tolerance,
            epochs=pluralize(descent.epochs),
            within=context.within_percent,
        )
    ]
    best = context.rates.get("fastest")
    if best is not None and best.epochs is not None:
        messages.append(message("finding.optimizer_beside", lr=best.lr_text, epochs=pluralize(best.epochs)))
    return Finding("optimizer", Severity.FACT, tuple(messages), {"epochs_to_tolerance": epochs_to_tolerance})


def held_out_finding(validation: Validation, epochs: int) -> Finding:
    """When to stop for the sake of rows held out of the fit."""
    values = {
        "best": validation.best_updates,
        "best_cost": validation.best_cost,
        "final_cost": validation.final_cost,
        "epochs": epochs,
        "rows": validation.rows,
    }
    rises_again = validation.best_updates < epochs and validation.final_cost > validation.best_cost * (
        1 + HELD_OUT_FLAT_RTOL
    )
    falling_key = "finding.held_out_falling" if validation.best_updates == epochs else "finding.held_out_late"
    best_count = pluralize(validation.best_updates, "update")
    counts = {"best": best_count, "epochs": pluralize(epochs, "update"), "rows": pluralize(validation.rows, "row")}
    main_message = message("finding.held_out_early" if rises_again else falling_key, **values | counts)
    advice = message("advice.held_out_early", best=best_count) if rises_again else None
    return Finding(
        "held_out",
        Severity.CAUTION if rises_again else Severity.FACT,
        (main_message,),
        values,
        advice,
        topic="held_out",
    )


def held_out_unknown_finding(cause: Message) -> Finding:
    """Why it cannot be told when to stop for their sake: no engine can follow the descent."""
    main_message = message("finding.held_out_unknown", cause=cause)
    return Finding("held_out_unknown", Severity.CAUTION, (main_message,), topic="held_out")
