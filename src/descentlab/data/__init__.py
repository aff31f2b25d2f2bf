"""Where rows come from. One way in, :func:`open_source`; each kind of data has a file of its own.

A source names its numeric columns, says which columns it cannot offer and why, and yields blocks. It knows
nothing of costs or descent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from descentlab.data.paths import as_paths
from descentlab.data.source import BaseSource, Source, is_table
from descentlab.errors import DataError, check_choice

__all__ = ["Source", "open_column", "open_source"]

CSV_OPTIONS = ("delimiter", "decimal", "encoding", "header")


def open_source(
    data: object, *, names: tuple[str, ...] | None = None, csv_options: Mapping[str, Any] | None = None
) -> Source:
    """The source for whatever holds the rows.

    Args:
        data: an array, a list, a tensor, a table that exports an Arrow C stream, the path of a CSV, Parquet
            or Arrow file, a pattern such as ``"data/*.parquet"``, or a list of paths.
        names: names for the columns of an array; tables and files bring their own.
        csv_options: how to read CSV files: ``delimiter``, ``decimal``, ``encoding``, ``header``.

    Raises:
        DataError: nothing readable is there; the message says what was found.
        SettingError: ``csv_options`` holds an option that does not exist.
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
    """The source of one column that came on its own, as a target or as weights.

    Args:
        data: (n,) array, list, tensor, or a series of any data frame library.
        argument: the argument it came in, for errors.
        name: what to call the column.

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
