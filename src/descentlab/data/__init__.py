"""Where rows come from. One way in, :func:`open_source`; each kind of data has a file of its own.

A source names its numeric columns, says which columns it cannot offer and why, and yields blocks. It knows
nothing of costs or descent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from descentlab.data.source import Source
from descentlab.errors import DataError

__all__ = ["Source", "open_source"]


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
    """
    if isinstance(data, str | os.PathLike) or _is_list_of_paths(data):
        from descentlab.data.files import open_files

        return open_files(data, reading or {})  # type: ignore[arg-type]
    if reading:
        raise DataError("reading_options", names=tuple(reading))
    if hasattr(data, "__arrow_c_stream__") or type(data).__module__.startswith("pandas."):
        from descentlab.data.tables import open_table

        return open_table(data)
    from descentlab.data.arrays import ArraySource, as_columns

    return ArraySource.of_matrix(as_columns(data, "X"), names)


def _is_list_of_paths(data: object) -> bool:
    return (
        isinstance(data, list | tuple) and len(data) > 0 and all(isinstance(item, str | os.PathLike) for item in data)
    )
