"""Parse a formula: the notation of R, in the signs that Python's libraries use for it too.

From weakest to strongest: ``~``, ``+ -`` (with one operand, too), ``* /``, ``:``, ``** ^``. The same signs are
arithmetic inside a function; which of the two is meant is decided by the reader of the tree.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from descentlab.data.design.syntax import (
    NEGATION_PRECEDENCE,
    PRECEDENCE,
    Call,
    Expression,
    Name,
    Number,
    Operation,
    Text,
    formula_error,
)
from descentlab.errors import SettingError
from descentlab.messages import Message, message

TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d][\w.]*)|`(?P<quoted>(?:[^`]|``)*)`"
    r"|\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<sign>\*\*|[-+*/:~^(),=.])"
)
MAX_DEPTH = 50  # brackets inside brackets
ALL_COLUMNS = "."  # every other column


class Token(NamedTuple):
    """A word or sign, and where it begins and ends; the kind ``end`` is behind the last."""

    kind: str
    text: str
    start: int
    stop: int


class _Parser:
    """Reads the tokens of one formula from left to right."""

    def __init__(self, formula: str) -> None:
        self.formula, self.tokens, self.next, self.depth = formula, _split_tokens(formula), 0, 0

    def error(self, place: int, reason: Message) -> SettingError:
        return formula_error(self.formula, place, reason)

    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def take(self) -> Token:
        token = self.token
        self.next += 1
        return token

    def is_at(self, sign: str) -> bool:
        return self.token.kind == "sign" and self.token.text == sign

    def parse(self) -> Expression:
        """The whole formula."""
        expression = self.parse_operations(0)
        if self.token.kind != "end":
            raise self.unexpected()
        return expression

    def unexpected(self) -> SettingError:
        if self.token.kind == "end":
            return self.error(len(self.formula.rstrip()), message("formula.ends"))
        before = self.tokens[self.next - 1] if self.next else None
        key = "formula.unexpected"
        if before and before.kind != "sign" and self.token.kind != "sign":
            key = "formula.no_sign"
        return self.error(self.token.start, message(key, found=self.token.text))

    def parse_operations(self, min_precedence: int) -> Expression:
        """Operands and the signs between them that bind at least this strongly."""
        left = self.parse_operand()
        while self.token.kind == "sign" and PRECEDENCE.get(_spelling(self.token), 0) > min_precedence:
            symbol = _spelling(self.take())
            is_power = symbol == "**"  # it groups from the right, so each is inside the one before
            self.depth += is_power
            right = self.parse_operations(PRECEDENCE[symbol] - is_power)
            self.depth -= is_power
            left = Operation(symbol, (left, right), start=left.start, stop=right.stop)
        return left

    def parse_operand(self) -> Expression:
        """A name, number, text, call, negation, or something in brackets."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(self.token.start, message("formula.deep", most=MAX_DEPTH))
        token = self.token
        if token.kind == "sign" and token.text in "+-~":
            self.take()
            operand = self.parse_operations(PRECEDENCE["~"] if token.text == "~" else NEGATION_PRECEDENCE)
            result: Expression = Operation(token.text, (operand,), start=token.start, stop=operand.stop)
        elif self.is_at("("):
            result = self.parse_brackets(self.take())
        elif self.is_at(ALL_COLUMNS):
            self.take()
            result = Name(ALL_COLUMNS, start=token.start, stop=token.stop)
        elif token.kind in ("sign", "end"):
            raise self.unexpected()
        else:
            result = self.parse_word(self.take())
        self.depth -= 1
        return result

    def parse_brackets(self, opening: Token) -> Expression:
        inner = self.parse_operations(0)
        self.close(opening)
        return replace(inner, start=opening.start, stop=self.tokens[self.next - 1].stop)

    def close(self, opening: Token) -> None:
        if self.token.kind == "end":
            raise self.error(opening.start, message("formula.unclosed"))
        if not self.is_at(")"):
            raise self.unexpected()
        self.take()

    def parse_word(self, token: Token) -> Expression:
        place = {"start": token.start, "stop": token.stop}
        if token.kind == "number":
            value = float(token.text)
            if value == float("inf"):
                raise self.error(token.start, message("formula.unexpected", found=token.text))
            return Number(value, **place)
        if token.kind in ("double", "single"):
            return Text(token.text, **place)
        if token.kind == "name" and self.is_at("("):
            return self.parse_call(token)
        return Name(token.text, **place)

    def parse_call(self, function: Token) -> Call:
        opening, arguments, keywords = self.take(), [], []
        while not self.is_at(")"):
            if self.token.kind == "name" and self.tokens[self.next + 1][:2] == ("sign", "="):
                keyword = self.take().text
                self.take()
                keywords.append((keyword, self.parse_operations(0)))
            elif keywords:
                raise self.unexpected()
            else:
                arguments.append(self.parse_operations(0))
            if not self.is_at(","):
                break
            self.take()
        self.close(opening)
        stop = self.tokens[self.next - 1].stop
        return Call(
            function.text.removeprefix("np."), tuple(arguments), tuple(keywords), start=function.start, stop=stop
        )


def _split_tokens(formula: str) -> list[Token]:
    tokens, place = [], 0
    while place < len(formula):
        match = TOKEN.match(formula, place)
        if match is None:
            key = "formula.open_quote" if formula[place] in "`'\"" else "formula.character"
            raise formula_error(formula, place, message(key, found=formula[place]))
        kind = str(match.lastgroup)
        if kind != "space":
            text = match[kind].replace("``", "`") if kind == "quoted" else match[kind]
            tokens.append(Token(kind, text, match.start(), match.end()))
        place = match.end()
    return [*tokens, Token("end", "", len(formula), len(formula))]


def _spelling(sign: Token) -> str:
    return "**" if sign.text == "^" else sign.text


def parse_formula(formula: str) -> Expression:
    """The tree of a formula.

    Raises:
        SettingError: it cannot be read; a caret shows the place.

    >>> print(parse_formula("price ~ size*rooms + log(`age in years`+1)"))
    price ~ size * rooms + log(`age in years` + 1)
    """
    return _Parser(formula).parse()
