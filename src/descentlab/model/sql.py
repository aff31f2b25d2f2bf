"""A model as one SQL expression, in the order of operations of :mod:`descentlab.model.linear_predictor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from descentlab.data.arrays import MAX_EXACT_INTEGER
from descentlab.data.design.dates import parse_date
from descentlab.data.design.functions import DATE_FUNCTIONS, FITTED
from descentlab.data.design.levels import Level
from descentlab.data.design.parser import parse_formula
from descentlab.data.design.syntax import Call, Expression, Name, Number, Operation, Text
from descentlab.errors import SettingError, check_choice
from descentlab.model.fitted_model import FittedModel
from descentlab.model.linear_predictor import WeightTable

DIALECTS = ("duckdb", "postgresql")
LOGARITHMS = ("log", "log2", "log10")
WORDS = {"one": ("true", "1"), "zero": ("false", "0")}  # beside the two words of the data


def write_sql(model: FittedModel, dialect: str) -> str:
    """The expression; raises SettingError for an unknown dialect, or a name that no SQL can hold."""
    return _Writer(model, check_choice("dialect", dialect, DIALECTS)).expression()


@dataclass
class _Writer:
    model: FittedModel
    dialect: str

    @property
    def double(self) -> str:
        return "DOUBLE" if self.dialect == "duckdb" else "DOUBLE PRECISION"

    def number(self, value: float) -> str:
        """A literal that is read as this float64: ``1.5e0`` in DuckDB, whose plain ``1.5`` is a decimal."""
        text = repr(float(value)).removesuffix(".0")
        if self.dialect == "duckdb":
            return text if "e" in text else f"{text}e0"
        return f"{text}::float8" if value >= 0 and not text.startswith("-") else f"({text})::float8"

    def name(self, column: str) -> str:
        if "\0" in column:
            raise SettingError("sql_name", name=repr(column))
        return '"' + column.replace('"', '""') + '"'

    @staticmethod
    def text(value: str) -> str:
        if "\0" in value:
            raise SettingError("sql_name", name=repr(value))
        return "'" + value.replace("'", "''") + "'"

    def expression(self) -> str:
        """The terms, one a line, added from left to right."""
        terms = [term for table in self.model.weight_tables for term in self.terms(table)]
        if self.model.has_bias or not terms:
            terms.insert(0, self.number(self.model.intercept))
        return "\n+ ".join(terms)

    def terms(self, table: WeightTable) -> Iterator[str]:
        for k, (factors, center) in enumerate(zip(self.columns(table), table.centers.tolist(), strict=True)):
            weight = self.case(table.categories, table.weights[k])
            if not factors:
                yield weight
                continue
            column = self.centered(factors, table, center)
            yield f"{column} * {weight}"

    def columns(self, table: WeightTable) -> list[list[str]]:
        """For each product of numeric factors, the SQL of its factors."""
        per_factor = [self.factor_columns(factor) for factor in table.numeric]
        return [list(each) for each in product(*per_factor)]

    def factor_columns(self, factor: Expression) -> list[str]:
        if isinstance(factor, Call) and factor.function == "poly":
            return self.polynomials(factor)
        return [self.value(factor)]

    def centered(self, factors: Sequence[str], table: WeightTable, center: float) -> str:
        if not center:
            return " * ".join(factors)
        factor = table.numeric[0]
        shiftable = self.model.rows_design.shiftable_columns
        if abs(center) >= MAX_EXACT_INTEGER and isinstance(factor, Name) and factor.name in shiftable:
            return f"CAST({self.name(factor.name)} - {int(center):d} AS {self.double})".replace("- -", "+ ")
        inner = factors[0] if len(factors) == 1 else f"({' * '.join(factors)})"
        return f"({inner} - {self.number(center)})"

    def case(self, keys: Sequence[str], weights: Any) -> str:
        """A number, or a CASE of the levels."""
        if not keys:
            return self.number(float(weights))
        key, levels = keys[0], self.model.design.levels[keys[0]]
        subject, literals = self.category(key, levels)
        branches = " ".join(
            f"WHEN {literal} THEN {self.case(keys[1:], each)}" for literal, each in zip(literals, weights, strict=True)
        )
        return f"CASE {subject} {branches} END"

    def category(self, key: str, levels: Sequence[Level]) -> tuple[str, list[str]]:
        """What is compared with the levels, and each of them."""
        root = parse_formula(key)
        subject = self.name(root.name) if isinstance(root, Name) else self.value(root)
        kinds = {type(level) for level in levels}
        if str in kinds:
            texts = [str(level).lower() if isinstance(level, bool) else str(level) for level in levels]
            return f"CAST({subject} AS VARCHAR)", [self.text(each) for each in texts]
        if kinds == {bool}:
            return f"CAST({subject} AS BOOLEAN)", [str(level).upper() for level in levels]
        numbers = [level for level in levels if not isinstance(level, str)]
        return subject, [f"{level:d}" if isinstance(level, int) else self.number(level) for level in numbers]

    def value(self, node: Expression) -> str:
        """The SQL of a numeric expression; NULL where it has no finite value."""
        if isinstance(node, Name):
            return self.column(node.name)
        if isinstance(node, Number):
            return self.number(node.value)
        if isinstance(node, Operation):
            return self.operation(node)
        assert isinstance(node, Call)
        if node.function in DATE_FUNCTIONS:
            return self.date_part(node)
        inner = self.value(node.arguments[0])
        if node.function in FITTED:
            return self.standardized(node, inner)
        return self.function(node.function, inner)

    def column(self, name: str) -> str:
        described, quoted = self.model.inputs[name], self.name(name)
        if "one" not in described:
            return f"CAST({quoted} AS {self.double})"
        words = [", ".join(map(self.text, dict.fromkeys((described[key], *also)))) for key, also in WORDS.items()]
        text, one, zero = f"lower(CAST({quoted} AS VARCHAR))", self.number(1), self.number(0)
        return f"(CASE WHEN {text} IN ({words[0]}) THEN {one} WHEN {text} IN ({words[1]}) THEN {zero} END)"

    def operation(self, node: Operation) -> str:
        operands = [self.value(each) for each in node.operands]
        if len(operands) == 1:
            return f"({node.symbol}{operands[0]})" if node.symbol == "-" else operands[0]
        left, right = operands
        if node.symbol == "/":
            return f"({left} / NULLIF({right}, {self.number(0)}))"
        return self.power(left, node.operands[1], right) if node.symbol == "**" else f"({left} {node.symbol} {right})"

    def power(self, base: str, exponent: Expression, written: str) -> str:
        value = exponent.value if isinstance(exponent, Number) else None
        if value is not None and value == int(value) and value >= 0:
            return f"power({base}, {written})"
        zero = self.number(0)
        if value is not None and value == int(value):
            return f"power(NULLIF({base}, {zero}), {written})"
        return f"CASE WHEN {base} {'>=' if value and value > 0 else '>'} {zero} THEN power({base}, {written}) END"

    def function(self, function: str, inner: str) -> str:
        zero = self.number(0)
        if function in LOGARITHMS:
            return f"(CASE WHEN {inner} > {zero} THEN {self.logarithm(function, inner)} END)"
        if function == "sqrt":
            return f"(CASE WHEN {inner} >= {zero} THEN sqrt({inner}) END)"
        return inner if function == "I" else f"{function}({inner})"

    def logarithm(self, function: str, inner: str) -> str:
        if function == "log":
            return f"ln({inner})"
        if self.dialect == "duckdb":
            return f"{function}({inner})"
        return f"log({inner})" if function == "log10" else f"(ln({inner}) / ln({self.number(2)}))"

    def standardized(self, node: Call, inner: str) -> str:
        constants = self.model.design.constants[str(node)]
        return f"(({inner} - {self.number(constants['mean'])}) / {self.number(constants['divisor'])})"

    def polynomials(self, node: Call) -> list[str]:
        """Each polynomial by Horner's rule."""
        t = self.standardized(node, self.value(node.arguments[0]))
        return [self.polynomial(t, each) for each in self.model.design.constants[str(node)]["polynomials"]]

    def polynomial(self, t: str, coefficients: Sequence[float]) -> str:
        *lower, highest = coefficients
        result = self.number(highest)
        for coefficient in reversed(lower):
            result = f"({result} * {t} + {self.number(coefficient)})"
        return result

    def date_part(self, node: Call) -> str:
        column = node.arguments[0]
        assert isinstance(column, Name)
        timestamp = f"CAST({self.name(column.name)} AS TIMESTAMP)"
        if node.function == "days":
            since = next((value.text for _, value in node.keywords if isinstance(value, Text)), "1970-01-01")
            return self.days(timestamp, parse_date(since) or 0)
        if node.function == "weekday":
            return f"CAST(EXTRACT(ISODOW FROM {timestamp}) - 1 AS {self.double})"
        return f"CAST(EXTRACT({node.function.upper()} FROM {timestamp}) AS {self.double})"

    def days(self, timestamp: str, since: int) -> str:
        instant = f"epoch_us({timestamp})" if self.dialect == "duckdb" else f"EXTRACT(EPOCH FROM {timestamp}) * 1000000"
        return f"(CAST({instant} - ({since}) AS {self.double}) / {self.number(86_400_000_000)})"
