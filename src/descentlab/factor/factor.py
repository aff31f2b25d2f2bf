"""The factor: a small triangular matrix that represents any number of rows in every linear least-squares problem."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from descentlab.data.design.design import Design
from descentlab.data.source import BLOCK_ROWS, MAX_MAGNITUDE
from descentlab.errors import DataError, DescentlabError, find_duplicates
from descentlab.factor import archive
from descentlab.factor.checks import check_block
from descentlab.factor.limits import check_size
from descentlab.factor.merge_tree import MergeTree
from descentlab.factor.qr import householder
from descentlab.storage import write_atomically
from descentlab.typing import UNIT_ROUNDOFF, BoolArray, FloatArray

MAX_ENTRY = 4 * MAX_MAGNITUDE  # of an origin, and of R for a weight of 1
FIELD_TYPES = {  # the kinds of dtype, and the dimensions
    "columns": ("U", 1),
    "centred": ("f", 2),
    "origin": ("f", 1),
    "rounding": ("f", 1),
    "rows": ("iu", 0),
    "weight": ("iuf", 0),
    "shifted": ("b", 1),
    "design": ("U", 0),
}
FACTOR_FORMAT = archive.ArchiveFormat("factor", 2, damaged_key="factor_damaged", newer_key="factor_newer")


class CompressedRows(Protocol):
    """Rows that can become a factor."""

    def to_factor(self) -> Factor: ...


@dataclass(frozen=True, eq=False)
class Factor:
    r"""The R of a QR decomposition of n weighted rows: a mergeable statistic of fixed size.

    Let ``C`` be the (n, k) matrix of the columns' values, ``w`` the (n,) weights, and ``Z = diag(sqrt(w)) [1 C]``
    with shape (n, k+1). With ``Z = Q R``, R upper triangular and Q orthonormal,

    .. math::

        \|Z v\| = \|R v\| \quad \text{for every } v \in \mathbb{R}^{k+1}.

    So R gives the same sum of squared errors as the rows, for every target among the columns, every subset of
    features, and every linear hypothesis. For ``v = (b, W, -1)`` over ``[1, features, target]`` it is ``|R v|^2``.

    **Merging.** The factor of two sets of rows is the R of the two triangles, one above the other. Merging is
    associative and commutative up to rounding, and :meth:`empty` is its neutral element.

    **Rounding.** R is computed with Householder reflections, not from ``Z'Z``, so the condition number is not
    squared. The values are stored relative to ``origin``, the median of the first block, so columns far from zero
    (years, timestamps) keep their digits. R is the exact factor of rows in which column j changed by at most
    ``rounding_error[j]`` in norm (a backward error).

    Args:
        columns: the names of the k columns. Any of them can be the target later.
        R_centered: (k+1, k+1) upper triangular factor of ``diag(sqrt(w)) [1, C - origin]`` with a non-negative
            diagonal, in the columns' units.
        origin: (k,) subtracted from each column, in its unit.
        rows: the number of rows.
        weight: the sum of the weights; ``rows`` if there are none.
        rounding_error: (k,) bound on the backward error of this computation, in each column's unit.
        design: what the columns are made of, if they are those of a formula: an indicator column for each level of a
            category that was met, whatever its coding. Factors of the same formula merge, also with other levels.
        shifted: (k,) whether ``origin`` was subtracted from the column's whole numbers before they were rounded to
            float64, so that its values are rounded by a unit of their differences (default: no column).

    References:
        G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., 2013, sections 5.2 and 6.5.
        N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., 2002, theorem 19.4.

    Example:
        >>> import numpy as np
        >>> from descentlab import Factor
        >>> C = np.array([[1.0, 2.0], [2.0, 4.5], [3.0, 5.5], [4.0, 9.0]])
        >>> factor = Factor.from_block(C[:2], ["x", "y"]).merge(Factor.from_block(C[2:], ["x", "y"]))
        >>> v = np.array([0.5, 2.0, -1.0])  # the errors of the hypothesis y = 2 x + 0.5
        >>> errors = np.column_stack([np.ones(4), C]) @ v
        >>> bool(np.isclose(np.linalg.norm(factor.R @ v), np.linalg.norm(errors), rtol=1e-14))
        True
        >>> factor.R.shape, factor.rows, factor.means
        ((3, 3), 4, array([2.5 , 5.25]))
    """

    columns: tuple[str, ...]
    R_centered: FloatArray
    origin: FloatArray
    rows: int
    weight: float
    rounding_error: FloatArray
    shifted: BoolArray | None = None
    design: Design | None = None

    @classmethod
    def empty(cls, columns: Sequence[str]) -> Factor:
        """The factor of no rows. Merging it changes nothing.

        Raises:
            DataError: a name stands twice, or a factor of these columns would not fit in memory.
        """
        k = len(columns)
        check_size(k)
        if duplicates := find_duplicates(columns):
            raise DataError("duplicate_columns", names=duplicates)
        return cls(tuple(columns), np.zeros((k + 1, k + 1)), np.zeros(k), 0, 0.0, np.zeros(k))

    @classmethod
    def empty_design(cls, design: Design) -> Factor:
        """The factor of no rows of a design with these levels; raises as :meth:`empty` does."""
        check_size(design.count_indicators() + 1, design)
        return replace(cls.empty((*design.indicator_columns, design.target_name)), design=design)

    @classmethod
    def from_block(cls, values: Any, columns: Sequence[str], weights: Any = None) -> Factor:
        """Compute the factor of one block of rows.

        Args:
            values: (n, k) finite values.
            columns: the names of the k columns.
            weights: (n,) non-negative weights. A row of weight 2 counts like two equal rows.

        Raises:
            DataError: the shapes do not fit the columns, or a value is not a number, not finite, or too large.
        """
        return cls.from_blocks([(values, weights)], columns)

    @classmethod
    def from_blocks(
        cls, blocks: Iterable[tuple[Any, Any]], columns: Sequence[str], origin: FloatArray | None = None
    ) -> Factor:
        """Compute the factor of a stream of blocks, merged in a fixed tree. Memory does not grow with the rows.

        Args:
            blocks: pairs of values and weights (or None), as :meth:`from_block` takes them.
            columns: the names of the k columns.
            origin: (k,) the rows are taken relative to it (default: the median of the first block). Factors with
                the same origin merge without a further rounding error.

        Raises:
            DataError: as :meth:`from_block`.
        """
        checked = ((check_block(values, weights, len(columns)), weights) for values, weights in blocks)
        return cls.from_clean_blocks(checked, columns, origin)

    @classmethod
    def from_clean_blocks(
        cls, blocks: Iterable[tuple[Any, Any]], columns: Sequence[str], origin: FloatArray | None = None
    ) -> Factor:
        """:meth:`from_blocks` for arrays that were checked before: it reads each value once less."""
        tree = MergeTree(cls.empty(columns))
        for values, weights in blocks:
            if origin is None and len(values):
                origin = choose_origin(values)
            for start in range(0, len(values), BLOCK_ROWS):
                rows = slice(start, start + BLOCK_ROWS)
                tree.add(cls._from_rows(values[rows], None if weights is None else weights[rows], columns, origin))
        return tree.result()

    @classmethod
    def _from_rows(cls, values: FloatArray, weights: Any, columns: Sequence[str], origin: Any) -> Factor:
        R, error = householder.qr_of_block(values, origin, weights)
        weight = float(len(values) if weights is None else np.sum(weights, dtype=np.float64))
        R[0, 0] = np.sqrt(weight)  # a sum is more accurate than the reflections
        return cls(tuple(columns), R, origin, len(values), weight, error * _column_norms(R))

    def update(self, values: Any, weights: Any = None) -> Factor:
        """Return the factor with one more block of rows. For a long stream, use :meth:`from_blocks`."""
        origin = self.origin if self.rows else None
        return self.merge(self.from_blocks([(values, weights)], self.columns, origin))

    def to_factor(self) -> Factor:
        """Itself; compressed rows of other kinds become a factor."""
        return self

    def merge(self, other: CompressedRows) -> Factor:
        """Return the factor of both sets of rows. Factors of one formula may have met other levels.

        Raises:
            DataError: the columns differ.
        """
        other = other.to_factor()
        _check_mergeable(self, other)
        if not other.rows:
            return self
        if not self.rows:
            return other
        if self.design and other.design:
            return _merge_levels(self, self.design, other, other.design)
        return self._merge_same_columns(other)

    def _merge_same_columns(self, other: Factor) -> Factor:
        rows = self.rows + other.rows
        R, error = householder.merge_triangles(self.R_centered, other.with_origin(self.origin).R_centered, rows)
        weight = self.weight + other.weight
        R[0, 0] = np.sqrt(weight)
        error += 2 * UNIT_ROUNDOFF  # of with_origin
        rounding_error = np.hypot(self.rounding_error, other.rounding_error) + error * _column_norms(R)
        shifted = None if self.shifted is None or other.shifted is None else self.shifted & other.shifted
        return Factor(self.columns, R, self.origin, rows, weight, rounding_error, shifted, self.design and other.design)

    def insert_levels(self, design: Design) -> Factor:
        """Return the factor of the same rows with zero columns for the levels that only ``design`` has."""
        result = self.empty_design(design)
        index = {name: i for i, name in enumerate(result.columns)}
        columns = np.array([index[name] for name in self.columns])
        with_constant = np.r_[0, columns + 1]
        result.R_centered[np.ix_(with_constant, with_constant)] = self.R_centered
        result.origin[columns], result.rounding_error[columns] = self.origin, self.rounding_error
        return replace(result, rows=self.rows, weight=self.weight)

    def with_origin(self, origin: FloatArray) -> Factor:
        """Return the factor of the same rows relative to another origin. Only the first row of R changes."""
        R_centered = self.R_centered.copy()
        R_centered[0, 1:] += R_centered[0, 0] * (self.origin - origin)
        return replace(self, R_centered=R_centered, origin=np.asarray(origin, dtype=np.float64))

    def shift(self, shifts: FloatArray) -> Factor:
        """Return the factor of the same rows with (k,) ``shifts``, subtracted before, added to every column again."""
        return replace(self, origin=self.origin + shifts, shifted=shifts != 0) if shifts.any() else self

    @property
    def R(self) -> FloatArray:  # noqa: N802 (its name in every formula)
        """(k+1, k+1) factor of ``diag(sqrt(w)) [1 C]``, with ``R[0] = sqrt(weight) * (1, means)``."""
        return self.with_origin(np.zeros(len(self.columns))).R_centered

    @property
    def means(self) -> FloatArray:
        """(k,) weighted mean of each column, in its unit; raises DataError if the total weight is 0."""
        self._check_has_weight()
        means: FloatArray = self.origin + self.R_centered[0, 1:] / self.R_centered[0, 0]
        return means

    @property
    def std(self) -> FloatArray:
        """(k,) weighted standard deviation of each column, in its unit; the divisor is the total weight.

        Raises DataError if the total weight is 0.
        """
        self._check_has_weight()
        std: FloatArray = _column_norms(self.R_centered[1:]) / np.sqrt(self.weight)
        return std

    @property
    def column_error(self) -> FloatArray:
        """(k,) bound on the backward error of each column: its values' rounding to float64 plus ``rounding_error``."""
        return self.value_error + self.rounding_error

    @property
    def value_error(self) -> FloatArray:
        """(k,) bound on the rounding of each column's values to float64, in its unit."""
        norms = _column_norms(self.R)
        if self.shifted is not None:
            norms = np.where(self.shifted, _column_norms(self.R_centered), norms)
        return UNIT_ROUNDOFF * norms

    @property
    def is_constant(self) -> BoolArray:
        """(k,) whether a column's spread is within its rounding error."""
        is_constant: BoolArray = _column_norms(self.R_centered[1:]) <= self.column_error
        return is_constant

    def select(self, columns: Sequence[str]) -> Factor:
        """Return the factor of the same rows with only these columns, in this order.

        Raises:
            DataError: a column does not exist, or is named twice.
        """
        index = self._column_indices(columns)
        shifted = None if self.shifted is None else self.shifted[index]
        selected = replace(
            self.empty(columns), rows=self.rows, weight=self.weight, origin=self.origin[index], shifted=shifted
        )
        if selected.columns == self.columns:
            return self
        R_selected = self.R_centered[:, [0, *(i + 1 for i in index)]]
        R, error = householder.qr_of_rows(R_selected.astype(householder.working_dtype(*R_selected.shape), order="F"))
        return replace(selected, R_centered=R, rounding_error=self.rounding_error[index] + error * _column_norms(R))

    def center(self, columns: Sequence[str] | None = None) -> Factor:
        """Return the factor of the rows after subtracting these columns' means (default: all columns).

        Raises:
            DataError: a column does not exist.
        """
        index = self._column_indices(self.columns if columns is None else columns)
        R, origin, rounding_error = self.R_centered.copy(), self.origin.copy(), self.rounding_error.copy()
        R[0, [i + 1 for i in index]] = 0.0
        origin[index] = 0.0
        rounding_error[index] = self.column_error[index]  # the values were rounded before the means were subtracted
        return replace(self, R_centered=R, origin=origin, rounding_error=rounding_error)

    def scale(self, divisors: FloatArray) -> Factor:
        """Return the factor of the rows with every column divided by its (k,) positive divisor."""
        R = self.R_centered.copy()
        R[:, 1:] /= divisors
        return replace(self, R_centered=R, origin=self.origin / divisors, rounding_error=self.rounding_error / divisors)

    def _column_indices(self, columns: Sequence[str]) -> list[int]:
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DataError("no_such_columns", names=missing, columns=self.columns)
        return [self.columns.index(name) for name in columns]

    def _check_has_weight(self) -> None:
        if not self.weight > 0:
            raise DataError("no_weight" if self.rows else "no_rows")

    def to_arrays(self) -> dict[str, Any]:
        """Everything in the factor, as the arrays that a factor file holds."""
        return {
            "columns": np.array(self.columns, dtype=np.str_),
            "centred": np.ascontiguousarray(self.R_centered),
            "origin": self.origin,
            "rows": np.array(self.rows),
            "weight": np.array(self.weight),
            "rounding": self.rounding_error,
            **({} if self.shifted is None else {"shifted": self.shifted}),
            **({} if self.design is None else {"design": np.array(json.dumps(self.design.to_dict()))}),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Factor:
        """The inverse of :meth:`to_arrays`.

        Raises:
            KeyError, TypeError, ValueError: the arrays are not those of a factor; the text of a ValueError from here
                names the field.
        """
        _check_types(arrays)
        columns = tuple(str(name) for name in arrays["columns"])
        R, origin, error = (np.asarray(arrays[name], dtype=np.float64) for name in ("centred", "origin", "rounding"))
        rows, weight = int(arrays["rows"]), float(arrays["weight"])
        shifted = np.asarray(arrays["shifted"], dtype=bool) if "shifted" in arrays else None
        design = _read_design(str(arrays["design"]), len(columns)) if "design" in arrays else None
        k = len(columns)
        is_valid = {
            "rows": rows >= 0,
            "columns": k > 0 and len(set(columns)) == k and all(columns),
            "centred": R.shape == (k + 1, k + 1) and _is_triangular(R, weight) and (rows > 0 or not R.any()),
            "origin": origin.shape == (k,) and bool((np.abs(origin) <= MAX_ENTRY).all()),
            "rounding": error.shape == (k,) and bool(np.isfinite(error).all() and (error >= 0).all()),
            "weight": 0 <= weight < np.inf and np.isclose(R.flat[0] ** 2, weight, rtol=1e-12, atol=0),
            "shifted": shifted is None or shifted.shape == (k,),
            "design": design is None or (*design.indicator_columns, design.target_name) == columns,
        }
        for field, valid in is_valid.items():
            if not valid:
                raise ValueError(field)
        return cls(columns, R, origin, rows, weight, error, shifted, design)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a NumPy ``.npz`` archive without pickled objects; see ``docs/factor-file.md``.

        Raises:
            OSError: the file cannot be written; an earlier one is unchanged.
        """
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Factor:
        """Read a factor file.

        Raises:
            DataError: the file cannot be read, is not a factor, is damaged, or was written by a newer version.
        """
        return cls.from_archive(archive.read_archive(path, FACTOR_FORMAT), str(path))

    def to_bytes(self, input_ids: Iterable[str] = (), job_id: str = "") -> bytes:
        """The contents of a factor file; the ids are those of :class:`descentlab.factor.file.Provenance`."""
        provenance = {"inputs": np.array(sorted(input_ids), dtype=np.str_), "job": np.array(job_id, dtype=np.str_)}
        return archive.pack_arrays(FACTOR_FORMAT, self.to_arrays() | provenance)

    @classmethod
    def from_bytes(cls, data: bytes) -> Factor:
        """The inverse of :meth:`to_bytes`.

        Raises:
            DataError: as :meth:`load`.
        """
        return cls.from_archive(archive.unpack_arrays(io.BytesIO(data), FACTOR_FORMAT, "bytes"), "bytes")

    @classmethod
    def from_archive(cls, fields: Mapping[str, Any], label: str) -> Factor:
        """:meth:`from_arrays`, but a DataError says that the file ``label`` is damaged."""
        try:
            return cls.from_arrays(fields)
        except DescentlabError as cause:
            raise DataError("factor_design", path=label, reason=cause.message) from cause
        except (KeyError, TypeError, ValueError, OverflowError) as cause:
            raise DataError("factor_invalid", path=label, field=str(cause).strip("'")[:60]) from cause

    def __repr__(self) -> str:
        return f"Factor({self.rows:,} rows of {', '.join(self.columns)})"


def _check_mergeable(first: Factor, second: Factor) -> None:
    """Raise DataError if the columns differ, other than in the levels of the same formula."""
    if first.design and second.design:
        if not first.design.same_terms(second.design):
            terms = [[*map(str, factor.design.terms)] for factor in (first, second) if factor.design]
            raise DataError("merge_terms", first=terms[0], second=terms[1])
    elif first.columns != second.columns:
        raise DataError("merge_columns", first=first.columns, second=second.columns)


def _merge_levels(first: Factor, a: Design, second: Factor, b: Design) -> Factor:
    """The factor of both, with a column for each level that either has met."""
    if a.levels != b.levels:
        union = a.with_levels({key: list(dict.fromkeys((*a.levels[key], *b.levels[key]))) for key in a.categories})
        first, second = first.insert_levels(union), second.insert_levels(union)
    return first._merge_same_columns(second)


def _check_types(arrays: Mapping[str, Any]) -> None:
    """Raise ValueError if an array of a factor has another type, or a name that cannot be written."""
    for field, (kinds, dimensions) in FIELD_TYPES.items():
        array = np.asarray(arrays[field]) if field in arrays else None
        if array is not None and (array.dtype.kind not in kinds or array.ndim != dimensions):
            raise ValueError(field)
    try:
        "".join(map(str, arrays["columns"])).encode()
    except UnicodeEncodeError as cause:  # half of a character
        raise ValueError("columns") from cause


def _read_design(text: str, k: int) -> Design:
    """The design of k columns. They are counted before they are named, since a few levels can give any number."""
    try:
        design = Design.from_dict(json.loads(text))
    except RecursionError as cause:  # brackets inside brackets
        raise ValueError("design") from cause
    if not design.has_levels or design.count_indicators() + 1 != k:
        raise ValueError("design")
    return design


def _is_triangular(R: FloatArray, weight: float) -> bool:
    """Whether R is finite, upper triangular, has no negative diagonal entry, and none that no such weight gives."""
    too_large = np.abs(R[:, 1:]) > MAX_ENTRY * math.sqrt(max(weight, 0.0))
    is_valid = np.isfinite(R).all() and (R.diagonal() >= 0).all() and not too_large.any()
    return bool(is_valid) and not np.tril(R, -1).any()


def choose_origin(values: Any) -> FloatArray:
    """(k,) median of the first rows: a single outlier does not move it."""
    origin: FloatArray = np.median(np.asarray(values)[:BLOCK_ROWS].astype(np.float64), axis=0)
    return origin


def _column_norms(columns: FloatArray) -> FloatArray:
    """(k,) norms of all columns except the first."""
    norms: FloatArray = np.linalg.norm(columns[:, 1:], axis=0)
    return norms
