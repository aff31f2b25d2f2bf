"""Rows from NumPy arrays, lists and torch tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from descentlab.data.source import BLOCK_ROWS, PIECE_ROWS, Piece, Pieced, Whole, is_from
from descentlab.errors import DataError
from descentlab.messages import counted
from descentlab.typing import Array

EXACT_INTEGER = 2**53  # the largest magnitude below which float64 holds every whole number


class ArraySource(Pieced):
    """Columns of one (n, k) array. The array is not copied; blocks are."""

    def __init__(self, matrix: np.ndarray[Any, Any], names: Sequence[str]) -> None:
        super().__init__()
        self.matrix = matrix
        self.names = tuple(names)
        self.size = len(matrix)
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise DataError("duplicate_columns", names=repeated)

    @classmethod
    def of_matrix(cls, matrix: np.ndarray[Any, Any], names: Sequence[str] | None) -> ArraySource:
        """Columns called ``names``; else ``x``, or ``x1 .. xk`` where there are several."""
        k = matrix.shape[1]
        if names is not None and len(names) != k:
            raise DataError("names_count", given=counted(len(names), "name"), count=counted(k, "column"))
        return cls(matrix, names or (["x"] if k == 1 else [f"x{j + 1}" for j in range(k)]))

    def part(self, start: int, stop: int) -> ArraySource:
        return ArraySource(self.matrix[start:stop], self.names)

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        for start in range(after or 0, len(self.matrix), PIECE_ROWS):
            part = self.part(start, start + PIECE_ROWS)
            yield Whole(part, len(part.matrix), start + len(part.matrix))

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        index = [self.names.index(name) for name in columns]
        in_order = index == list(range(self.matrix.shape[1]))
        for start in range(0, len(self.matrix), BLOCK_ROWS):
            block = self.matrix[start : start + BLOCK_ROWS]
            if not in_order:
                block = block[:, index]
            if self.matrix.dtype.kind in "iu":
                ends = zip(columns, block.min(axis=0).tolist(), block.max(axis=0).tolist(), strict=True)
                self.rounded |= {name for name, low, high in ends if max(-low, high) > EXACT_INTEGER}
            with np.errstate(over="ignore"):  # beyond float64's range is infinite, and refused as such
                yield np.asarray(block, dtype=np.float64)

    def in_memory(self, columns: Sequence[str]) -> Array | None:
        return self.matrix if self.matrix.dtype == np.float64 and tuple(columns) == self.names else None


def as_columns(data: object, what: str) -> np.ndarray[Any, Any]:
    """A real array of shape (n, k) out of an array, list or tensor; one dimension is one column.

    Raises:
        DataError: the values are not real numbers, or not a table of one or two dimensions.
    """
    array = _real(data, what)
    if array.ndim == 0 or array.ndim > 2:
        raise DataError("dimensions", what=what, shape=str(array.shape))
    return array[:, None] if array.ndim == 1 else array


def as_target(data: object, what: str) -> np.ndarray[Any, Any]:
    """A real array of shape (n, 1) out of one-dimensional data.

    Raises:
        DataError: it has two dimensions. Against (n,) predictions, an (n, 1) target broadcasts to (n, n) in
            NumPy and torch without a word, so the shape is refused rather than guessed.
    """
    array = _real(data, what)
    if array.ndim == 2:
        raise DataError("target_shape", what=what, shape=str(array.shape))
    return as_columns(array, what)


def _real(data: object, what: str) -> np.ndarray[Any, Any]:
    """Real numbers of any shape; a masked entry is NaN."""
    array = _as_array(data, what)
    if array.dtype.kind == "c":
        raise DataError("dtype_complex", what=what)
    if array.dtype.kind not in "fiub":
        raise DataError("dtype_unusable", what=what, dtype=str(array.dtype))
    return np.ma.filled(array.astype(np.float64), np.nan) if isinstance(array, np.ma.MaskedArray) else array


def _as_array(data: object, what: str) -> np.ndarray[Any, Any]:
    if is_from(data, "torch"):
        return _of_tensor(data, what)
    if type(data).__module__.startswith("scipy.sparse"):
        raise DataError("sparse", what=what, dense="toarray")
    if isinstance(data, np.ndarray):
        return data if isinstance(data, np.ma.MaskedArray) else np.asarray(data)
    if isinstance(data, str | bytes | dict | set) or data is None:
        raise DataError("dtype_unusable", what=what, dtype=type(data).__name__)
    try:
        if isinstance(data, list | tuple) and any(is_from(item, "torch") for item in data):
            return np.array([_of_tensor(item, what) if is_from(item, "torch") else item for item in data])
        return np.asarray(data)
    except DataError:
        raise
    except (ValueError, TypeError, RuntimeError, OverflowError) as cause:  # NumPy refuses ragged lists
        raise DataError("ragged", what=what) from cause


def elsewhere(data: Any) -> bool:
    """Whether this is a tensor of numbers on a device that has float64, such as a CUDA GPU: it is left there.

    Raises:
        DataError: it cannot be used.
    """
    if not is_from(data, "torch") or data.device.type in ("cpu", "mps", "meta"):
        return False
    _refuse_tensor(data, "X")
    return True


def _refuse_tensor(tensor: Any, what: str) -> None:
    if tensor.requires_grad:
        raise DataError("requires_grad", what=what)
    if tensor.is_complex():
        raise DataError("dtype_complex", what=what)
    if tensor.is_sparse or "sparse" in str(tensor.layout):
        raise DataError("sparse", what=what, dense="to_dense")
    if tensor.is_quantized or tensor.is_meta:
        raise DataError("dtype_unusable", what=what, dtype=f"{tensor.dtype} on {tensor.device}")


def _of_tensor(tensor: Any, what: str) -> np.ndarray[Any, Any]:
    _refuse_tensor(tensor, what)
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()  # NumPy has no bfloat16; float32 holds it exactly
    array: np.ndarray[Any, Any] = tensor.cpu().resolve_neg().numpy()
    return array
