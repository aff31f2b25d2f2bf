"""The rows given to an estimator: validated by scikit-learn, with names, read block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from descentlab.data.source import BLOCK_ROWS
from descentlab.errors import DataError
from descentlab.factor.incremental import IncrementalFactor
from descentlab.messages import pluralize
from descentlab.typing import FloatArray, IntArray

MAX_FACTOR_COLUMNS = 2048  # the eigenvalues of 2,048 columns take about half a minute; time grows with the cube
MAX_DENSE_VALUES = 1 << 27  # values of sparse rows that mini-batches may hold in memory: 1 GB


@dataclass(frozen=True, eq=False)
class InputData:
    """X (n, d), dense or CSR; Y (n, m); (n,) weights or None; and the names of their columns.

    Attributes:
        y_is_1d: whether y came with one dimension.
        estimator_name: the name of the estimator's class.
    """

    X: Any
    Y: FloatArray
    weights: FloatArray | None
    features: tuple[str, ...]
    targets: tuple[str, ...]
    y_is_1d: bool
    estimator_name: str

    @classmethod
    def from_fit_arguments(cls, estimator: Any, X: object, y: object, sample_weight: object, reset: bool) -> InputData:
        """Validate the arguments of ``fit`` or ``partial_fit``.

        Raises:
            ValueError: scikit-learn refuses it.
            DataError: more columns than a factor is for; dates or times.
        """
        check_no_datetimes(X, "X")
        check_no_datetimes(y, "y")
        accepted = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "multi_output": True, "y_numeric": True}
        # `add_to` checks that values are finite.
        X, y = validate_data(estimator, X, y, reset=reset, ensure_all_finite=hasattr(X, "tocsr"), **accepted)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        n, d = X.shape  # type: ignore[attr-defined]
        if d > MAX_FACTOR_COLUMNS:
            raise DataError("estimator_columns", columns=pluralize(d, "column"), most=MAX_FACTOR_COLUMNS)
        Y = np.asarray(y, dtype=np.float64).reshape(n, -1)
        features = _feature_names(estimator, d)
        targets = _target_names(features, Y.shape[1])
        return cls(X, Y, weights, features, targets, np.asarray(y).ndim == 1, type(estimator).__name__)

    @property
    def columns(self) -> tuple[str, ...]:
        """Features, then targets: those of the factor."""
        return (*self.features, *self.targets)

    def get_block(self, start: int, stop: int) -> tuple[FloatArray, FloatArray | None]:
        """The values of these rows, features then targets, and their weights."""
        X = self.X[start:stop]
        dense = X.toarray() if hasattr(X, "toarray") else X
        weights = None if self.weights is None else self.weights[start:stop]
        return np.column_stack([dense, self.Y[start:stop]]), weights

    def add_to(self, incremental_factor: IncrementalFactor) -> None:
        """Add all rows to the factor.

        Raises:
            ValueError: a value is missing or infinite, in scikit-learn's words.
        """
        with self.translate_errors():
            incremental_factor.add_from(len(self.Y), self.get_block)

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Report values that are not finite in scikit-learn's words, which name X or y."""
        try:
            yield
        except DataError:
            assert_all_finite(self.X, estimator_name=self.estimator_name, input_name="X")
            assert_all_finite(self.Y, estimator_name=self.estimator_name, input_name="y")
            raise

    def select(self, indices: IntArray) -> InputData:
        """Some of the rows, in the order given."""
        weights = None if self.weights is None else self.weights[indices]
        return replace(self, X=self.X[indices], Y=self.Y[indices], weights=weights)

    def with_positive_weight(self) -> InputData:
        """The rows whose weight is not 0."""
        if self.weights is None or self.weights.all():
            return self
        return self.select(np.flatnonzero(self.weights))

    def to_dense(self) -> FloatArray:
        """X as an array, for mini-batches.

        Raises:
            DataError: a sparse X would take more than 1 GB.
        """
        if not hasattr(self.X, "toarray"):
            return np.asarray(self.X)
        n, d = self.X.shape
        if n * d > MAX_DENSE_VALUES:
            raise DataError(
                "estimator_sparse_batches",
                rows=pluralize(n, "row"),
                columns=pluralize(d, "column"),
                gigabytes=8 * n * d / 1e9,
            )
        return np.asarray(self.X.toarray())

    def iter_feature_blocks(self) -> Iterator[tuple[FloatArray, FloatArray | None]]:
        """(m, d) features and their weights, if any, a block at a time."""
        for start in range(0, len(self.Y), BLOCK_ROWS):
            values, weights = self.get_block(start, start + BLOCK_ROWS)
            yield values[:, : len(self.features)], weights


def check_no_datetimes(data: object, argument_name: str) -> None:
    """Raise DataError if a table or an array contains dates or times, whose unit is unknown.

    The same time is 10^9 times as large in nanoseconds as in seconds, so a model fitted in one unit and used in the
    other would predict wrong values without an error.
    """
    columns = getattr(data, "columns", None)
    dtypes = getattr(data, "dtypes", None) if columns is not None else None
    if dtypes is None:
        columns, dtypes = [argument_name], [getattr(data, "dtype", None)]
    names = [f"`{name}`" for name, kind in zip(columns, dtypes, strict=False) if _is_datetime(kind)]  # type: ignore[arg-type]
    if names:
        raise DataError("estimator_times", names=names)


def _is_datetime(dtype: Any) -> bool:
    """Whether a type of NumPy's, pandas', Arrow's or polars' is one of dates, times or durations."""
    return getattr(dtype, "kind", None) in ("m", "M") or bool(getattr(dtype, "is_temporal", bool)())


def draw_seed(random_state: Any) -> int:
    """A seed from what scikit-learn takes (None, a whole number, a ``RandomState``) or NumPy's newer ``Generator``."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def _feature_names(estimator: Any, d: int) -> tuple[str, ...]:
    """The names that X had, if it had different ones; else ``x``, or ``x1 .. xd``."""
    names = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    if len(set(names)) == d:
        return names
    return ("x",) if d == 1 else tuple(f"x{j + 1}" for j in range(d))


def _target_names(features: tuple[str, ...], m: int) -> tuple[str, ...]:
    """``y``, or ``y1 .. ym``, in parentheses where a feature is called that."""
    names = ("y",) if m == 1 else tuple(f"y{j + 1}" for j in range(m))
    while set(names) & set(features):
        names = tuple(f"({name})" for name in names)
    return names
