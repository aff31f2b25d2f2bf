"""Merge partial results in a binary tree, so that rounding errors grow with the logarithm of their number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, Self, TypeVar


class Mergeable(Protocol):
    """A statistic that can be merged with another one of its type."""

    def merge(self, other: Self, /) -> Self:
        """Return the statistic of both sets of rows."""


MergeableT = TypeVar("MergeableT", bound=Mergeable)


class MergeTree(Generic[MergeableT]):
    """Merge a stream in pairs, as a binary counter carries: the number of items alone determines the tree.

    Two items of one level are merged into one item of the next level, which represents twice as many.

    Args:
        empty: the result without items.
        pending: the merged items of an earlier tree with their levels, as in ``pending``.

    Attributes:
        pending: the merged items that wait for a partner, each as ``(level, item)``; levels decrease. An item of
            level ``l`` represents ``2 ** l`` added items.
    """

    def __init__(self, empty: MergeableT, pending: Iterable[tuple[int, MergeableT]] = ()) -> None:
        self.empty, self.pending = empty, list(pending)

    @property
    def count(self) -> int:
        """How many items were added."""
        return sum(1 << level for level, _ in self.pending)

    def add(self, item: MergeableT, level: int = 0) -> None:
        """Add an item that represents ``2 ** level`` items; ``count`` must be a multiple of that number."""
        while self.pending and self.pending[-1][0] == level:
            item = self.pending.pop()[1].merge(item)
            level += 1
        self.pending.append((level, item))

    def copy(self) -> MergeTree[MergeableT]:
        return MergeTree(self.empty, self.pending)

    def result(self) -> MergeableT:
        """Merge all items into one, without changing the tree."""
        merged = self.empty
        for _, item in reversed(self.pending):
            merged = item.merge(merged)
        return merged
