"""The expressions of formulas: names, numbers, texts, calls and operations, and how each is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from descentlab.errors import SettingError
from descentlab.messages import Message, display_width

PLAIN_NAME = re.compile(r"[^\W\d][\w.]*")
PRECEDENCE = {"~": 1, "+": 2, "-": 2, "*": 3, "/": 3, ":": 4, "**": 6}
NEGATION_PRECEDENCE = 2


@dataclass(frozen=True)
class Expression:
    """A part of a formula. ``start`` and ``stop`` are its place in the text; equal parts differ only in it."""

    start: int = field(default=0, compare=False, kw_only=True)
    stop: int = field(default=0, compare=False, kw_only=True)

    def __iter__(self) -> Iterator[Expression]:
        """The expressions directly inside."""
        return iter(())

    def walk(self) -> Iterator[Expression]:
        """This expression and all inside it."""
        stack = [self]
        while stack:
            yield (node := stack.pop())
            stack += reversed(list(node))

    @property
    def depth(self) -> int:
        """How many expressions are inside one another."""
        depth, level = 0, [self]
        while level:
            depth, level = depth + 1, [inner for node in level for inner in node]
        return depth


@dataclass(frozen=True)
class Name(Expression):
    """A column of the data."""

    name: str

    def __str__(self) -> str:
        if PLAIN_NAME.fullmatch(self.name):
            return self.name
        escaped = self.name.replace("`", "``")
        return f"`{escaped}`"


@dataclass(frozen=True)
class Number(Expression):
    """A number."""

    value: float

    def __str__(self) -> str:
        return str(int(self.value)) if self.value == int(self.value) and abs(self.value) < 2**53 else repr(self.value)


@dataclass(frozen=True)
class Text(Expression):
    """A text in quotes: a level or a date."""

    text: str

    def __str__(self) -> str:
        quote = "'" if '"' in self.text else '"'
        return f"{quote}{self.text}{quote}"


@dataclass(frozen=True)
class Call(Expression):
    """A function of expressions, some of them by keyword."""

    function: str
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...] = ()

    def __iter__(self) -> Iterator[Expression]:
        return iter((*self.arguments, *(value for _, value in self.keywords)))

    def __str__(self) -> str:
        return f"{self.function}({', '.join([*map(str, self.arguments), *(f'{k}={v}' for k, v in self.keywords)])})"


@dataclass(frozen=True)
class Operation(Expression):
    """An operator and its one or two operands."""

    symbol: str
    operands: tuple[Expression, ...]

    def __iter__(self) -> Iterator[Expression]:
        return iter(self.operands)

    @property
    def precedence(self) -> int:
        return PRECEDENCE[self.symbol] if len(self.operands) == 2 else NEGATION_PRECEDENCE

    def __str__(self) -> str:
        if len(self.operands) == 1:
            return f"{self.symbol}{self._operand(0, self.precedence)}"
        is_power = self.symbol == "**"  # it groups from the right, the others from the left
        left = self._operand(0, self.precedence + is_power)
        right = self._operand(1, self.precedence + (not is_power))
        return f"{left}:{right}" if self.symbol == ":" else f"{left} {self.symbol} {right}"

    def _operand(self, i: int, min_precedence: int) -> str:
        operand = self.operands[i]
        needs_brackets = isinstance(operand, Operation) and operand.precedence < min_precedence
        return f"({operand})" if needs_brackets else str(operand)


def formula_error(formula: str, place: int, reason: Message) -> SettingError:
    """The error for a formula, with a caret under the place that it is about."""
    indent = " " * display_width(formula[:place])
    return SettingError("formula", formula=formula, caret=f"{indent}^", reason=reason)
