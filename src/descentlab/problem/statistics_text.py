"""The summary of a fit in words: the share that is explained, the table, and what the numbers do not say."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from descentlab.messages import LINE_WIDTH, Message, Table, display_width, format_distinct, message, pad, pluralize
from descentlab.messages.document import Block, Paragraph, Preformatted, make_blocks, message_blocks
from descentlab.problem.statistics import Statistics, Summary
from descentlab.typing import FloatArray

FEW_DIGITS = 6  # fewer are said
MIN_PRINTED_P = 1e-300  # smaller probabilities are printed as an inequality
NOT_DEFINED = "-"
Cells = list[str]


@make_blocks.register
def _(result: Statistics) -> list[Block]:
    return make_blocks(result.summary())


@make_blocks.register
def _(result: Summary) -> list[Block]:
    fit, level = result.statistics, result.level
    tables = _tables(fit, level)
    notes = message_blocks([*_notes(fit), *_digit_notes(fit, tables)])
    facts = "\n".join(["", *_facts(fit), *([""] if notes else [])])
    return [
        Paragraph(str(_describe_r2(fit)), strong=True),
        *message_blocks(_significance(fit, level)),
        *tables,
        Preformatted(facts),
        *notes,
    ]


def _describe_r2(fit: Statistics) -> Message:
    target = fit.regression.factor.columns[-1]
    if not fit.df_residual > 0:
        parameters = pluralize(fit.regression.rank, "parameter")
        return message("statistics.no_df", n=f"{fit.n_observations:,.6g}", parameters=parameters)
    if math.isnan(fit.r2):
        key = "statistics.unknown_cost" if math.isinf(fit.regression.fit.cost_error) else "statistics.constant_target"
        return message(key, target=target)
    if fit.fits_exactly:
        return message("statistics.explained_exactly", target=target)
    digits = fit.digits_of("r2")
    key = "statistics.explained" if fit.regression.bias else "statistics.explained_uncentered"
    r2, percent = (_significant(value, digits) for value in (fit.r2, 100 * fit.r2))
    return message(key, r2=r2, percent=percent, target=target)


def _significance(fit: Statistics, level: float) -> Iterable[Message]:
    """Which weights differ from 0 at this level, and which do not."""
    d = fit.regression.d
    p_values = fit.p_values[:d]
    percent = f"{100 * (1 - level):.4g}"
    for key, chosen in (
        ("statistics.differ", p_values < 1 - level),
        ("statistics.may_be_zero", p_values >= 1 - level),
    ):
        if chosen.any():
            yield message(key, percent=percent, names=[f"`{fit.parameters[j]}`" for j in np.flatnonzero(chosen)])


def _tables(fit: Statistics, level: float) -> list[Table]:
    """One table, or two where one would cut the names; columns without a number are left out."""
    estimates = [(message("statistics.estimate").text(), _estimate_cells(fit))]
    if not math.isnan(fit.sigma):
        estimates.append((message("statistics.standard_error").text(), _standard_error_cells(fit)))
    tests: list[tuple[str, Cells]] = []
    interval: list[tuple[str, Cells]] = []
    if not np.isnan(fit.t).all():
        tests = [("t", _t_cells(fit)), ("p", _p_cells(fit))]
        headings = f"[{(1 - level) / 2:.4g}", f"{(1 + level) / 2:.4g}]"
        interval = [
            (heading, _interval_cells(fit, ends, level))
            for heading, ends in zip(headings, fit.interval(level).T, strict=True)
        ]
    title = message("statistics.coefficients").text()
    if fit.robust_kind and not math.isnan(fit.sigma):
        title = message("statistics.coefficients_robust", kind=fit.robust_kind).text()
    columns = [*estimates, *tests, *interval]
    widths = [max(map(display_width, [heading, *cells])) for heading, cells in columns]
    if sum(widths) + 2 * len(widths) + 2 + max(map(display_width, fit.parameters)) <= LINE_WIDTH:
        return [_table(title, fit, columns)]
    second = message("statistics.interval", percent=f"{100 * level:.4g}").text()
    return [_table(title, fit, [*estimates, *tests]), *([_table(second, fit, interval)] if interval else [])]


def _table(title: str, fit: Statistics, columns: list[tuple[str, Cells]]) -> Table:
    headings, cells = zip(*columns, strict=True)
    return Table(title, ("", *headings), list(zip(fit.parameters, *cells, strict=True)))


def _estimate_cells(fit: Statistics) -> Cells:
    """To the fourth digit of the standard error; without one to ten digits, of what is usual for its units if more."""
    std = fit.regression.factor.std
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        usual = np.append(np.nan_to_num(std[-1] / std[:-1], nan=0.0, posinf=0.0), std[-1])[: len(fit.params)]
    places = [
        _place(error, 4) if error > 0 else _place(max(abs(value), scale), 10)
        for value, error, scale in zip(fit.params.tolist(), fit.standard_errors.tolist(), usual.tolist(), strict=True)
    ]
    cells = map(format_certain, fit.params.tolist(), fit.error_bounds["params"].tolist(), places)
    unknown = message("statistics.not_determined").text()
    return [
        cell if determined else unknown for cell, determined in zip(cells, fit.regression.is_determined, strict=True)
    ]


def _interval_cells(fit: Statistics, ends: FloatArray, level: float) -> Cells:
    """To the third digit of the standard error."""
    bounds = fit.error_bounds["params"] + fit.error_bounds["standard_errors"] * fit.quantile(level)
    places = [_place(error, 3) for error in fit.standard_errors.tolist()]
    return list(map(format_certain, ends.tolist(), bounds.tolist(), places))


def _standard_error_cells(fit: Statistics) -> Cells:
    return _cells(fit.standard_errors, fit.error_bounds["standard_errors"], 4)


def _t_cells(fit: Statistics) -> Cells:
    return _cells(fit.t, fit.error_bounds["t"], 4, min_place=-3)


def _p_cells(fit: Statistics) -> Cells:
    return [format_p(p, error) for p, error in zip(fit.p_values.tolist(), fit.error_bounds["p_values"], strict=True)]


def _cells(values: FloatArray, errors: FloatArray, digits: int, min_place: int = -400) -> Cells:
    return [
        format_certain(value, error, max(_place(value, digits), min_place))
        for value, error in zip(values.tolist(), errors.tolist(), strict=True)
    ]


def format_p(p: float, error: float) -> str:
    """A probability with three digits, or as many of them as are certain."""
    return f"<{MIN_PRINTED_P:g}" if p < MIN_PRINTED_P else format_certain(p, error, _place(p, 3))


def _place(value: float, digits: int) -> int:
    """The power of ten of the last of ``digits`` significant digits."""
    return math.floor(math.log10(abs(value))) + 1 - digits if value and math.isfinite(value) else 0


def format_certain(value: float, error: float, place: int) -> str:
    """A number rounded at a power of ten, or at the first one that an error cannot reach.

    >>> format_certain(1829.15146, 1e-9, -1), format_certain(1829.15146, 20.0, -1), format_certain(3.2e-9, 1e-7, -3)
    ('1829.2', '1800', '0')
    """
    if math.isnan(value):
        return NOT_DEFINED
    leading = math.floor(math.log10(abs(value))) if value else place
    error_place = math.ceil(math.log10(2 * error)) if 0 < error < math.inf else place if error == 0 else 400
    if error_place > max(place, leading):
        return message("statistics.uncertain").text()
    place = max(place, error_place)
    digits = max(leading - place + 1, 0)
    if digits == 0:  # smaller than a unit of this place
        return "0"
    return f"{round(value, -place):.{max(-place, 0)}f}" if -4 <= leading < 8 else f"{value:.{digits - 1}e}"


def _significant(value: float, digits: float) -> str:
    """Three digits, or those that tell a number from 1 (from 100), as far as they are certain."""
    shown = format_distinct(value, 100.0 if value > 2 else 1.0)
    return shown if len(shown.replace(".", "").lstrip("0")) <= digits else f"{value:.{max(math.floor(digits), 1)}g}"


def _facts(fit: Statistics) -> list[str]:
    """The numbers of the whole fit, a line each."""
    pairs = [("statistics.n", f"{fit.n_observations:,.10g}"), ("statistics.df", f"{fit.df_residual:,.6g}")]
    names = ("sigma", "r2", "adjusted_r2", "f", "f_p_value", "log_likelihood", "aic", "bic")
    for name in names:
        value = getattr(fit, name)
        if not math.isnan(value):
            error = fit.error_bounds[name]
            text = format_p(value, error) if name == "f_p_value" else _format_fact(name, value, error)
            uncentered = name == "r2" and not fit.regression.bias
            pairs.append(("statistics.r2_uncentered" if uncentered else f"statistics.{name}", text))
    labels = [message(key, df_model=fit.df_model, df=f"{fit.df_residual:,.6g}").text() for key, _ in pairs]
    width = max(map(display_width, labels))
    return [
        f"  {pad(label, width)}  {pad(text, 12, align_right=True)}"
        for label, (_, text) in zip(labels, pairs, strict=True)
    ]


def _format_fact(name: str, value: float, error: float) -> str:
    place = _place(1 - value, 3) if "r2" in name and 0.5 < value < 1 else _place(value, 6)
    return format_certain(value, error, place)


def _notes(fit: Statistics) -> Iterable[Message]:
    """What the numbers do not say, and why some are not there."""
    regression = fit.regression
    if fit.df_residual > 0 and fit.fits_exactly:
        bound = math.sqrt(
            (regression.fit.cost + regression.fit.cost_error) * regression.factor.weight / fit.df_residual
        )
        yield message("statistics.exact", bound=f"{bound:.1e}")
    if not regression.is_determined.all():
        yield message("statistics.undetermined")
        yield from regression.fit.describe_null_space(fit.parameters, regression.bias)
    if regression.is_penalized:
        yield message("statistics.ridge")
    if regression.has_weights:
        yield _describe_weights(fit)
    if regression.weights_are == "analytic" and math.isnan(fit.log_likelihood) and not math.isnan(fit.sigma):
        yield message("statistics.no_log_weights")
    if fit.robust_kind and not math.isnan(fit.sigma):
        yield message("statistics.robust", kind=fit.robust_kind)


def _describe_weights(fit: Statistics) -> Message:
    """What a weight was taken to mean, and whether that is likely."""
    n, key = fit.n_observations, f"statistics.weights_{fit.regression.weights_are}"
    if fit.regression.weights_are == "frequency" and (n != round(n) or not fit.df_residual > 0):
        key = "statistics.weights_not_counts"
    return message(key, n=f"{n:,.10g}")


def _digit_notes(fit: Statistics, tables: Iterable[Table]) -> Iterable[Message]:
    """The parameter whose numbers are the least certain, if fewer than six digits are; what the table does not show."""
    if not math.isnan(fit.sigma):
        with np.errstate(divide="ignore"):
            t_digits = -np.log10(fit.error_bounds["t"] / np.maximum(np.abs(fit.t), 1.0))
        digits = np.fmin(np.where(np.isnan(fit.standard_errors), np.inf, fit.digits_of("standard_errors")), t_digits)
        worst = int(np.nanargmin(digits))
        if 1 <= digits[worst] < FEW_DIGITS:
            certain = pluralize(math.floor(digits[worst]), "digit")
            yield message("statistics.few_digits", name=fit.parameters[worst], digits=certain)
    unknown = message("statistics.uncertain").text()
    if any(unknown in row for table in tables for row in table.rows):
        yield message("statistics.no_digit")
