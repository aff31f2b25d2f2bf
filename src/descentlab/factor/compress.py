"""Compress files of any size into a factor on disk of a few kilobytes; resume after a kill; merge factors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from descentlab.data import open_source
from descentlab.data.columns import as_names, check_column
from descentlab.data.design.choose import DesignRequest
from descentlab.data.paths import FileLocation, as_paths, resolve_locations
from descentlab.data.selection import ColumnSelection
from descentlab.errors import DataError, SettingError, check_choice, check_float
from descentlab.factor.build import CompressionCallback, build_factor, empty_factor, prepare_design
from descentlab.factor.checkpoint import SAVE_INTERVAL, Checkpoint, Job
from descentlab.factor.executors.base import Executor
from descentlab.factor.factor import Factor
from descentlab.factor.file import (
    Provenance,
    is_factor_file,
    load_disjoint_factors,
    load_with_provenance,
    merge_factors,
    save_factor,
    split_factor_files,
)
from descentlab.messages import Message
from descentlab.storage import WaitCallback, check_writable, hold_lock, remove_leftovers

OPTIONS_OF_ROWS = ("weights", "features", "drop", "formula", "categories")
COMPRESS_VERSION = 2  # of the way in which files are cut and merged: a change gives other bits


@dataclass(frozen=True)
class CompressOptions:
    """Options that do not change the resulting factor; see :func:`compress`."""

    executor: Executor | None = None
    restart: bool = False
    every: float = SAVE_INTERVAL
    progress: CompressionCallback | None = None
    on_wait: WaitCallback | None = None


@dataclass(frozen=True)
class CompressResult:
    """The result of :func:`compress_with_notices`.

    Attributes:
        factor: the factor of the rows.
        notices: which columns and rows were left out, and what was assumed.
        was_cached: whether the output existed already, made by the same job, so that nothing was read.
    """

    factor: Factor
    notices: tuple[Message, ...]
    was_cached: bool = False


def compress(
    data: object,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    weights: str | None = None,
    formula: str | None = None,
    categories: Sequence[str] | str | None = None,
    missing: str = "error",
    merge: Sequence[str | os.PathLike[str]] = (),
    output: str | os.PathLike[str] | None = None,
    engine: Executor | None = None,
    restart: bool = False,
    every: float = SAVE_INTERVAL,
    progress: CompressionCallback | None = None,
    **csv_options: Any,
) -> Factor:
    r"""Compress files of any size into a :class:`Factor`, which every function of descentlab takes in their place.

    Args:
        data: paths, patterns, folders or URIs, as in :class:`descentlab.Problem`. Factors among them are merged.
        target: the column that becomes the last one, and the default target later (default: the last column).
        features: the other columns to keep (default: every numeric column that does not only number the rows).
        drop: columns that are not kept.
        weights: a column of non-negative sample weights.
        formula, categories: the terms to keep, as in :class:`descentlab.Problem`. The factor has a column for each
            level that was met; files with other levels can be merged later.
        missing: ``"error"`` refuses missing values; ``"drop"`` leaves their rows out.
        merge: factors to add the rows to. An input that is in one of them already is refused.
        output: where to write the factor. Other processes that write it wait until this one has. Meanwhile the state is
            in ``OUTPUT.part``: after a kill, the same call continues from there, and its result is the same to the last
            bit.
        engine: where to compress (default: every core of this machine).
        restart: ignore a saved state and an existing output.
        every: the number of seconds between two saves of the state.
        progress: called after each piece with the size done, the total size (None if unknown) and the rows so far.
        **csv_options: what is known about CSV files, as in :class:`descentlab.Problem`.

    Raises:
        DataError: the rows cannot be used, an input changed since the state was saved, or the columns differ.
        SettingError: a setting is not allowed.

    Example:
        >>> import tempfile, pathlib
        >>> import descentlab as dl
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "houses.csv").write_text("size,price\n50,155\n80,230\n120,333\n")
        >>> dl.compress(folder / "houses.csv", output=folder / "houses.factor")
        Factor(3 rows of size, price)
        >>> dl.Problem(folder / "houses.factor").solve().params.round(2)
        array([ 2.54, 27.28])
    """
    column_options = {
        "target": target,
        "features": features,
        "drop": drop,
        "weights": weights,
        "formula": formula,
        "categories": categories,
        "missing": missing,
    }
    options = CompressOptions(engine, restart, every, progress)
    return compress_with_notices(data, column_options, merge, output, csv_options, options).factor


def compress_with_notices(
    data: object,
    column_options: dict[str, Any],
    merge: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
    csv_options: dict[str, Any],
    options: CompressOptions,
) -> CompressResult:
    """:func:`compress` with its notices. ``column_options`` says which columns and rows are kept."""
    check_float("every", options.every, min_value=0.0)
    check_choice("missing", column_options["missing"], ("error", "drop"))
    with _locked(output, options.on_wait):
        paths, row_inputs = split_factor_files(data)
        factor_paths = [*merge, *paths]
        if row_inputs is None:
            return _merge_factors_only(factor_paths, column_options, output)
        row_paths = as_paths(row_inputs)
        locations = resolve_locations(row_paths) if row_paths else []
        fingerprints = _fingerprint_files(locations)
        job = Job(_make_job_settings(column_options, csv_options, factor_paths, output), fingerprints)
        checkpoint = None
        if output is not None and locations:
            _check_output_not_input(output, row_paths or (), locations)
            checkpoint = Checkpoint(checkpoint_path(output), job, float(options.every))
            cached = None if options.restart else _load_if_made_by(job, output)
            if cached or options.restart:
                checkpoint.clear()
            if cached:
                return CompressResult(cached, (), was_cached=True)
        other_factors, input_ids = _load_factors_to_merge(factor_paths, locations)
        selection = _make_selection(row_inputs, column_options, csv_options)
        prepare_design(selection, options.executor)
        # Merging an empty factor reports different columns before the rows are read.
        merged_before = merge_factors([*other_factors, empty_factor(selection)])
        factor = build_factor(selection, options.executor, checkpoint, options.progress)
        _check_unchanged(fingerprints, locations, checkpoint)
        factor = merge_factors([merged_before, factor])
        factor = factor if factor.design else _with_target_last(column_options["target"], factor)
        if output is not None:
            _save_factor(factor, output, Provenance(input_ids, job.job_id))
            if checkpoint:
                checkpoint.clear()
        return CompressResult(factor, tuple(selection.notices))


@contextmanager
def _locked(output: str | os.PathLike[str] | None, on_wait: WaitCallback | None) -> Iterator[None]:
    """Lock the output, if there is one, from before it is read until it is written.

    Processes that compress into one output wait for each other, so that each merges what the one before has written.
    """
    if output is None:
        yield
        return
    _check_output_writable(output)
    with hold_lock(output, on_wait):
        remove_leftovers(output)
        yield


def _check_unchanged(
    fingerprints: list[list[Any]], locations: Sequence[FileLocation], checkpoint: Checkpoint | None
) -> None:
    """Raise DataError, and delete the saved state, if a file is not the one that it was before it was read."""
    changed = [
        before[0] for before, now in zip(fingerprints, _fingerprint_files(locations), strict=True) if before != now
    ]
    if changed:
        if checkpoint:
            checkpoint.clear()
        raise DataError("changed_meanwhile", names=changed[:5])


def _load_if_made_by(job: Job, output: str | os.PathLike[str]) -> Factor | None:
    if not is_factor_file(output):
        return None
    factor, provenance = load_with_provenance(output)
    return factor if provenance.job_id == job.job_id else None


def _merge_factors_only(
    factor_paths: Sequence[str | os.PathLike[str]],
    column_options: dict[str, Any],
    output: str | os.PathLike[str] | None,
) -> CompressResult:
    unusable_options = [name for name in OPTIONS_OF_ROWS if column_options.get(name) is not None]
    if unusable_options:
        raise SettingError("factors_hold", names=unusable_options)
    other_factors, input_ids = _load_factors_to_merge(factor_paths, [])
    factor = merge_factors(other_factors)
    target = column_options["target"]
    if target is not None:
        factor = _with_target_last(check_column(target, factor.columns, {}), factor)
    if output is not None:
        _save_factor(factor, output, Provenance(input_ids))
    return CompressResult(factor, ())


def _with_target_last(target: str | None, factor: Factor) -> Factor:
    """The factor with this column last, or unchanged if ``target`` is None.

    Raises:
        SettingError: the columns are those of a formula, which says what is predicted.
    """
    if target is None or target == factor.columns[-1]:
        return factor
    if factor.design is not None:
        raise SettingError("factors_hold", names=["target"])
    return factor.select([*(name for name in factor.columns if name != target), target])


def _make_selection(row_inputs: Any, column_options: dict[str, Any], csv_options: dict[str, Any]) -> ColumnSelection:
    target, weights = column_options["target"], column_options["weights"]
    formula, categories = column_options.get("formula"), column_options.get("categories")
    source = open_source(row_inputs, csv_options=csv_options)
    if target is None and formula is None:
        names = [name for name in source.names if name not in (weights, *as_names(column_options.get("drop")))]
        target = names[-1] if names else None
    features, drop = column_options["features"], column_options.get("drop")
    missing = column_options["missing"]
    return ColumnSelection(
        source, None, target, features, weights, missing, {}, drop, DesignRequest(formula, categories)
    )


def _make_job_settings(
    column_options: dict[str, Any],
    csv_options: dict[str, Any],
    factor_paths: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """Everything except the rows that the result depends on. A factor that is overwritten is identified by its path."""
    merged_ids = [
        os.fspath(path) if _is_same_file(path, output) else sha256(Path(path).read_bytes()).hexdigest()
        for path in factor_paths
        if Path(path).exists()
    ]
    features = None if column_options["features"] is None else list(column_options["features"])
    return {
        **{name: value for name, value in column_options.items() if name not in ("formula", "categories") or value},
        "features": features,
        "drop": as_names(column_options.get("drop")),
        "reading": csv_options,
        "merged": merged_ids,
        "version": COMPRESS_VERSION,
    }


def _is_same_file(path: str | os.PathLike[str], output: str | os.PathLike[str] | None) -> bool:
    return output is not None and Path(output).exists() and Path(path).samefile(output)


def _fingerprint_files(locations: Sequence[FileLocation]) -> list[list[Any]]:
    return [[str(location), *location.fingerprint()] for location in locations]


def _load_factors_to_merge(
    factor_paths: Sequence[str | os.PathLike[str]], locations: Sequence[FileLocation]
) -> tuple[list[Factor], frozenset[str]]:
    """The factors to merge, and the ids of all inputs of the result.

    Raises:
        DataError: one input is in two of the factors, or in a factor and in the rows.
    """
    input_names = {_compute_file_id(place): str(place) for place in locations}
    input_ids, loaded = frozenset(input_names), []
    for path, (factor, provenance) in zip(factor_paths, load_disjoint_factors(factor_paths), strict=True):
        if duplicates := sorted(input_names[input_id] for input_id in provenance.input_ids if input_id in input_names):
            raise DataError("already_merged", path=os.fspath(path), names=duplicates[:5])
        input_ids |= provenance.input_ids
        loaded.append(factor)
    return loaded, input_ids


def _compute_file_id(location: FileLocation) -> str:
    """A hash of the name, size and modification time: it stays the same if the file is moved."""
    return sha256(f"{location.name} {location.fingerprint()}".encode(errors="surrogateescape")).hexdigest()[:16]


def checkpoint_path(output: str | os.PathLike[str]) -> Path:
    """The path of the state of an unfinished compression."""
    path = Path(output)
    return path.with_name(f"{path.name}.part")


def _check_output_writable(output: str | os.PathLike[str]) -> None:
    """Raise SettingError, before the work, if the output cannot be written."""
    try:
        check_writable(output)
    except (OSError, ValueError) as cause:
        raise SettingError("unwritable", path=os.fspath(output), cause=getattr(cause, "strerror", cause)) from cause


def _check_output_not_input(
    output: str | os.PathLike[str], row_inputs: Sequence[str], locations: Sequence[FileLocation]
) -> None:
    """Raise SettingError if the output would overwrite an input, or become one when the command is repeated."""
    for path in (Path(output), checkpoint_path(output)):
        if path.exists() and any(
            location.filesystem_uri is None and path.samefile(location.path) for location in locations
        ):
            raise SettingError("output_is_input", path=str(path))
    resolved_output = Path(output).resolve()
    for folder in map(Path, row_inputs):
        if folder.expanduser().is_dir() and resolved_output.is_relative_to(folder.expanduser().resolve()):
            raise SettingError("output_in_folder", path=os.fspath(output), folder=str(folder))


def _save_factor(factor: Factor, output: str | os.PathLike[str], provenance: Provenance) -> None:
    try:
        save_factor(factor, output, provenance)
    except OSError as cause:
        raise SettingError("unwritable", path=os.fspath(output), cause=cause.strerror or str(cause)) from cause
