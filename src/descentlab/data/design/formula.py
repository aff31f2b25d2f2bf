"""From the tree of a formula to its terms: products of factors, in the order of R."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from descentlab.data.design.functions import CATEGORY, check_factor, check_number
from descentlab.data.design.parser import ALL_COLUMNS, parse_formula
from descentlab.data.design.syntax import Call, Expression, Name, Number, Operation, Text, formula_error
from descentlab.messages import message

MAX_TERMS = 10_000
MAX_TREE_DEPTH = 100  # of signs and functions inside one another in one part of a sum


@dataclass(frozen=True)
class Term:
    """A product of distinct factors; without factors it is the bias."""

    factors: tuple[Expression, ...]

    @property
    def key(self) -> frozenset[str]:
        """Equal for terms that differ only in the order of their factors."""
        return frozenset(map(str, self.factors))

    def __str__(self) -> str:
        return ":".join(map(str, self.factors)) or "1"

    def times(self, other: Term) -> Term:
        """The product; a factor of both counts once, as in R."""
        return Term((*self.factors, *(factor for factor in other.factors if factor not in self.factors)))


BIAS = Term(())
Terms = dict[frozenset[str], Term]


@dataclass(frozen=True)
class ParsedFormula:
    """A formula as terms.

    Attributes:
        text: as it was given.
        target: the left side; None if there is none.
        terms: the right side without the bias, products of fewer factors first.
        bias: whether the hypothesis has a constant term.
        without: terms that are not among those of ``.``.
    """

    text: str
    target: Expression | None
    terms: tuple[Term, ...]
    bias: bool
    without: tuple[Term, ...] = ()

    @property
    def uses_all_columns(self) -> bool:
        """Whether ``.`` is among the factors."""
        return any(Name(ALL_COLUMNS) in term.factors for term in self.terms)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns of the data that the target is computed from."""
        return tuple(each.name for each in self.target.walk() if isinstance(each, Name)) if self.target else ()


def read_formula(text: str) -> ParsedFormula:
    """The terms of a formula.

    Raises:
        SettingError: it cannot be read; a caret shows the place.

    >>> formula = read_formula("price ~ size * rooms + C(city) - 1")
    >>> str(formula.target), [str(term) for term in formula.terms], formula.bias
    ('price', ['size', 'rooms', 'C(city)', 'size:rooms'], False)
    """
    tree = parse_formula(text)
    *left, right = tree.operands if isinstance(tree, Operation) and tree.symbol == "~" else (tree,)
    for node in [*left, right]:
        for inner in node.walk():
            if isinstance(inner, Operation) and inner.symbol == "~":
                raise formula_error(text, inner.start, message("formula.two_tildes"))
    target = left[0] if left else None
    if target is not None and target.depth > MAX_TREE_DEPTH:
        raise formula_error(text, target.start, message("formula.deep", most=MAX_TREE_DEPTH))
    if target is not None:
        _check_target(target, text)
    terms, without = _expand_right_side(right, text)
    bias = terms.pop(BIAS.key, None) is not None
    for term in terms.values():
        for factor in term.factors:
            check_factor(factor, text)
            if not any(isinstance(each, Name) for each in factor.walk()):
                raise formula_error(text, factor.start, message("formula.no_column_inside", term=str(factor)))
            _check_without_target(factor, target, text)
    if not terms:
        raise formula_error(text, right.start, message("formula.no_terms"))
    return ParsedFormula(text, target, tuple(sorted(terms.values(), key=lambda term: len(term.factors))), bias, without)


def _check_target(target: Expression, text: str) -> None:
    if isinstance(target, Operation | Number) or target == Name(ALL_COLUMNS):
        raise formula_error(text, target.start, message("formula.target"))
    check_number(target, text)


def _check_without_target(factor: Expression, target: Expression | None, text: str) -> None:
    target_columns = {each.name for each in target.walk() if isinstance(each, Name)} if target else set()
    for each in factor.walk():
        if isinstance(each, Name) and each.name in target_columns:
            raise formula_error(text, each.start, message("formula.target_inside", name=each.name))


def _expand_right_side(node: Expression, text: str) -> tuple[Terms, tuple[Term, ...]]:
    """The terms of the right side, which begins with the bias, and those that ``.`` is to lack."""
    terms, given = {BIAS.key: BIAS}, set[str]()
    without: list[Term] = []
    for sign, part in _signed_parts(node, 1, text, is_whole=True):
        if isinstance(part, Number) and part.value in (0, 1):
            if (sign > 0) == bool(part.value):
                terms[BIAS.key] = BIAS
            else:
                terms.pop(BIAS.key, None)
            continue
        if part.depth > MAX_TREE_DEPTH:
            raise formula_error(text, part.start, message("formula.deep", most=MAX_TREE_DEPTH))
        expanded = _expand(part, text)
        if sign > 0:
            if str(part) in given:
                raise formula_error(text, part.start, message("formula.twice", term=str(part)))
            given.add(str(part))
            terms = _union(terms, expanded)
        elif any(Name(ALL_COLUMNS) in term.factors for term in terms.values()):
            without += expanded.values()
            terms = {key: term for key, term in terms.items() if key not in expanded}
        elif not expanded.keys() <= terms.keys():
            raise formula_error(text, part.start, message("formula.not_there", term=str(part)))
        else:
            terms = {key: term for key, term in terms.items() if key not in expanded}
    return terms, tuple(without)


def _signed_parts(
    node: Expression, sign: int, text: str, *, is_whole: bool = False
) -> Iterator[tuple[int, Expression]]:
    """What is added (1) and what is taken away (-1). A part in brackets is a part of its own."""
    stack = [(sign, node)]
    while stack:
        sign, node = stack.pop()
        is_sum = isinstance(node, Operation) and node.symbol in "+-"
        if not isinstance(node, Operation) or not is_sum or (_is_in_brackets(node, text) and not is_whole):
            yield sign, node
            continue
        is_whole = False
        *left, right = node.operands
        stack.append((-sign if node.symbol == "-" else sign, right))
        stack += [(sign, each) for each in left]


def _is_in_brackets(node: Operation, text: str) -> bool:
    return text[node.start] == "(" and (len(node.operands) == 1 or node.operands[0].start > node.start)


def _expand(node: Expression, text: str) -> Terms:
    """The terms of a part of a right side."""
    if isinstance(node, Name | Call):
        term = Term((node,))
        return {term.key: term}
    if isinstance(node, Number) and node.value == 1:
        return {BIAS.key: BIAS}
    if isinstance(node, Text):
        raise formula_error(text, node.start, message("formula.text", text=str(node)))
    if not isinstance(node, Operation):
        raise formula_error(text, node.start, message("formula.number", number=str(node)))
    if node.symbol == "**":
        return _expand_power(node, text)
    operands = [_expand(operand, text) for operand in node.operands]
    if len(operands) == 1:
        raise formula_error(text, node.start, message("formula.sign_inside"))
    left, right = operands
    if node.symbol == "+":
        return _union(left, right)
    if node.symbol == "-":
        return {key: term for key, term in left.items() if key not in right}
    if node.symbol == ":":
        return _multiply(left, right, node, text)
    if node.symbol == "*":
        return _union(_union(left, right), _multiply(left, right, node, text))
    every = BIAS
    for term in left.values():
        every = every.times(term)
    return _union(left, _multiply({every.key: every}, right, node, text))


def _expand_power(node: Operation, text: str) -> Terms:
    base, exponent = node.operands
    if not isinstance(exponent, Number) or exponent.value not in range(1, 11):
        raise formula_error(text, exponent.start, message("formula.power"))
    terms = once = _expand(base, text)
    for _ in range(int(exponent.value) - 1):
        terms = _union(terms, _multiply(terms, once, node, text))
    return terms


def _multiply(left: Terms, right: Terms, node: Operation, text: str) -> Terms:
    if len(left) * len(right) > MAX_TERMS:
        raise formula_error(text, node.start, message("formula.too_many", most=MAX_TERMS))
    result: Terms = {}
    for a, b in product(left.values(), right.values()):
        term = a.times(b)
        result.setdefault(term.key, term)
    return result


def _union(left: Terms, right: Terms) -> Terms:
    return left | {key: term for key, term in right.items() if key not in left}


def is_category(factor: Expression) -> bool:
    """Whether a factor is a category."""
    return isinstance(factor, Call) and factor.function == CATEGORY
