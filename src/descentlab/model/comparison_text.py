"""A comparison of two models in words: the verdict, then the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from descentlab.messages import Message, Table, format_number, message, pluralize
from descentlab.messages.document import Block, make_blocks, message_blocks
from descentlab.model.comparison import ModelComparison

SIGNIFICANCE = 0.05
CLEAR_DIFFERENCE = 2.0  # of AIC or BIC; below it, neither model is preferred
COLUMNS = ("rank", "df_residual", "sigma", "adjusted_r2", "aic", "bic")


@make_blocks.register
def _(result: ModelComparison) -> list[Block]:
    return message_blocks(_sentences(result), [_table(result)])


def _sentences(result: ModelComparison) -> Iterator[Message]:
    if result.held_out is not None:
        yield from _describe_held_out(result)
    if result.no_statistics is not None:
        yield message("compare.not_compared", reason=result.no_statistics)
        return
    yield _describe_test(result)
    for criterion in ("aic", "bic"):
        yield from _describe_criterion(result, criterion)


def _describe_held_out(result: ModelComparison) -> Iterator[Message]:
    held_out = result.held_out
    assert held_out is not None
    better = int(held_out.costs[1] < held_out.costs[0])
    costs = {"cost": held_out.costs[better], "other": held_out.costs[1 - better]}
    rows = pluralize(held_out.rows, "row")
    key = "compare.held_out_equal" if held_out.costs[0] == held_out.costs[1] else "compare.held_out"
    yield message(key, name=result.names[better], rows=rows, **costs)
    if held_out.skipped:
        yield message("compare.skipped", rows=pluralize(held_out.skipped, "row"))


def _describe_test(result: ModelComparison) -> Message:
    if result.nested is None:
        same = {*result.models[0].parameters} == {*result.models[1].parameters}
        return message("compare.same_columns" if same else "compare.not_nested")
    small, large = result.names[result.nested], result.names[1 - result.nested]
    if math.isnan(result.f):
        exact = result.models[1 - result.nested].statistics.get("sigma") is None
        return message("compare.exact" if exact else "compare.dependent", small=small, large=large)
    key = "compare.larger" if result.f_p_value < SIGNIFICANCE else "compare.smaller"
    df = [format_number(value) for value in result.df]
    f, p = f"{result.f:.4g}", f"{result.f_p_value:.3g}"
    return message(key, small=small, large=large, f=f, df=df[0], df_residual=df[1], p=p)


def _describe_criterion(result: ModelComparison, criterion: str) -> Iterator[Message]:
    difference = result.differences(criterion)
    if math.isnan(difference):
        return
    name = result.names[int(difference < 0)]
    key = "compare.criterion" if abs(difference) >= CLEAR_DIFFERENCE else "compare.criterion_close"
    yield message(key, criterion=criterion.upper(), name=name, difference=abs(difference))


def _table(result: ModelComparison) -> Table:
    columns = COLUMNS if result.no_statistics is None else COLUMNS[:-2]  # criteria of other rows are no comparison
    headings = ["", *(message(f"compare.heading_{name}").text() for name in columns)]
    if result.held_out is not None:
        headings.append(message("compare.heading_held_out").text())
    rows = []
    for i, (name, model) in enumerate(zip(result.names, result.models, strict=True)):
        values = [model.statistics.get(each) for each in columns]
        values += [] if result.held_out is None else [result.held_out.costs[i]]
        rows.append((name, *("-" if value is None else f"{value:.6g}" for value in values)))
    return Table(message("compare.title", target=f"`{result.models[0].target}`").text(), tuple(headings), rows)
