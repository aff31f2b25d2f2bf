"""Grading: whether an answer is right, and which reason to give."""

from __future__ import annotations

import math
import re
import unicodedata

from descentlab.lessons.facts.types import ChoiceQuestion, NumberQuestion, Question

RIGHT_KEY, OTHER_KEY = "right", "other"
OPTION_LETTERS = "abcdefgh"  # of options, in order
_THOUSANDS = r"[1-9]\d{0,2}(?:,\d{3})+(?!\d)"  # 1,234; but 1,5 and 0,962 have a decimal comma
_DIGITS = rf"{_THOUSANDS}(?:\.\d*)?|\d+(?:[.,]\d*)?|[.,]\d+"
_NUMBER = rf"[-+]?\s*(?:{_DIGITS})(?:\s*(?:e|[x×*·]\s*10\s*(?:\^|\*\*))\s*[-+]?\d+)?"
_ANSWER = re.compile(rf"({_NUMBER})(?:\s*/\s*({_NUMBER}))?(\D*)", re.IGNORECASE | re.ASCII)
_DASHES = str.maketrans("−–", "--")


def grade(question: Question, answer: str) -> str | None:
    """The key of the reason for this answer: ``right``, the name of a common mistake, or ``other``.

    None if the answer cannot be read: it has no number, or names no option.

    >>> first = NumberQuestion(answer=1.4, tolerance=0.01, mistakes={"sign": -1.4})
    >>> [grade(first, each) for each in ("1.4", "W = 1.4", "7/5", "-1.4", "3", "what?")]
    ['right', 'right', 'right', 'sign', 'other', None]
    """
    if isinstance(question, ChoiceQuestion):
        option = answer.strip().lower().strip("().")
        option = dict(zip(OPTION_LETTERS, question.options, strict=False)).get(option, option)
        if option not in question.options:
            return None
        return RIGHT_KEY if option == question.answer else option
    value = parse_answer(answer)
    if value is None:
        return None
    return _grade_number(question, value)


def _grade_number(question: NumberQuestion, value: float) -> str:
    """Check the right answer first, since a common mistake may lie within its tolerance."""
    if math.isclose(value, question.answer, rel_tol=0, abs_tol=question.tolerance):
        return RIGHT_KEY
    for name, mistake in question.mistakes.items():
        if math.isclose(value, mistake, rel_tol=0, abs_tol=question.tolerance):
            return name
    return OTHER_KEY


def parse_answer(answer: str) -> float | None:
    """A number as people write it: ``1.4``, ``-0,4``, ``1,234``, ``3e-5``, ``3·10^-5``, ``7/5``, ``W ≈ 2.8``.

    Text with several numbers is not an answer, and neither is an expression other than a fraction.

    >>> parse_answer("1,234"), parse_answer("−0,5"), parse_answer("W = 14/3"), parse_answer("≈ 4.5·10^-5")
    (1234.0, -0.5, 4.666666666666667, 4.5e-05)
    >>> parse_answer(""), parse_answer("1 - 0.4"), parse_answer("1 or 2"), parse_answer("3/0")
    (None, None, None, None)
    """
    text = re.split("[=≈~]", unicodedata.normalize("NFKC", answer))[-1]  # digits of full width too
    match = _ANSWER.fullmatch(text.strip().translate(_DASHES))
    denominator = _parse_float(match[2] or "1") if match else 0.0
    value = _parse_float(match[1]) / denominator if match and denominator else math.nan
    return value if math.isfinite(value) else None


def _parse_float(text: str) -> float:
    normalized = re.sub(r"[x×*·]10(\^|\*\*)", "e", re.sub(r"\s", "", text.lower()))
    return float(normalized.replace(",", "" if re.match(rf"[-+]?{_THOUSANDS}", normalized) else "."))
