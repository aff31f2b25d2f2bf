"""What every source of rows offers, and sources made of sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from descentlab.errors import DataError
from descentlab.text import Sentence

Array = np.ndarray[Any, np.dtype[np.float64]]

BLOCK_ROWS = 8192


class Source(Protocol):
    """Named numeric columns that can be read more than once.

    Attributes:
        names: the numeric columns, in the data's own order.
        left_out: for each other column, why it cannot be a number.
        notices: what a reader should know about how the data was read.
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def left_out(self) -> Mapping[str, Sentence]: ...
    @property
    def notices(self) -> tuple[Sentence, ...]: ...

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        """(m, k) float64 blocks of these columns, in order; a missing value is NaN."""


class Chained:
    """Several sources of the same columns, one after the other."""

    def __init__(self, parts: Sequence[tuple[str, Source]]) -> None:
        """Args: parts: each source with the label errors give it, such as its file's name.

        Raises:
            DataError: a part lacks a column of the first, or holds text where the first holds numbers.
        """
        self.parts = [source for _, source in parts]
        first_label, first = parts[0]
        for label, part in parts[1:]:
            for name in (*first.names, *first.left_out):
                if name not in part.names and name not in part.left_out:
                    raise DataError("parts_lack", label=label, name=name, first=first_label)
            extra = [name for name in (*part.names, *part.left_out) if name not in first.names and name not in first.left_out]
            if extra:
                raise DataError("parts_lack", label=first_label, name=extra[0], first=label)
        unusable: dict[str, Sentence] = {}
        for label, part in parts:
            for name, reason in part.left_out.items():
                if name in first.names:
                    raise DataError("parts_differ", label=label, name=name, reason=reason, first=first_label)
                unusable.setdefault(name, reason)
        for label, part in parts:
            for name in part.names:
                if name in unusable:
                    raise DataError("parts_differ", label=first_label, name=name, reason=unusable[name], first=label)
        self.left_out: Mapping[str, Sentence] = unusable
        self.names = first.names

    @property
    def notices(self) -> tuple[Sentence, ...]:
        return tuple(dict.fromkeys(notice for part in self.parts for notice in part.notices))

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        for part in self.parts:
            yield from part.blocks(columns)


class Beside:
    """A source with columns of arrays set beside it: targets or weights that came on their own."""

    def __init__(self, source: Source, extra: Source) -> None:
        self.source, self.extra = source, extra
        self.names = (*source.names, *extra.names)
        self.left_out = source.left_out
        self.notices = (*source.notices, *extra.notices)

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        own = [name for name in columns if name in self.source.names]
        other = [name for name in columns if name in self.extra.names]
        order = [[*own, *other].index(name) for name in columns]
        beside = np.concatenate(list(self.extra.blocks(other))) if other else np.empty((0, 0))
        seen = 0
        for block in self.source.blocks(own):
            if other:
                part = beside[seen : seen + len(block)]
                if len(part) < len(block):
                    raise _unequal(f"> {len(beside)}", other[0], len(beside))
                block = np.column_stack([block, part])[:, order]
            seen += len(block)
            yield block
        if other and seen != len(beside):
            raise _unequal(seen, other[0], len(beside))


def _unequal(rows: int | str, what: str, entries: int) -> DataError:
    hint = Sentence("error.hint_lengths", {"what": what})
    return DataError("lengths", X=rows, what=what, y=entries, hint=hint)
