"""Rows from a torch tensor on a device such as a GPU; only the blocks that are read are copied from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from descentlab.data.combined import JoinedSource, PairedRows
from descentlab.data.source import (
    BLOCK_ROWS,
    NO_SHIFTS,
    PIECE_ROWS,
    BaseSource,
    MixedBlock,
    Piece,
    SinglePiece,
    as_mixed_blocks,
)
from descentlab.errors import DataError
from descentlab.messages import pluralize
from descentlab.typing import FloatArray


class TensorSource(BaseSource):
    """The columns of one (n, k) tensor."""

    def __init__(self, tensor: Any, names: Sequence[str] | None) -> None:
        super().__init__()
        self.tensor = tensor[:, None] if tensor.ndim == 1 else tensor
        if self.tensor.ndim != 2:
            raise DataError("dimensions", what="X", shape=str(tuple(tensor.shape)))
        k = self.tensor.shape[1]
        if names is not None and len(names) != k:
            raise DataError("names_count", given=pluralize(len(names), "name"), count=pluralize(k, "column"))
        self.names = tuple(names or (["x"] if k == 1 else [f"x{j + 1}" for j in range(k)]))
        self.size = len(self.tensor)

    def slice_rows(self, start: int, stop: int) -> TensorSource:
        return TensorSource(self.tensor[start:stop], self.names)

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        for start in range(offset or 0, len(self.tensor), PIECE_ROWS):
            rows = self.slice_rows(start, start + PIECE_ROWS)
            yield SinglePiece(rows, len(rows.tensor), start + len(rows.tensor))

    def select_columns(self, names: Sequence[str]) -> Any:
        """(n, k) float64 tensor of these columns on the same device."""
        return self.tensor[:, [self.names.index(name) for name in names]].double()

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        for start in range(0, len(self.tensor), BLOCK_ROWS):
            values: FloatArray = self.slice_rows(start, start + BLOCK_ROWS).select_columns(columns).cpu().numpy()
            yield values

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        return as_mixed_blocks(self.blocks((*numbers, *others), shifts), others)


def to_device_tensor(piece: Piece, columns: Sequence[str]) -> Any:
    """(m, k) float64 tensor of a piece's columns on the device of its features; None if they are not on a device."""
    source = piece.source if isinstance(piece, SinglePiece) else None
    return _device_columns(source.joined_source if isinstance(source, PairedRows) else source, columns)


def _device_columns(source: object, columns: Sequence[str]) -> Any:
    if isinstance(source, TensorSource):
        return source.select_columns(columns)
    if not isinstance(source, JoinedSource):
        return None
    device_names = [name for name in columns if name in source.source.names]
    device_values = _device_columns(source.source, device_names)
    if device_values is None:
        return None
    values = device_values.new_empty((len(device_values), len(columns)))
    values[:, [columns.index(name) for name in device_names]] = device_values
    other_names = [name for name in columns if name not in device_names]
    start = 0
    for block in source.extra.blocks(other_names) if other_names else ():
        values[start : start + len(block), [columns.index(name) for name in other_names]] = device_values.new_tensor(
            block
        )
        start += len(block)
    return values


def source_device(source: object) -> Any:
    """The device of a source's features; None if they are in memory or in files."""
    while isinstance(source, JoinedSource):
        source = source.source
    return source.tensor.device if isinstance(source, TensorSource) else None
