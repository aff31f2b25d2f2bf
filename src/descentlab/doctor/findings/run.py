"""What else follows from the forecast: the bound, the overflow, the slow direction, the settings, what to do next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from descentlab.doctor.finding import Finding, caution_finding, fact_finding, problem_finding
from descentlab.doctor.findings.outcome import outcome_finding
from descentlab.doctor.findings.reach import short_schedule_findings, short_step_findings
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.references import IEEE754_REFERENCE, POLYAK_REFERENCE, SAAD_REFERENCE
from descentlab.doctor.remedies import MIN_MOMENTUM
from descentlab.doctor.run_context import RunContext
from descentlab.messages import Message, format_distinct, format_rounded, message, pluralize
from descentlab.model_selection.validation import Validation
from descentlab.run.termination import format_percent, known_least_cost

MINIMAX_WARN_RATIO = 1.5  # how many times the fastest's epochs make the textbook's rate worth a warning
MOMENTUM_ONE: dict[str, Any] = {"momentum": 1.0}
HELD_OUT_FLAT_RTOL = 0.001  # a held-out cost that rises again by less than this part is flat


def _overflow_findings(context: RunContext) -> Iterator[Finding]:
    table: Mapping[str, Any] = context.forecast.overflow or {}
    epochs = context.theory.descent.epochs
    if not table:
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
        make = problem_finding if min(first_updates) <= epochs else fact_finding
        yield make("overflow", *messages, reference=IEEE754_REFERENCE, type=dtype, **table[dtype])


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
        main_message = message("finding.dampened", momentum=descent.momentum)
        yield problem_finding("dampened", main_message, advice=message("advice.dampened"), lr_bound=lr_bound)
        return
    if math.isinf(lr_bound):
        yield fact_finding("nothing_curves", message("finding.nothing_curves"), lr_bound=lr_bound)
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
    make = problem_finding if ratio > 1 and descent.schedule is None else fact_finding
    reference = POLYAK_REFERENCE if descent.momentum else SAAD_REFERENCE
    yield make("bound", *messages, reference=reference, lr=descent.lr, lr_bound=lr_bound, ratio=ratio)


def _lower_rate_findings(context: RunContext) -> Iterator[Finding]:
    """Lowering the rate alone mostly trades NaN for slowness: by how much."""
    best, descent = context.own_best_rate, context.theory.descent
    if context.forecast.verdict is not Verdict.DIVERGES or not context.forecast.closed_form:
        return
    if best is None or best.epochs is None:
        return
    momentum = descent.effective_momentum
    kept = message("finding.kept_momentum", momentum=momentum) if momentum else ""
    values = {"lr": best.lr_text, "epochs": pluralize(best.epochs), "within": context.within_percent, "kept": kept}
    for_coefficients = context.own_best_epochs_to_coefficients
    if best.epochs <= descent.epochs:
        reaches_both = for_coefficients is not None and for_coefficients <= descent.epochs
        values["for_coefficients"] = "" if for_coefficients is None else pluralize(for_coefficients)
        key = "works" if reaches_both else "is_for_the_cost" if for_coefficients else "leaves_coefficients"
        make = fact_finding if reaches_both else caution_finding
        numbers: dict[str, Any] = {"lr": best.lr, "epochs": best.epochs, "epochs_to_coefficients": for_coefficients}
        yield make("lower_rate", message(f"finding.lower_rate_{key}", **values), **numbers)
        return
    main_message = message("finding.lower_rate_is_slow", asked=descent.epochs, **values)
    advice = _alternative_advice(context, best.epochs)
    yield caution_finding("lower_rate", main_message, advice=advice, lr=best.lr, epochs=best.epochs)


def _alternative_advice(context: RunContext, epochs: int) -> Message:
    """What to do if the best rate takes too many epochs: other momentum, or another problem."""
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
    numbers: dict[str, Any] = {"condition": condition, "columns": slowest.columns, "factor": slowest.factor}
    yield caution_finding("slow_direction", *messages, reference=SAAD_REFERENCE, **numbers)


def _minimax_rate_findings(context: RunContext) -> Iterator[Finding]:
    """The textbook rate is optimal for the worst start only."""
    minimax, best = context.rates.get("textbook"), context.rates.get("fastest")
    if minimax is None or best is None or best.epochs is None or minimax.epochs is None:
        return
    if minimax.epochs >= MINIMAX_WARN_RATIO * max(best.epochs, 1):
        times = format_rounded(minimax.epochs / max(best.epochs, 1))
        counts = {"slow": pluralize(minimax.epochs), "epochs": pluralize(best.epochs), "times": times}
        numbers: dict[str, Any] = {"textbook_lr": minimax.lr, "textbook_epochs": minimax.epochs}
        yield fact_finding(
            "worst_case_rate",
            message("finding.worst_case_rate", textbook=minimax.lr_text, lr=best.lr_text, **counts),
            reference=SAAD_REFERENCE,
            **numbers,
            lr=best.lr,
            epochs=best.epochs,
        )


def _exact_fit_findings(context: RunContext) -> Iterator[Finding]:
    if context.theory.fits_exactly and context.forecast.verdict is not Verdict.UNKNOWN:
        yield fact_finding("exact_fit", message("finding.exact_fit", within=context.within_percent))


def _hidden_cost_findings(context: RunContext) -> Iterator[Finding]:
    """The least cost is not known well enough to tell which costs are within the tolerance of it."""
    theory = context.theory
    if theory.fits_exactly or not theory.judges_coefficients(context.within):
        return
    main_message = message("finding.hidden_cost", known=known_least_cost(theory), within=context.within_percent)
    advice = message("advice.hidden_cost", name=theory.most_rounded_column)
    numbers: dict[str, Any] = {"least_cost": theory.least_cost, "error": theory.least.error}
    yield caution_finding("hidden_cost", main_message, advice=advice, **numbers)


def _penalty_findings(context: RunContext) -> Iterator[Finding]:
    theory = context.theory
    if theory.is_regularized:
        key = "finding.weight_decay" if theory.weight_decay else "finding.ridge"
        unpenalized = theory.problem.fit.cost if theory.weight_decay else None
        values: dict[str, Any] = {"least": theory.least_cost, "unpenalised": unpenalized}
        printed = values | {"least": theory.rounded_least_cost}
        yield fact_finding("penalty", message(key, **printed), **values)


def _settings_findings(context: RunContext) -> Iterator[Finding]:
    """What the settings themselves call for: forgotten zero_grad, schedules, other optimizers, whole batches."""
    theory = context.theory
    descent = theory.descent
    if not descent.zero_grad and descent.is_sgd:
        closed = descent.has_closed_form
        yield problem_finding(
            "forgotten_zero_grad",
            message("finding.forgotten_zero_grad" if closed else "finding.forgotten_zero_grad_beside"),
            advice=message("advice.zero_grad"),
            reference=POLYAK_REFERENCE if closed else None,
            **(MOMENTUM_ONE if closed else {}),
        )
    elif descent.effective_momentum == 1 and not descent.nesterov and descent.dampening < 1 and not theory.diverges:
        main_message, advice = message("finding.momentum_one"), message("advice.momentum_one")
        yield problem_finding("momentum_one", main_message, advice=advice, reference=POLYAK_REFERENCE, **MOMENTUM_ONE)
    if not descent.is_sgd and descent.batch_size is None:
        yield _optimizer_finding(context)
    if context.batch_holds_all_rows:
        yield fact_finding("whole_batch", message("finding.whole_batch", rows=theory.problem.n))


def _optimizer_finding(context: RunContext) -> Finding:
    descent, needed = context.theory.descent, context.forecast.epochs_to_tolerance
    values = {"optimizer": descent.optimizer, "epochs": pluralize(descent.epochs), "within": context.within_percent}
    key = "finding.optimizer_does_not" if needed is None else "finding.optimizer_reaches"
    messages = [message(key, needed=needed, **values)]
    best = context.rates.get("fastest")
    if best is not None and best.epochs is not None:
        messages.append(message("finding.optimizer_beside", lr=best.lr_text, epochs=pluralize(best.epochs)))
    return fact_finding("optimizer", *messages, epochs_to_tolerance=needed)


RUN_RULES: tuple[Callable[[RunContext], Iterator[Finding]], ...] = (
    short_schedule_findings,
    short_step_findings,
    _bound_findings,
    _overflow_findings,
    _lower_rate_findings,
    _slow_direction_findings,
    _minimax_rate_findings,
    _exact_fit_findings,
    _hidden_cost_findings,
    _penalty_findings,
    _settings_findings,
)


def run_findings(context: RunContext) -> list[Finding]:
    """The findings about the run itself, the verdict first."""
    return [outcome_finding(context), *(finding for rule in RUN_RULES for finding in rule(context))]


def held_out_finding(validation: Validation, epochs: int) -> Finding:
    """At which update the cost on held-out rows is least."""
    best, best_cost, final_cost = validation.best_updates, validation.best_cost, validation.final_cost
    values: dict[str, Any] = {
        "best": best,
        "best_cost": best_cost,
        "final_cost": final_cost,
        "epochs": epochs,
        "rows": validation.rows,
    }
    best_count = pluralize(best, "update")
    counts = {"best": best_count, "epochs": pluralize(epochs, "update"), "rows": pluralize(validation.rows, "row")}
    if best < epochs and final_cost > best_cost * (1 + HELD_OUT_FLAT_RTOL):
        main_message, advice = (
            message("finding.held_out_early", **values | counts),
            message("advice.held_out_early", best=best_count),
        )
        return caution_finding("held_out", main_message, advice=advice, topic="held_out", **values)
    key = "finding.held_out_falling" if best == epochs else "finding.held_out_late"
    return fact_finding("held_out", message(key, **values | counts), topic="held_out", **values)


def held_out_unknown_finding(cause: Message) -> Finding:
    """Why the held-out cost is not known: no engine can follow the descent."""
    return caution_finding("held_out_unknown", message("finding.held_out_unknown", cause=cause), topic="held_out")
