"""Rows from NumPy arrays, lists and torch tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data.source import (
    BLOCK_ROWS,
    NO_SHIFTS,
    PIECE_ROWS,
    BaseSource,
    MixedBlock,
    Piece,
    SinglePiece,
    as_mixed_blocks,
    is_from_package,
)
from descentlab.errors import DataError, find_duplicates
from descentlab.messages import pluralize
from descentlab.typing import FloatArray

MAX_EXACT_INTEGER = 2**53  # float64 holds every integer up to this magnitude


class ArraySource(BaseSource):
    """The columns of one (n, k) array. The array is not copied; blocks are."""

    def __init__(self, matrix: np.ndarray[Any, Any], names: Sequence[str]) -> None:
        super().__init__()
        self.matrix = matrix
        self.names = tuple(names)
        self.size = len(matrix)
        repeated = find_duplicates(self.names)
        if repeated:
            raise DataError("duplicate_columns", names=repeated)

    @classmethod
    def from_matrix(cls, matrix: np.ndarray[Any, Any], names: Sequence[str] | None) -> ArraySource:
        """A source with these column names; by default ``x``, or ``x1 .. xk`` for several columns."""
        k = matrix.shape[1]
        if names is not None and len(names) != k:
            raise DataError("names_count", given=pluralize(len(names), "name"), count=pluralize(k, "column"))
        return cls(matrix, names or (["x"] if k == 1 else [f"x{j + 1}" for j in range(k)]))

    def slice_rows(self, start: int, stop: int) -> ArraySource:
        return ArraySource(self.matrix[start:stop], self.names)

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        for start in range(offset or 0, len(self.matrix), PIECE_ROWS):
            rows = self.slice_rows(start, start + PIECE_ROWS)
            yield SinglePiece(rows, len(rows.matrix), start + len(rows.matrix))

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        index = [self.names.index(name) for name in columns]
        in_order = index == list(range(self.matrix.shape[1]))
        for start in range(0, len(self.matrix), BLOCK_ROWS):
            block = self.matrix[start : start + BLOCK_ROWS]
            if not in_order:
                block = block[:, index]
            if self.matrix.dtype.kind in "iu":
                yield self._integers_to_float64(block, columns, shifts)
                continue
            with np.errstate(over="ignore"):  # too large values become infinite and are refused later
                yield np.asarray(block, dtype=np.float64)

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        return as_mixed_blocks(self.blocks((*numbers, *others), shifts), others)

    def _integers_to_float64(
        self, block: np.ndarray[Any, Any], columns: Sequence[str], shifts: Mapping[str, int]
    ) -> FloatArray:
        values = block.astype(np.float64)
        lows, highs = block.min(axis=0).tolist(), block.max(axis=0).tolist()
        for j, (name, low, high) in enumerate(zip(columns, lows, highs, strict=True)):
            shift = shifts.get(name, 0)
            if shift:
                values[:, j] = subtract_from_integers(block[:, j], shift)
            if max(shift - low, high - shift) > MAX_EXACT_INTEGER:
                self.inexact_columns.add(name)
        return values

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        if self.matrix.dtype.kind not in "iu" or not len(self.matrix):
            return {}
        firsts = ((name, int(self.matrix[0, self.names.index(name)])) for name in columns)
        return {name: int(float(first)) for name, first in firsts if abs(first) > MAX_EXACT_INTEGER}

    def as_array(self, columns: Sequence[str]) -> FloatArray | None:
        return self.matrix if self.matrix.dtype == np.float64 and tuple(columns) == self.names else None


def subtract_from_integers(integers: np.ndarray[Any, Any], shift: int) -> FloatArray:
    """Whole numbers of at most 64 bits minus another one, rounded once, to float64."""
    rounded: FloatArray = integers.astype(np.float64) - float(shift)
    differences = integers.astype(np.uint64) - np.uint64(shift % 2**64)  # modulo 2^64: exact where it fits int64
    return np.where(np.abs(rounded) < 2.0**62, differences.view(np.int64), rounded)


def as_matrix(data: object, argument: str) -> np.ndarray[Any, Any]:
    """Convert an array, list or tensor to a real array of shape (n, k); one dimension becomes one column.

    Raises:
        DataError: the values are not real numbers, or have no or more than two dimensions.
    """
    array = _as_real(data, argument)
    if array.ndim == 0 or array.ndim > 2:
        raise DataError("dimensions", what=argument, shape=str(array.shape))
    return array[:, None] if array.ndim == 1 else array


def as_column(data: object, argument: str) -> np.ndarray[Any, Any]:
    """Convert one-dimensional data to a real array of shape (n, 1).

    Raises:
        DataError: the data has two dimensions. With (n,) predictions, an (n, 1) target broadcasts to (n, n) in NumPy
            and torch without a warning, so this shape is refused.
    """
    array = _as_real(data, argument)
    if array.ndim == 2:
        raise DataError("target_shape", what=argument, shape=str(array.shape))
    return as_matrix(array, argument)


def _as_real(data: object, argument: str) -> np.ndarray[Any, Any]:
    """An array of real numbers of any shape; masked entries become NaN."""
    array = _as_array(data, argument)
    if array.dtype.kind == "c":
        raise DataError("dtype_complex", what=argument)
    if array.dtype.kind not in "fiub":
        raise DataError("dtype_unusable", what=argument, dtype=str(array.dtype))
    return np.ma.filled(array.astype(np.float64), np.nan) if isinstance(array, np.ma.MaskedArray) else array


def _as_array(data: object, argument: str) -> np.ndarray[Any, Any]:
    if is_from_package(data, "torch"):
        return _tensor_to_array(data, argument)
    if type(data).__module__.startswith("scipy.sparse"):
        raise DataError("sparse", what=argument, dense="toarray")
    if isinstance(data, np.ndarray):
        return data if isinstance(data, np.ma.MaskedArray) else np.asarray(data)
    if isinstance(data, str | bytes | dict | set) or data is None:
        raise DataError("dtype_unusable", what=argument, dtype=type(data).__name__)
    try:
        if isinstance(data, list | tuple) and any(is_from_package(item, "torch") for item in data):
            return np.array(
                [_tensor_to_array(item, argument) if is_from_package(item, "torch") else item for item in data]
            )
        return np.asarray(data)
    except DataError:
        raise
    except (ValueError, TypeError, RuntimeError, OverflowError) as cause:  # NumPy refuses ragged lists
        raise DataError("ragged", what=argument) from cause


def is_device_tensor(data: Any) -> bool:
    """Whether this is a tensor on a device with float64, such as a CUDA GPU; it is not copied from there.

    Raises:
        DataError: the tensor cannot be used.
    """
    if not is_from_package(data, "torch") or data.device.type in ("cpu", "mps", "meta"):
        return False
    _check_tensor(data, "X")
    return True


def _check_tensor(tensor: Any, argument: str) -> None:
    if tensor.requires_grad:
        raise DataError("requires_grad", what=argument)
    if tensor.is_complex():
        raise DataError("dtype_complex", what=argument)
    if tensor.is_sparse or "sparse" in str(tensor.layout):
        raise DataError("sparse", what=argument, dense="to_dense")
    if tensor.is_quantized or tensor.is_meta:
        raise DataError("dtype_unusable", what=argument, dtype=f"{tensor.dtype} on {tensor.device}")


def _tensor_to_array(tensor: Any, argument: str) -> np.ndarray[Any, Any]:
    _check_tensor(tensor, argument)
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()  # NumPy has no bfloat16; float32 holds it exactly
    array: np.ndarray[Any, Any] = tensor.cpu().resolve_neg().numpy()
    return array
