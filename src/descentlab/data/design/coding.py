"""Which categories of a term are coded by all of their levels, and which by all but one.

The columns of all levels add up to the column without the category. A category is therefore coded in full in a term
only where the hypothesis lacks that column, so that the columns are independent: the rule of R, patsy and formulaic.

Each term with categories ``a, b`` is the sum of its parts ``1, a-, b-, a-:b-``, in which a minus marks a reduced
coding. Parts that an earlier term has are left out, and of the rest ``p`` and ``p:a-`` are joined into ``p:a``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

Part = dict[str, bool]  # for each category whether it is coded in full


def code_terms(terms: Sequence[tuple[frozenset[str], tuple[str, ...]]], bias: bool) -> list[list[Part]]:
    """The parts of each term.

    Args:
        terms: of each term the numeric factors and the categories.
        bias: whether the hypothesis has a constant term.

    >>> code_terms([(frozenset(), ("a",)), (frozenset(), ("a", "b")), (frozenset({"x"}), ("a",))], bias=True)
    [[{'a': False}], [{'a': True, 'b': False}], [{'a': True}]]
    """
    spanned: set[tuple[frozenset[str], frozenset[str]]] = {(frozenset(), frozenset())} if bias else set()
    result = []
    for numeric, categories in terms:
        new = [part for part in _subsets(categories) if (numeric, frozenset(part)) not in spanned]
        spanned |= {(numeric, frozenset(part)) for part in new}
        result.append(_join_parts([dict.fromkeys(part, False) for part in new]))
    return result


def _subsets(categories: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(categories) + 1):
        yield from combinations(categories, size)


def _join_parts(parts: list[Part]) -> list[Part]:
    """Join pairs until none is left, always the first that fits."""
    for i, short in enumerate(parts):
        for j in range(i + 1, len(parts)):
            added = parts[j].keys() - short.keys()
            if len(added) == 1 and short.items() <= parts[j].items():
                joined = parts[j] | dict.fromkeys(added, True)
                return _join_parts([*parts[:i], *parts[i + 1 : j], joined, *parts[j + 1 :]])
    return parts
