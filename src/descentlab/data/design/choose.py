"""Which design is meant: a formula, or numeric columns and categories."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from descentlab.data.columns import as_names, choose_features
from descentlab.data.design.design import Design
from descentlab.data.design.formula import ParsedFormula, read_formula
from descentlab.data.design.levels import LevelNumbers
from descentlab.data.design.resolve import DATE_REASONS, LABEL_REASONS, make_design, with_categories
from descentlab.data.design.syntax import Name
from descentlab.data.source import Source
from descentlab.errors import DataError, SettingError, did_you_mean
from descentlab.messages import Message, message, pluralize

AUTO = "auto"
MAX_AUTO_LEVELS = 50  # of a column of text that ``categories="auto"`` takes in


@dataclass(frozen=True)
class DesignRequest:
    """What is predicted from what, if that is more than a choice of numeric columns.

    Attributes:
        formula: in the notation of R.
        categories: columns whose values are levels, or ``"auto"``.
        bias: whether there may be a constant term.
        design: a design that was made before; the formula is then its own.
    """

    formula: str | None = None
    categories: Sequence[str] | str | None = None
    bias: bool = True
    design: Design | None = None

    @cached_property
    def parsed(self) -> ParsedFormula | None:
        if self.formula is not None and not isinstance(self.formula, str):
            raise SettingError("formula_type", type=type(self.formula).__name__)
        return None if self.formula is None else read_formula(self.formula)

    def check_arguments(
        self, y: object, target: str | None, features: Sequence[str] | None, drop: Sequence[str] | None
    ) -> str | None:
        """The column of the target.

        Raises:
            SettingError: the formula says what another argument says, too.
        """
        if self.parsed is None:
            return target
        left = self.parsed.target
        given = {"features": features, "drop": drop}
        if left is not None:
            given |= {"y": y, "target": None if target == str(left) else target}  # type: ignore[dict-item]
        if names := [name for name, value in given.items() if value is not None]:
            raise SettingError("formula_with", names=names)
        return target if left is None else self.parsed.target_columns[0]

    def make_design(
        self,
        source: Source,
        target: str,
        weights: str | None,
        requested: Sequence[str] | None,
        drop: Sequence[str] | None,
        set_aside: Mapping[str, Message],
    ) -> Design | None:
        """The design of the formula or the categories; None if there is neither.

        Raises:
            DataError, SettingError: it names columns that cannot be used.
        """
        used = (target, weights, *as_names(drop))
        chosen = find_categories(source, used) if self.categories == AUTO else as_names(self.categories)
        _check_categories(chosen, source, (target, weights))

        def numeric_features() -> tuple[str, ...]:
            return _numeric_features(source, target, weights, requested, drop, set_aside, chosen)

        if self.parsed is None:
            return with_categories(numeric_features(), chosen, target, self.bias) if chosen else None
        others: tuple[str, ...] = ()
        if self.parsed.uses_all_columns:
            others = tuple(name for name in (*numeric_features(), *chosen) if name not in self.parsed.target_columns)
        elif chosen:
            raise SettingError("formula_with", names=["categories"])
        made = make_design(self.parsed, source, target, others, chosen)
        return self.design or replace(made, bias=made.bias and self.bias)


NO_DESIGN = DesignRequest()


def request_design(
    formula: str | Design | None, categories: Sequence[str] | str | None, bias: bool, y: object
) -> DesignRequest:
    """A formula and categories as they are given; a design is read as its formula, with ``y`` if that is apart."""
    if isinstance(formula, Design):
        text = formula.formula if y is None or isinstance(y, str) else formula.formula.partition("~")[2]
        return DesignRequest(text, categories, bias, formula)
    return DesignRequest(formula, categories, bias)


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
    columns = (source.names, source.excluded_columns, target, weights)
    if requested is not None:
        numeric = [name for name in requested if name not in categories]
        return choose_features(numeric, *columns, drop) if numeric else ()
    dropped = [*as_names(drop), *categories]
    if not [name for name in source.names if name not in (target, weights, *dropped, *set_aside)]:
        return ()
    return choose_features(None, *columns, dropped, set_aside)


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
        levels = pluralize(count.levels, "level")
        levels = levels if count.is_all else message("notice.at_least", levels=levels)
        return message("notice.left_out_text", levels=levels, **values)
    if reason.key in DATE_REASONS:
        formula = shlex.quote(f"{Name(target)} ~ days({Name(name)})")
        return message("notice.left_out_date", formula=formula, **values)
    return message("notice.left_out", name=name, reason=reason)
