"""How numbers are written: the decimal mark, what separates thousands, currency signs, percent signs and signs.

A *point number* is written as ``1,234.5``, a *comma number* as ``1.234,5``. Cells that are only one of the two decide
for the whole file; where all cells are both, the person is asked (:func:`choose_marks`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from descentlab.data.csv.words import CURRENCY_SIGNS

MINUS_SIGNS = "\u2212\u2013\ufe63\uff0d"  # minus, en dash, small and full-width hyphen
FULL_WIDTH = dict(zip("０１２３４５６７８９．，＋％（）", "0123456789.,+%()", strict=True))
_TO_ASCII = {ord(full_width): sign for full_width, sign in FULL_WIDTH.items()}
SPACES = " \u00a0\u2009\u202f"  # a space, and those that do not break a line
BLANKS = rf"[\s{SPACES}]*"  # between a number and its signs
PERCENT_SIGN = rf"{BLANKS}%(\)?)$"
APOSTROPHES = "'\u2019"
THOUSANDS_MARKS = {",": ",", ".": ".", " ": SPACES, "'": APOSTROPHES, "_": "_"}  # each with its spellings
LEADING_CELLS = 1000  # a column without a number among its first cells is text

_CURRENCY = "(?:" + "|".join(map(re.escape, sorted(CURRENCY_SIGNS, key=len, reverse=True))) + ")"
_DIGITS = rf"[.,]?[0-9](?:[0-9.,_{APOSTROPHES}{SPACES}]*[0-9.,])?(?:[eE][-+]?[0-9]+)?"
# Anything that might be a number with some decimal mark; signs have been normalized.
# Spaces are in optional groups that end otherwise, so that a cell with many of them takes no longer than others.
NUMBER_LIKE = (
    rf"^[-+]?{_CURRENCY}?[-+(]*(?:{BLANKS}{_CURRENCY})?{BLANKS}[-+]?{_DIGITS}"
    rf"(?:{BLANKS}{_CURRENCY})?(?:{BLANKS}%)?(?:{BLANKS}\))?(?:{BLANKS}{_CURRENCY})?-?$"
)
ACCOUNTING_MINUS = rf"^(?:\({BLANKS}([^-+()]+)\)|([^-+()]*[.,][^-+()]*)-)$"  # (5) and 5.00-, but not 5-
MINUS_BEHIND = rf"^(?:\({BLANKS}([^-+()]+)\)|([^-+()]*[0-9][^-+()]*)-)$"  # 5- too
CERTAIN_MINUS_BEHIND = r"^[^-+()]*(?:[0-9][0-9.,]|[.,][0-9])[^-+()]*-$"  # 83- and 5.00-; 5- alone may be a grade
WHOLE_CURRENCY = "₩|￦|원|KRW|¥|円|JPY"
TWO_READINGS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}([.,])[0-9]{3}(?![0-9.,])", re.ASCII)

GROUPS_OF_POINTS = r"^[0-9]{1,3}(?:[.][0-9]{3}){2,}$"  # a number, an IP address or a version
TWO_READINGS_CELL = r"^[-+(]*[^0-9.,]*[1-9][0-9]{0,2}[.,][0-9]{3}[^0-9.,]*$"  # the same for pyarrow


def number_pattern(decimal: str = ".", thousands: str = "") -> str:
    """The regular expression of a finite number; ``thousands`` holds the characters between its groups.

    All groups of a number are separated in the same way: ``1'200.000`` is not ``1 200 000``.
    """
    mark, exponent = re.escape(decimal), "(?:[eE][-+]?[0-9]+)?"
    plain = f"(?:[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+){exponent}"
    if not thousands:
        return f"[-+]?{plain}"
    spellings = ("".join(c for c in each if c in thousands) for each in THOUSANDS_MARKS.values())
    groups = "|".join(f"[1-9][0-9]{{0,2}}(?:[{re.escape(each)}][0-9]{{3}})+" for each in spellings if each)
    indian = "|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}" if "," in thousands else ""
    return f"[-+]?(?:{plain}|(?:{groups}{indian})(?:{mark}[0-9]*)?)"


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is written as a finite number with this decimal mark."""
    return re.fullmatch(number_pattern(decimal), cell.strip()) is not None


def is_number_like(cell: str) -> bool:
    """Whether a cell is a number with some decimal mark, currency sign or percent sign."""
    cell = re.sub(f"[{MINUS_SIGNS}]", "-", cell.strip()).translate(_TO_ASCII)
    return re.fullmatch(NUMBER_LIKE, cell, re.ASCII) is not None


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of one column are written.

    Attributes:
        decimal: the decimal mark.
        thousands: the characters that separate thousands; empty if nothing does.
        currency: the currency sign before or after some of the numbers; empty if there is none.
        percent: whether a percent sign follows every number; ``4.5%`` is 4.5.
        accounting: whether parentheses, or a minus behind the number, mean a minus, as in accounts.
        minus_behind: whether a minus behind a whole number does, too.
    """

    decimal: str = "."
    thousands: str = ""
    currency: str = ""
    percent: bool = False
    accounting: bool = False
    minus_behind: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the numbers hold nothing but digits, a sign and a decimal mark."""
        return not (self.thousands or self.currency or self.percent or self.accounting)

    def match(self, cells: Any) -> Any:
        """Which of the stripped cells (see :func:`strip_cells`) are numbers or infinite; null where missing."""
        import pyarrow.compute as pc

        pattern = rf"^(?:{number_pattern(self.decimal, self.thousands)}|[-+]?(?i:inf|infinity))$"
        return pc.match_substring_regex(self._without_signs(cells), pattern)

    def to_floats(self, cells: Any) -> Any:
        """The stripped cells, all of which match, as float64."""
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = self._without_signs(cells)
        if self.thousands:
            numbers = pc.replace_substring_regex(numbers, "[" + re.escape(self.thousands) + "]", "")
        numbers = pc.replace_substring(numbers, self.decimal, ".")
        return pc.replace_substring_regex(numbers, r"^\+", "").cast(pa.float64())

    def _without_signs(self, cells: Any) -> Any:
        """The cells without currency and percent signs, and with the minus in front."""
        import pyarrow.compute as pc

        if self.currency:
            sign = re.escape(self.currency)
            cells = pc.replace_substring_regex(cells, rf"^([-+(]?){BLANKS}{sign}{BLANKS}", r"\1")
            cells = pc.replace_substring_regex(cells, rf"{BLANKS}{sign}(\)?)$", r"\1")
        if self.percent:
            cells = pc.if_else(
                pc.match_substring_regex(cells, r"%\)?$"),
                pc.replace_substring_regex(cells, PERCENT_SIGN, r"\1"),
                "no %",
            )
        if not self.accounting:
            return cells
        return pc.replace_substring_regex(cells, MINUS_BEHIND if self.minus_behind else ACCOUNTING_MINUS, r"-\1\2")


def detect_format(cells: Any, marks: NumberMarks) -> NumberFormat | None:
    """The format in which all of the stripped cells are numbers; None if there is none."""
    import pyarrow.compute as pc

    if not has_numbers(cells):
        return None
    has_percent, is_accounting = (_any(pc.match_substring_regex(cells, sign)) for sign in ("%", r"\(|-$"))
    signs = NumberFormat(marks.decimal, "", detect_currency(cells), has_percent, is_accounting, has_minus_behind(cells))
    for thousands in marks.possible_thousands:
        number_format = replace(signs, thousands=thousands)
        if pc.all(number_format.match(cells), min_count=0).as_py():
            return number_format
    return None


def has_numbers(cells: Any) -> bool:
    """Whether one of the first stripped cells might be a number."""
    import pyarrow.compute as pc

    return _any(pc.match_substring_regex(cells.slice(0, LEADING_CELLS), NUMBER_LIKE))


def has_minus_behind(cells: Any) -> bool:
    """Whether a minus behind one of the stripped cells is certainly the sign of a number."""
    import pyarrow.compute as pc

    return _any(pc.match_substring_regex(cells, CERTAIN_MINUS_BEHIND))


def detect_currency(cells: Any) -> str:
    """The first currency sign among cells that might be numbers."""
    import pyarrow.compute as pc

    row = pc.index(
        pc.and_(pc.match_substring_regex(cells, _CURRENCY), pc.match_substring_regex(cells, NUMBER_LIKE)), True
    ).as_py()
    if row < 0:
        return ""
    found = re.search(_CURRENCY, cells[row].as_py())
    return found[0] if found else ""


def _any(mask: Any) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(mask, min_count=0).as_py())


@dataclass(frozen=True)
class NumberMarks:
    """The marks of a whole file.

    Attributes:
        decimal: the decimal mark.
        thousands: what separates thousands, if it was given or follows from a decimal mark that was given.
        is_certain: whether a cell, or the person, decided it. Otherwise no cell had a mark so far.
        is_thousands_given: whether the person said what separates thousands.
    """

    decimal: str = "."
    thousands: str | None = None
    is_certain: bool = True
    is_thousands_given: bool = False

    @property
    def possible_thousands(self) -> tuple[str, ...]:
        """The spellings that a column may use between thousands."""
        if self.is_thousands_given and self.thousands is not None:
            return ("", THOUSANDS_MARKS[self.thousands])
        other = "," if self.decimal == "." else "."
        return ("", *((other,) if self.is_certain else ()), SPACES, APOSTROPHES)

    @property
    def default_format(self) -> NumberFormat:
        """The format of a column whose first rows had nothing between thousands."""
        return NumberFormat(self.decimal, THOUSANDS_MARKS[self.thousands] if self.thousands else "")


def marks_from_options(decimal: str | None, thousands: str | None) -> NumberMarks | None:
    """The marks, if what was given determines them."""
    if decimal is None and thousands not in (",", "."):
        return None
    decimal = decimal or ("." if thousands == "," else ",")
    return NumberMarks(decimal, thousands or ("," if decimal == "." else "."), True, thousands is not None)


@dataclass(frozen=True)
class CellPlace:
    """A cell with its column and its row, counted from 0."""

    column: str
    row: int
    text: str


@dataclass(frozen=True)
class MarkEvidence:
    """The first cell of each kind in the columns of numbers.

    Attributes:
        point, comma: a cell that is only a point number; only a comma number.
        points: a cell such as ``1.234.567``, which is a comma number, or an IP address or a version.
        two_readings: a cell such as ``1.200`` or ``1,200``, which is both.
        beside_whole: one of these in a column that has whole numbers without a mark, too.
    """

    point: CellPlace | None = None
    comma: CellPlace | None = None
    points: CellPlace | None = None
    two_readings: CellPlace | None = None
    beside_whole: CellPlace | None = None

    def __bool__(self) -> bool:
        return bool(self.point or self.comma or self.points or self.two_readings)


def gather_evidence(columns: Mapping[str, Any]) -> MarkEvidence:
    """The evidence in columns of stripped cells; a column counts if at least half of its values are numbers."""
    found = MarkEvidence()
    for name, cells in columns.items():
        if has_numbers(cells):
            found = _add_evidence(found, name, cells)
    return found


def match_either_mark(cells: Any) -> tuple[Any, Any, Any]:
    """The stripped cells without signs, and which of them are point numbers and which are comma numbers."""
    import pyarrow.compute as pc

    without_percent = pc.replace_substring_regex(cells, PERCENT_SIGN, r"\1")
    signs = NumberFormat(currency=detect_currency(cells), accounting=True, minus_behind=has_minus_behind(cells))
    bare = signs._without_signs(without_percent)
    others = SPACES + APOSTROPHES
    is_point, is_comma = (
        pc.match_substring_regex(bare, f"^{number_pattern(decimal, thousands + others)}$")
        for decimal, thousands in ((".", ","), (",", "."))
    )
    return bare, is_point, is_comma


def _add_evidence(found: MarkEvidence, name: str, cells: Any) -> MarkEvidence:
    import pyarrow.compute as pc

    bare, is_point, is_comma = match_either_mark(cells)
    is_both, is_either = pc.and_(is_point, is_comma), pc.or_(is_point, is_comma)
    if 2 * (pc.sum(is_either).as_py() or 0) < len(cells) - cells.null_count:
        return found
    has_mark = pc.match_substring_regex(bare, "[.,]")
    # Won and yen have no decimals, so a mark in such a cell separates thousands.
    is_whole_money = pc.match_substring_regex(cells, WHOLE_CURRENCY)
    decides_point = pc.and_(is_whole_money, pc.match_substring_regex(bare, ","))
    decides_comma = pc.and_(is_whole_money, pc.match_substring_regex(bare, "[.]"))
    has_points = pc.match_substring_regex(cells, GROUPS_OF_POINTS)
    is_only_comma = pc.and_(is_comma, pc.or_(pc.invert(is_point), decides_comma))

    def first(mask: Any) -> CellPlace | None:
        row = pc.index(mask, True).as_py()
        return CellPlace(name, row, cells[row].as_py()) if row >= 0 else None

    two_readings = first(pc.and_(is_both, has_mark))
    has_whole = _any(pc.match_substring_regex(bare, "^[-+]?[0-9]+$"))
    return MarkEvidence(
        found.point or first(pc.and_(is_point, pc.or_(pc.invert(is_comma), decides_point))),
        found.comma or first(pc.and_(is_only_comma, pc.invert(has_points))),
        found.points or first(pc.and_(is_comma, has_points)),
        found.two_readings or two_readings,
        found.beside_whole or (two_readings if has_whole else None),
    )


def choose_marks(evidence: MarkEvidence, delimiter: str) -> NumberMarks | MarkEvidence:
    """The marks that follow from the evidence; the evidence itself if the person has to be asked.

    A cell that is only a point number, or only a comma number, decides. If all cells are both, then

    - in a comma-separated file a point is a decimal point, and ``1.234.567`` is text;
    - elsewhere ``1.234.567`` is a comma number;
    - in a file with other delimiters than a semicolon a point is a decimal point if every cell of its column has one,
      as ``%.3f`` writes it;
    - anything else is a question.
    """
    if evidence.point and evidence.comma:
        return evidence
    if evidence.point or evidence.comma:
        return NumberMarks("." if evidence.point else ",")
    if evidence.points and delimiter != ",":
        return NumberMarks(",")
    cell = evidence.two_readings
    if cell is None:
        return NumberMarks(is_certain=delimiter == ",")
    if "." in cell.text and (delimiter == "," or (delimiter != ";" and not evidence.beside_whole)):
        return NumberMarks()
    return evidence
