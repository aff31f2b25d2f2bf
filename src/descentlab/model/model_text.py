"""A model in words: what it predicts, how it was made, and its coefficients."""

from __future__ import annotations

import math

from descentlab.messages import Message, Table, format_epochs, format_number, message, pluralize
from descentlab.messages.document import Block, make_blocks, message_blocks
from descentlab.model.fitted_model import FittedModel


@make_blocks.register
def _(model: FittedModel) -> list[Block]:
    columns = [f"`{name}`" for name in model.input_columns]
    sentences = [message("model.title", target=model.target, columns=columns, formula=model.design.formula)]
    sentences.append(_describe_origin(model))
    sigma, r2 = model.statistics.get("sigma"), model.statistics.get("r2")
    if sigma is not None and r2 is not None:
        sentences.append(message("model.quality", r2=f"{r2:.4f}", sigma=format_number(float(f"{sigma:.4g}"))))
    if model.no_interval is not None:
        sentences.append(message("model.without_intervals", reason=model.no_interval))
    return message_blocks(sentences, [_coefficients(model)])


def _describe_origin(model: FittedModel) -> Message:
    data = {"rows": pluralize(model.data.rows, "row"), "data": model.data.name, "version": model.version}
    if model.fitted["method"] != "descent":
        return message("model.by_least_squares", **data)
    known = {name: model.fitted.get(key) for name, key in (("cost", "cost"), ("least", "least_cost"))}
    costs = {name: value if isinstance(value, float) else math.inf for name, value in known.items()}
    return message("model.by_descent", epochs=format_epochs(int(model.fitted.get("epochs", 0))), **costs, **data)


def _coefficients(model: FittedModel) -> Table:
    has_errors = not all(map(math.isnan, model.standard_errors.tolist()))
    headings = ["", message("statistics.estimate").text()]
    headings += [message("statistics.standard_error").text()] if has_errors else []
    rows = [
        (name, f"{value:.6g}", *(["-" if math.isnan(error) else f"{error:.4g}"] if has_errors else []))
        for name, value, error in zip(
            model.parameters, model.params.tolist(), model.standard_errors.tolist(), strict=True
        )
    ]
    return Table(message("statistics.coefficients").text(), tuple(headings), rows)
