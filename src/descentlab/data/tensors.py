"""Rows from a torch tensor that lies on a device such as a GPU: they stay there, and blocks are fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from descentlab.data.source import BLOCK_ROWS, PIECE_ROWS, Beside, Piece, Pieced, Whole, Zipped
from descentlab.errors import DataError
from descentlab.messages import counted
from descentlab.typing import Array


class TensorSource(Pieced):
    """Columns of one (n, k) tensor."""

    def __init__(self, tensor: Any, names: Sequence[str] | None) -> None:
        super().__init__()
        self.tensor = tensor[:, None] if tensor.ndim == 1 else tensor
        if self.tensor.ndim != 2:
            raise DataError("dimensions", what="X", shape=str(tuple(tensor.shape)))
        k = self.tensor.shape[1]
        if names is not None and len(names) != k:
            raise DataError("names_count", given=counted(len(names), "name"), count=counted(k, "column"))
        self.names = tuple(names or (["x"] if k == 1 else [f"x{j + 1}" for j in range(k)]))
        self.size = len(self.tensor)

    def part(self, start: int, stop: int) -> TensorSource:
        return TensorSource(self.tensor[start:stop], self.names)

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        for start in range(after or 0, len(self.tensor), PIECE_ROWS):
            part = self.part(start, start + PIECE_ROWS)
            yield Whole(part, len(part.tensor), start + len(part.tensor))

    def columns(self, names: Sequence[str]) -> Any:
        """(n, k) float64 tensor of these columns, where the tensor lies."""
        return self.tensor[:, [self.names.index(name) for name in names]].double()

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        for start in range(0, len(self.tensor), BLOCK_ROWS):
            values: Array = self.part(start, start + BLOCK_ROWS).columns(columns).cpu().numpy()
            yield values


def on_device(piece: Piece, columns: Sequence[str]) -> Any:
    """(m, k) float64 tensor of a piece's columns on the device of its features; None where they lie on none."""
    source = piece.source if isinstance(piece, Whole) else None
    return _gathered(source.pair if isinstance(source, Zipped) else source, columns)


def _gathered(source: object, columns: Sequence[str]) -> Any:
    if isinstance(source, TensorSource):
        return source.columns(columns)
    if not isinstance(source, Beside):
        return None
    own = [name for name in columns if name in source.source.names]
    left = _gathered(source.source, own)
    if left is None:
        return None
    values = left.new_empty((len(left), len(columns)))
    values[:, [columns.index(name) for name in own]] = left
    there = [name for name in columns if name not in own]
    start = 0
    for block in source.extra.blocks(there) if there else ():
        values[start : start + len(block), [columns.index(name) for name in there]] = left.new_tensor(block)
        start += len(block)
    return values


def device_of(source: object) -> Any:
    """The device that a source's features lie on; None where they lie in this machine's memory or in files."""
    while isinstance(source, Beside):
        source = source.source
    return source.tensor.device if isinstance(source, TensorSource) else None
