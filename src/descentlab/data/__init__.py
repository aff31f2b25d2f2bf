"""Named numeric columns, read in blocks from arrays, tables, tensors and files.

:func:`open_source` opens any of them. A source names its numeric columns, says why each other column is excluded, and
yields blocks of rows; it knows nothing of costs or descent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from descentlab.data.csv.options import CsvOptions
from descentlab.data.paths import as_paths
from descentlab.data.source import BaseSource, Source, is_table
from descentlab.errors import DataError, check_choice

__all__ = ["Source", "open_column", "open_source"]

CSV_OPTIONS = tuple(option.name for option in fields(CsvOptions))


def open_source(
    data: object, *, names: tuple[str, ...] | None = None, csv_options: Mapping[str, Any] | None = None
) -> Source:
    """Open data as a source: numeric columns that can be read block by block, more than once.

    Args:
        data: an (n, k) or (n,) array, list or tensor; a table that exports an Arrow C stream; the path of a CSV,
            Parquet or Arrow file, a folder, a pattern such as ``"data/*.parquet"``, a URI, or a list of these; or a
            source, which is returned as it is.
        names: the names of an array's columns (default: ``x``, or ``x1 .. xk``). Tables and files have their own.
        csv_options: what is known about CSV files: ``delimiter``, ``decimal``, ``encoding``, ``header``,
            ``thousands``, ``skip_rows``, ``comment``, ``na``, ``skip_footer``; the rest is detected.

    Raises:
        DataError: the data cannot be read; the message says what was found.
        SettingError: ``csv_options`` has an unknown option.

    Example:
        >>> source = open_source([[1, 2], [3, 4]], names=("size", "rooms"))
        >>> source.names, [block.tolist() for block in source.blocks(["rooms"])]
        (('size', 'rooms'), [[[2.0], [4.0]]])
    """
    for option in csv_options or ():
        check_choice("option", option, CSV_OPTIONS)
    if isinstance(data, BaseSource):
        return data
    paths = as_paths(data)
    if paths is not None:
        from descentlab.data.files import open_files

        return open_files(paths, csv_options or {})
    if csv_options:
        raise DataError("reading_options", names=tuple(csv_options))
    if is_table(data):
        from descentlab.data.tables import open_table

        return open_table(data)
    from descentlab.data.arrays import ArraySource, as_matrix, is_device_tensor

    if is_device_tensor(data):
        from descentlab.data.tensors import TensorSource

        return TensorSource(data, names)
    return ArraySource.from_matrix(as_matrix(data, "X"), names)


def open_column(data: object, argument: str, name: str) -> Source:
    """Open one column that was given apart from the rows: a target or weights.

    Args:
        data: (n,) array, list or tensor, or a series of any data frame library.
        argument: the name of the argument, for errors.
        name: the name of the column.

    Raises:
        DataError: it is not one column of numbers.
    """
    from descentlab.data.arrays import ArraySource, as_column

    if not is_table(data):
        return ArraySource(as_column(data, argument), (name,))
    from descentlab.data.tables import is_column, open_table

    source = open_table(data, name)
    if not is_column(data):
        shape = str(getattr(data, "shape", ("n", len(source.names) + len(source.excluded_columns))))
        raise DataError("target_shape", what=argument, shape=shape)
    for column, reason in source.excluded_columns.items():
        raise DataError("not_numeric", name=column, reason=reason)
    return source
