"""What a person can say about a CSV file; whatever is not said is found out from the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from descentlab.data.csv.number_format import THOUSANDS_MARKS
from descentlab.errors import SettingError, check_choice, check_int

DECIMAL_MARKS = (".", ",")
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "space": " "}


@dataclass(frozen=True)
class CsvOptions:
    """How a CSV file is read; None means that the file decides.

    Attributes:
        delimiter: the character between cells; a space means any number of spaces and tabs.
        decimal: ``"."`` or ``","``.
        encoding: a codec of Python.
        header: whether the first line that is not skipped has the names.
        thousands: what separates thousands: one of :data:`THOUSANDS_MARKS`.
        skip_rows: the number of lines above the names, or above the first row without a header.
        comment: what a line begins with that is not a row.
        na: cells that mean a missing value, in addition to the usual ones.
        skip_footer: the number of lines below the last row, not counting empty ones.

    Raises:
        SettingError: no CSV file can have this option.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool | None = None
    thousands: str | None = None
    skip_rows: int | None = None
    comment: str | None = None
    na: Sequence[str] = ()
    skip_footer: int | None = None

    def __post_init__(self) -> None:
        na = (self.na,) if isinstance(self.na, str) else tuple(self.na or ())
        if not all(isinstance(mark, str) for mark in na):
            raise SettingError("na_text", given=repr(self.na))
        object.__setattr__(self, "na", tuple(mark.strip() for mark in na))
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _check_delimiter(self.delimiter))
        if self.decimal is not None:
            check_choice("decimal", self.decimal, DECIMAL_MARKS)
        if self.thousands is not None:
            _check_thousands(self.thousands)
        if self.thousands is not None and self.thousands == self.decimal:
            raise SettingError("thousands_is_decimal", given=repr(self.decimal))
        for setting in ("skip_rows", "skip_footer"):
            if getattr(self, setting) is not None:
                object.__setattr__(self, setting, check_int(setting, getattr(self, setting), 0))
        if self.comment is not None and (not isinstance(self.comment, str) or not self.comment.strip()):
            raise SettingError("comment_mark", given=repr(self.comment))


def _check_thousands(mark: object) -> None:
    if mark not in THOUSANDS_MARKS:
        allowed = tuple(map(repr, THOUSANDS_MARKS))
        raise SettingError("not_one_of", setting="thousands", given=repr(mark), allowed=allowed, near="")


def _check_delimiter(delimiter: object) -> str:
    character = DELIMITER_NAMES.get(delimiter, delimiter) if isinstance(delimiter, str) else ""
    if len(character) != 1 or not character.isascii() or character in '"\r\n\0':
        raise SettingError("one_character", setting="delimiter", given=repr(delimiter))
    return character
