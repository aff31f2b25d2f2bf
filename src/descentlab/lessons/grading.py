"""Grading: whether an answer is right, and the reason that belongs to it."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from descentlab.lessons.facts.kinds import Choice, Number, Question

RIGHT, OTHER = "right", "other"
LETTERS = "abcdefgh"  # of options, in order
_NUMBER = re.compile(r"[-+−]?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|[-+−]?\.\d+")


def graded(question: Question, answer: str) -> str | None:
    """The key of the reason for this answer: ``right``, the name of a common mistake, or ``other``.

    None where the answer cannot be read: no number, or neither an option's letter nor its name.

    >>> first = Number(answer=1.4, tolerance=0.01, mistakes={"sign": -1.4})
    >>> [graded(first, each) for each in ("1.4", "W = 1.4", "7/5", "-1.4", "3", "what?")]
    ['right', 'right', 'right', 'sign', 'other', None]
    """
    if isinstance(question, Choice):
        given = answer.strip().lower().rstrip(").")
        given = dict(zip(LETTERS, question.options, strict=False)).get(given, given)
        if given not in question.options:
            return None
        return RIGHT if given == question.answer else given
    value = read(answer)
    if value is None:
        return None
    return _nearest(question, value)


def _nearest(question: Number, value: float) -> str:
    """The right answer first: a mistake that comes as near as that cannot be told from it."""
    if math.isclose(value, question.answer, rel_tol=0, abs_tol=question.tolerance):
        return RIGHT
    for name, slip in question.mistakes.items():
        if math.isclose(value, slip, rel_tol=0, abs_tol=question.tolerance):
            return name
    return OTHER


def read(answer: str) -> float | None:
    """A number as people write it: ``1.4``, ``-0.4``, ``1,234``, ``3e-5``, ``7/5``, ``W = 2.8``.

    >>> read("1,234"), read("−0.5"), read("W = 14/3"), read("2 %"), read("")
    (1234.0, -0.5, 4.666666666666667, 2.0, None)
    """
    text = answer.rpartition("=")[2].strip().replace("−", "-")
    if fraction := re.fullmatch(r"(-?\d+)\s*/\s*(\d+)", text):
        return float(Fraction(int(fraction[1]), int(fraction[2]))) if int(fraction[2]) else None
    found = _NUMBER.match(text)
    return float(found[0].replace(",", "")) if found else None
