"""From a formula, or from the names of categories, to the design for the columns that a source has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from descentlab.data.design.blocks import category_key
from descentlab.data.design.design import Design
from descentlab.data.design.formula import ParsedFormula, Term, is_category
from descentlab.data.design.functions import CATEGORY, DATE_FUNCTIONS
from descentlab.data.design.parser import ALL_COLUMNS
from descentlab.data.design.syntax import Call, Expression, Name, formula_error
from descentlab.data.source import Source
from descentlab.errors import SettingError, did_you_mean
from descentlab.messages import Message, message

LABEL_REASONS = ("left_out.text", "left_out.codes")  # columns that a formula takes as categories by their name alone
LEVELLESS_REASONS = ("left_out.other", "left_out.binary")
DATE_REASONS = ("left_out.time", "left_out.date_text")


def make_design(
    formula: ParsedFormula, source: Source, target: str, others: Sequence[str], categories: Sequence[str] = ()
) -> Design:
    """The design of a formula on the columns of a source.

    Args:
        formula: its terms.
        source: the data.
        target: the target if the formula has no left side.
        others: the columns that ``.`` means.
        categories: numeric columns that are categories by their name alone.

    Raises:
        SettingError: it names a column that does not exist or that has no numbers; a caret shows the place.
    """
    resolver = _Resolver(formula.text, source, categories)
    left = Name(target) if formula.target is None else formula.target
    resolver.number(left)
    terms: dict[frozenset[str], Term] = {}
    for term in _replace_all_columns(formula, others):
        resolved = Term(tuple(map(resolver.factor, term.factors)))
        terms.setdefault(resolved.key, resolved)
    for term in formula.without:
        if terms.pop(Term(tuple(map(resolver.factor, term.factors))).key, None) is None:
            raise formula_error(formula.text, term.factors[0].start, message("formula.not_there", term=str(term)))
    if not terms:
        raise formula_error(formula.text, formula.terms[0].factors[0].start, message("formula.no_terms"))
    design = Design(left, tuple(terms.values()), formula.bias)
    _check_codings(design, formula.text)
    return design


def category_term(name: str) -> Term:
    """The term of a column as a category."""
    return Term((Call(CATEGORY, (Name(name),)),))


def _replace_all_columns(formula: ParsedFormula, others: Sequence[str]) -> Iterator[Term]:
    """The terms, with one for each other column in the place of ``.``, in products too."""
    used = {
        each.name for term in formula.terms for root in term.factors for each in root.walk() if isinstance(each, Name)
    }
    rest = [name for name in others if name not in used]
    for term in formula.terms:
        if Name(ALL_COLUMNS) not in term.factors:
            yield term
            continue
        if not rest:
            raise formula_error(formula.text, term.factors[0].start, message("formula.no_others"))
        for name in rest:
            yield Term(tuple(Name(name) if factor == Name(ALL_COLUMNS) else factor for factor in term.factors))


class _Resolver:
    """Looks up the columns of a formula."""

    def __init__(self, text: str, source: Source, categories: Sequence[str]) -> None:
        self.text, self.source, self.categories = text, source, categories

    def error(self, node: Expression, reason: Message) -> SettingError:
        return formula_error(self.text, node.start, reason)

    def excluded_reason(self, node: Name) -> Message | None:
        """Why a column is not numeric; None if it is."""
        if node.name in self.source.names:
            return None
        columns = (*self.source.names, *self.source.excluded_columns)
        if node.name not in self.source.excluded_columns:
            near = did_you_mean(node.name, columns)
            raise self.error(node, message("formula.no_column", name=node.name, columns=columns, near=near))
        return self.source.excluded_columns[node.name]

    def factor(self, node: Expression) -> Expression:
        """A factor of a term; the name of a column of text becomes a category."""
        if isinstance(node, Name):
            reason = self.excluded_reason(node)
            if node.name in self.categories or (reason is not None and reason.key in LABEL_REASONS):
                return Call(CATEGORY, (node,), start=node.start, stop=node.stop)
        if isinstance(node, Call) and is_category(node) and isinstance(column := node.arguments[0], Name):
            reason = self.excluded_reason(column)
            if reason is not None and reason.key in LEVELLESS_REASONS:
                raise self.error(column, message("formula.no_levels", name=column.name, reason=reason))
            return node
        self.number(node.arguments[0] if isinstance(node, Call) and is_category(node) else node)
        return node

    def number(self, node: Expression, function: str = "") -> None:
        """Check that the columns of an expression are numeric, or dates where a function takes dates."""
        if isinstance(node, Name):
            self.number_column(node, function)
        elif isinstance(node, Call) and node.function in DATE_FUNCTIONS:
            column = node.arguments[0]
            assert isinstance(column, Name)
            if self.excluded_reason(column) is None:
                raise self.error(column, message("formula.not_date", name=column.name, function=node.function))
        else:
            for inner in node:
                self.number(inner, node.function if isinstance(node, Call) else function)

    def number_column(self, node: Name, function: str) -> None:
        reason = self.excluded_reason(node)
        if reason is None:
            return
        if reason.key in DATE_REASONS:
            raise self.error(node, message("formula.date_column", name=node.name))
        key = "formula.text_in_function" if function and function != "I" else "formula.not_numeric"
        raise self.error(node, message(key, name=node.name, function=function, reason=reason))


def _check_codings(design: Design, text: str) -> None:
    """Raise SettingError if a category is coded in two ways."""
    seen: dict[str, Call] = {}
    for term in design.terms:
        for factor in term.factors:
            if isinstance(factor, Call) and is_category(factor):
                first = seen.setdefault(category_key(factor), factor)
                if first != factor:
                    reason = message("formula.two_codings", first=str(first), second=str(factor))
                    raise formula_error(text, factor.start, reason)


def with_categories(names: Sequence[str], categories: Sequence[str], target: str, bias: bool) -> Design:
    """The design of numeric columns and categories, one term each, without a formula."""
    terms = (*(Term((Name(name),)) for name in names if name not in categories), *map(category_term, categories))
    return Design(Name(target), terms, bias)
