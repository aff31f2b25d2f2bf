"""The functions that a formula can use: what each takes, and its values on a block of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data.design.dates import DATE_PARTS, parse_date
from descentlab.data.design.syntax import Call, Expression, Name, Number, Operation, Text, formula_error
from descentlab.errors import SettingError, did_you_mean
from descentlab.messages import Message, message
from descentlab.typing import FloatArray

ELEMENTWISE: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "I": np.positive,
}
FITTED = ("center", "scale", "poly")  # their constants come from a pass over the data
DATE_FUNCTIONS = (*DATE_PARTS, "days")
CATEGORY = "C"
MAX_DEGREE = 20  # powers of a standardized column are told apart up to about here
ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}


def check_factor(node: Expression, formula: str) -> None:
    """Raise SettingError, with a caret, if a factor of a term is not one that has values."""
    if isinstance(node, Call) and node.function == CATEGORY:
        _check_category(node, formula)
    elif isinstance(node, Call) and node.function == "poly":
        _check_poly(node, formula)
    else:
        check_number(node, formula)


def check_number(node: Expression, formula: str) -> None:
    """Raise SettingError if an expression is not one number in each row."""
    if isinstance(node, Name | Number):
        return
    if isinstance(node, Text):
        raise formula_error(formula, node.start, message("formula.text", text=str(node)))
    if isinstance(node, Operation):
        if node.symbol not in ARITHMETIC:
            raise formula_error(formula, node.start, message("formula.not_arithmetic", sign=node.symbol))
        for operand in node.operands:
            check_number(operand, formula)
        return
    assert isinstance(node, Call)
    if node.function in DATE_FUNCTIONS:
        _check_date_function(node, formula)
        return
    if node.function in (CATEGORY, "poly"):
        raise formula_error(formula, node.start, message("formula.outermost", function=node.function))
    if node.function not in (*ELEMENTWISE, "center", "scale"):
        known = (*ELEMENTWISE, *FITTED, *DATE_FUNCTIONS, CATEGORY)
        near = did_you_mean(node.function, known)
        raise formula_error(
            formula, node.start, message("formula.function", function=node.function, known=known, near=near)
        )
    if len(node.arguments) != 1 or node.keywords:
        raise _arguments_error(node, formula, f"{node.function}(x)")
    check_number(node.arguments[0], formula)


def _arguments_error(node: Call, formula: str, usage: str) -> SettingError:
    return formula_error(formula, node.start, message("formula.arguments", function=node.function, usage=usage))


def _check_date_function(node: Call, formula: str) -> None:
    usage = f"{node.function}(date)" if node.function != "days" else 'days(date, since="2020-01-31")'
    is_column = len(node.arguments) == 1 and isinstance(node.arguments[0], Name)
    allowed = {"since"} if node.function == "days" else set()
    if not is_column or not {keyword for keyword, _ in node.keywords} <= allowed:
        raise _arguments_error(node, formula, usage)
    for _, since in node.keywords:
        if not isinstance(since, Text) or parse_date(since.text) is None:
            raise formula_error(formula, since.start, message("formula.since", given=str(since)))


def _check_poly(node: Call, formula: str) -> None:
    degree = node.arguments[1] if len(node.arguments) == 2 else None
    if not isinstance(degree, Number) or node.keywords or degree.value not in range(1, MAX_DEGREE + 1):
        raise _arguments_error(node, formula, f"poly(x, 2), 1 .. {MAX_DEGREE}")
    check_number(node.arguments[0], formula)


def _check_category(node: Call, formula: str) -> None:
    if not node.arguments or len(node.arguments) > 2 or parse_coding(node) is None:
        raise _arguments_error(node, formula, 'C(x), C(x, "level"), C(x, Sum)')
    check_number(node.arguments[0], formula)


def parse_coding(node: Call) -> tuple[str, str | float | None] | None:
    """The coding of a category and its reference level, None for the first; None if it cannot be read."""
    options: list[Expression] = [*node.arguments[1:], *(value for key, value in node.keywords if key == "reference")]
    if len(options) != len(node.arguments) - 1 + len(node.keywords) or len(options) > 1:
        return None
    option = options[0] if options else Name("Treatment")
    if isinstance(option, Call) and option.function == "Treatment":
        inner = [*option.arguments, *(value for key, value in option.keywords if key == "reference")]
        if len(inner) != 1 or len(option.keywords) + len(option.arguments) != 1:
            return None
        option = inner[0]
    if isinstance(option, Name):
        return {"Treatment": ("treatment", None), "Sum": ("sum", None)}.get(option.name)
    if isinstance(option, Text):
        return "treatment", option.text
    return ("treatment", option.value) if isinstance(option, Number) else None


def find_leaves(node: Expression) -> Iterator[Expression]:
    """The columns, and the parts of dates, that a number is computed from."""
    if isinstance(node, Name) or (isinstance(node, Call) and node.function in DATE_FUNCTIONS):
        yield node
    else:
        for inner in node:
            yield from find_leaves(inner)


def evaluate(
    node: Expression, values: Mapping[str, FloatArray], constants: Mapping[str, Mapping[str, Any]], rows: int
) -> FloatArray:
    """(m,) values of an expression on m rows, (m, k) of ``poly(x, k)``.

    Where a value that it is computed from is missing (NaN), it is NaN. Where there is none for another reason, such as
    a logarithm of 0 or below, it is infinite.

    Args:
        values: the (m,) values of the leaves by their text.
        constants: what the functions of :data:`FITTED` know of the data, by their text.
    """
    with np.errstate(all="ignore"):
        result = np.array(np.broadcast_to(_evaluate(node, values, constants).T, (*_width(node), rows)).T)
    missing = np.zeros(rows, dtype=bool)
    for leaf in find_leaves(node):
        missing |= np.isnan(values[str(leaf)])
    result[np.isnan(result)] = -np.inf
    result[missing] = np.nan
    return result


def _width(node: Expression) -> tuple[int, ...]:
    is_poly = isinstance(node, Call) and node.function == "poly"
    return (poly_degree(node),) if is_poly else ()


def poly_degree(node: Expression) -> int:
    """The k of ``poly(x, k)``."""
    degree = node.arguments[1] if isinstance(node, Call) else None
    assert isinstance(degree, Number)
    return int(degree.value)


def _evaluate(node: Expression, values: Mapping[str, Any], constants: Mapping[str, Mapping[str, Any]]) -> Any:
    if str(node) in values:
        return values[str(node)]
    if isinstance(node, Number):
        return np.asarray(node.value)
    operands = [_evaluate(inner, values, constants) for inner in node if not _is_setting(node, inner)]
    if isinstance(node, Operation):
        return (
            ARITHMETIC[node.symbol](*operands)
            if len(operands) == 2
            else (-operands[0], operands[0])[node.symbol == "+"]
        )
    assert isinstance(node, Call)
    if node.function in FITTED:
        return _apply_constants(operands[0], constants[str(node)])
    return ELEMENTWISE[node.function](operands[0])


def _is_setting(node: Expression, inner: Expression) -> bool:
    return isinstance(node, Call) and node.function == "poly" and inner is node.arguments[1]


def _apply_constants(x: FloatArray, constants: Mapping[str, Any]) -> FloatArray:
    """``(x - mean) / divisor``, or the polynomials in it whose coefficients, from the constant on, are given.

    Each value depends on nothing but its row, and on the order of operations that is written here, as in SQL.
    """
    t: FloatArray = (x - constants["mean"]) / constants["divisor"]
    if "polynomials" not in constants:
        return t
    return np.stack([_evaluate_polynomial(t, each) for each in constants["polynomials"]], axis=-1)


def _evaluate_polynomial(t: FloatArray, coefficients: Sequence[float]) -> FloatArray:
    """Horner's rule; the coefficients begin with the constant."""
    result = np.full_like(t, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * t + coefficient
    return result


def domain_hint(functions: Collection[str]) -> Message | str:
    """What values functions need; empty if all are allowed."""
    if any(function.startswith("log") for function in functions):
        return message("formula.needs_positive")
    return message("formula.needs_nonnegative") if "sqrt" in functions else ""
