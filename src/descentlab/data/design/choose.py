"""Which design is meant: a formula, or numeric columns and categories."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from descentlab.data.columns import as_names, check_column, choose_features
from descentlab.data.design.design import Design
from descentlab.data.design.formula import ParsedFormula
from descentlab.data.design.levels import LevelNumbers
from descentlab.data.design.parser import ALL_COLUMNS
from descentlab.data.design.resolve import DATE_REASONS, LABEL_REASONS, make_design, with_categories
from descentlab.data.design.syntax import Name
from descentlab.data.source import Source
from descentlab.errors import DataError, SettingError, did_you_mean
from descentlab.messages import Message, message

AUTO = "auto"
MAX_AUTO_LEVELS = 50  # of a column of text that ``categories="auto"`` takes in


def check_formula_alone(formula: ParsedFormula | None, **others: object) -> None:
    """Raise SettingError if a formula is given together with what it says itself."""
    given = [name for name, value in others.items() if value is not None]
    if formula is not None and given:
        raise SettingError("formula_with", names=given)


def choose_design(
    formula: ParsedFormula | None,
    categories: Sequence[str] | str | None,
    source: Source,
    target: str,
    weights: str | None,
    requested: Sequence[str] | None,
    drop: Sequence[str] | None,
    set_aside: Mapping[str, Message],
    bias: bool,
) -> Design | None:
    """The design of a formula or of categories; None if there is neither.

    Raises:
        DataError, SettingError: it names columns that cannot be used.
    """
    if formula is None and categories is None:
        return None
    chosen = find_categories(source, (target, weights, *as_names(drop))) if categories == AUTO else as_names(categories)
    _check_categories(chosen, source, (target, weights))
    if formula is None:
        if not chosen:
            return None
        return with_categories(
            _numeric_features(source, target, weights, requested, drop, set_aside, chosen), chosen, target, bias
        )
    uses_all = any(Name(ALL_COLUMNS) in term.factors for term in formula.terms)
    if chosen and not uses_all:
        raise SettingError("formula_with", names=["categories"])
    others: tuple[str, ...] = ()
    if uses_all:
        excluded = (*formula.without, *formula.target_columns)
        others = (*_numeric_features(source, target, weights, None, None, set_aside, chosen), *chosen)
        others = tuple(name for name in others if name not in excluded)
    return make_design(formula, source, target, others, chosen)


def _check_categories(categories: Sequence[str], source: Source, used: Sequence[str | None]) -> None:
    columns = (*source.names, *source.excluded_columns)
    for name in categories:
        if name not in columns:
            raise DataError("no_such_column", name=name, columns=columns, near=did_you_mean(name, columns))
        if name in used:
            raise DataError("category_of_used", name=name)


def _numeric_features(
    source: Source,
    target: str,
    weights: str | None,
    requested: Sequence[str] | None,
    drop: Sequence[str] | None,
    set_aside: Mapping[str, Message],
    categories: Sequence[str],
) -> tuple[str, ...]:
    """The numeric features beside categories; there can be none."""
    if requested is not None:
        requested = [name for name in requested if name not in categories]
        return tuple(check_column(name, source.names, source.excluded_columns) for name in requested)
    used = (target, weights, *as_names(drop), *set_aside, *categories)
    if not [name for name in source.names if name not in used]:
        return ()
    return choose_features(
        None, source.names, source.excluded_columns, target, weights, [*as_names(drop), *categories], set_aside
    )


def find_categories(source: Source, used: Sequence[str | None]) -> tuple[str, ...]:
    """The columns of text with at most ``MAX_AUTO_LEVELS`` levels, found in one pass over them."""
    reasons = source.excluded_columns
    names = [name for name, reason in reasons.items() if reason.key in LABEL_REASONS and name not in used]
    numbering = {name: LevelNumbers() for name in names}
    for _, others in source.mixed_blocks((), tuple(numbering)) if names else ():
        for name in list(numbering):
            numbering[name].encode(others[name])
            if len(numbering[name].numbers) > MAX_AUTO_LEVELS:
                del numbering[name]
    return tuple(name for name in names if name in numbering and numbering[name].numbers)


class LevelCount(NamedTuple):
    """How many levels a column of text has, in the rows that were counted and perhaps in all."""

    levels: int
    is_all: bool


def count_levels(source: Source) -> dict[str, LevelCount]:
    """The levels of the columns of text in the first piece, of those with at most ``MAX_AUTO_LEVELS``."""
    names = [name for name, reason in source.excluded_columns.items() if reason.key in LABEL_REASONS]
    piece = next(source.pieces(names), None) if names else None
    if piece is None:
        return {}
    numbering = {name: LevelNumbers() for name in names}
    for _, others in piece.mixed_blocks((), names):
        for name in names:
            numbering[name].encode(others[name])
    counts = {name: len(each.numbers) for name, each in numbering.items()}
    is_all = piece.size == source.size
    return {name: LevelCount(count, is_all) for name, count in counts.items() if 0 < count <= MAX_AUTO_LEVELS}


def left_out_notice(name: str, reason: Message, count: LevelCount | None, target: str) -> Message:
    """The notice that a column was left out, with the option that takes it in where there is one."""
    values = {"name": name, "reason": reason, "option": shlex.quote(name)}
    if count is not None:
        levels = message("count.levels" if count.is_all else "count.levels_at_least", count=count.levels)
        return message("notice.left_out_text", levels=levels, **values)
    if reason.key in DATE_REASONS:
        formula = shlex.quote(f"{Name(target)} ~ days({Name(name)})")
        return message("notice.left_out_date", formula=formula, **values)
    return message("notice.left_out", name=name, reason=reason)
