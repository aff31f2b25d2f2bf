"""Where rows come from. One way in, :func:`open_source`; each kind of data has a file of its own.

A source names its numeric columns, says which columns it cannot offer and why, and yields blocks. It knows
nothing of costs or descent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from descentlab.data.source import Source, is_table
from descentlab.errors import DataError, one_of

__all__ = ["Source", "open_column", "open_source"]

READING = ("delimiter", "decimal", "encoding", "header")


def open_source(
    data: object, *, names: tuple[str, ...] | None = None, reading: Mapping[str, Any] | None = None
) -> Source:
    """The source for whatever holds the rows.

    Args:
        data: an array, a list, a tensor, a table that exports an Arrow C stream, the path of a CSV, Parquet
            or Arrow file, a pattern such as ``"data/*.parquet"``, or a list of paths.
        names: names for the columns of an array; tables and files bring their own.
        reading: how to read CSV files: ``delimiter``, ``decimal``, ``encoding``, ``header``.

    Raises:
        DataError: nothing readable is there; the message says what was found.
        SettingError: ``reading`` holds an option that does not exist.
    """
    for option in reading or ():
        one_of("option", option, READING)
    if isinstance(data, str | os.PathLike) or _is_list_of_paths(data):
        from descentlab.data.files import open_files

        return open_files(data, reading or {})  # type: ignore[arg-type]
    if reading:
        raise DataError("reading_options", names=tuple(reading))
    if is_table(data):
        from descentlab.data.tables import open_table

        return open_table(data)
    from descentlab.data.arrays import ArraySource, as_columns, elsewhere

    if elsewhere(data):
        from descentlab.data.tensors import TensorSource

        return TensorSource(data, names)
    return ArraySource.of_matrix(as_columns(data, "X"), names)


def open_column(data: object, what: str, name: str) -> Source:
    """The source of one column that came on its own, as a target or as weights.

    Args:
        data: (n,) array, list, tensor, or a series of any data frame library.
        what: the argument it came in, for errors.
        name: what to call the column.

    Raises:
        DataError: it is not one column of numbers.
    """
    from descentlab.data.arrays import ArraySource, as_target

    if not is_table(data):
        return ArraySource(as_target(data, what), (name,))
    from descentlab.data.tables import is_column, open_table

    source = open_table(data, name)
    if not is_column(data):
        shape = str(getattr(data, "shape", ("n", len(source.names) + len(source.left_out))))
        raise DataError("target_shape", what=what, shape=shape)
    for column, reason in source.left_out.items():
        raise DataError("not_numeric", name=column, reason=reason)
    return source


def _is_list_of_paths(data: object) -> bool:
    return (
        isinstance(data, list | tuple) and len(data) > 0 and all(isinstance(item, str | os.PathLike) for item in data)
    )
