"""Factors kept on disk: files of any size in a few kilobytes that stand for them, merged, continued after a kill."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from descentlab.data import open_source
from descentlab.data.paths import FileLocation, resolve_locations
from descentlab.data.selection import ColumnSelection, check_column
from descentlab.errors import DataError, SettingError, check_choice, check_float
from descentlab.factor import archive, file
from descentlab.factor.build import CompressionCallback, Executor, build_factor
from descentlab.factor.checkpoint import SAVE_INTERVAL, Checkpoint, Job
from descentlab.factor.factor import Factor
from descentlab.factor.file import Provenance, is_factor_file
from descentlab.messages import Message

COMPRESS_VERSION = 1  # of how files are cut and merged: another gives other bits


@dataclass(frozen=True)
class CompressOptions:
    """How a compression goes about it: nothing in here changes what comes out. See :func:`compress`."""

    executor: Executor | None = None
    restart: bool = False
    every: float = SAVE_INTERVAL
    progress: CompressionCallback | None = None


@dataclass(frozen=True)
class CompressResult:
    """What :func:`compress_with_notices` made.

    Attributes:
        factor: the rows.
        notices: what was skipped, dropped or assumed.
        was_cached: whether it had been made before, by the same job, and nothing was read.
    """

    factor: Factor
    notices: tuple[Message, ...]
    was_cached: bool = False


def compress(
    data: object,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    missing: str = "error",
    merge: Sequence[str | os.PathLike[str]] = (),
    output: str | os.PathLike[str] | None = None,
    engine: Executor | None = None,
    restart: bool = False,
    every: float = SAVE_INTERVAL,
    progress: CompressionCallback | None = None,
    **csv_options: Any,
) -> Factor:
    """Compress files of any size into a factor, which stands for them wherever descentlab takes data.

    Args:
        data: paths, patterns, folders, URIs, as :class:`descentlab.Problem` takes them; factors among them are merged.
        target: which column stands last, and is the target where none is named later (default: the last one).
        features: the other columns to keep (default: every numeric one).
        weights: a column of non-negative sample weights.
        missing: ``"error"`` refuses missing values; ``"drop"`` leaves their rows out.
        merge: factors to which these rows are added. A file that is in one of them already is refused.
        output: where to keep the factor. The state lies beside it, as ``OUTPUT.part``, while the work goes on: killed
            at any moment, the same call continues, and ends with the same bits.
        engine: where the work is done (default: every core of this machine).
        restart: begin anew, whatever state there is.
        every: seconds between two writings of the state.
        progress: called as the rows are read.
        **reading: ``delimiter``, ``decimal``, ``encoding``, ``header`` of CSV files.

    Raises:
        DataError: the rows cannot be used; an input has changed since the state was written; columns differ.
        SettingError: a setting is outside what it may be.
    """
    column_options = {"target": target, "features": features, "weights": weights, "missing": missing}
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
    """:func:`compress`, with what is to be said of it; ``column_options`` has target, features, weights, missing."""
    every = check_float("every", options.every, min_value=0.0)
    check_choice("missing", column_options["missing"], ("error", "drop"))
    if output is not None:
        _check_output_writable(output)
    files = _as_paths(data)
    factor_paths = [*merge, *(path for path in files or () if is_factor_file(path))]
    row_inputs: Any = data if files is None else [path for path in files if not is_factor_file(path)]
    if files is not None and not row_inputs:
        return _merge_factors_only(factor_paths, column_options, output)
    locations = resolve_locations(row_inputs) if files is not None else []
    if output is not None and locations:
        _check_output_not_input(output, row_inputs, locations)
    fingerprints = _fingerprint_files(locations)
    job = Job(_make_job_settings(column_options, csv_options, factor_paths, output), fingerprints)
    checkpoint = None
    if output is not None:
        if locations and file.is_factor_file(output) and not options.restart:
            existing, provenance = file.load_with_provenance(output)
            if provenance.job_id == job.job_id:
                Checkpoint(checkpoint_path(output), job).clear()
                return CompressResult(existing, (), was_cached=True)
        checkpoint = Checkpoint(checkpoint_path(output), job, every) if locations else None
        if checkpoint and options.restart:
            checkpoint.clear()
    other_factors, input_ids = _load_factors_to_merge(factor_paths, locations)
    selection = _make_selection(row_inputs, column_options, csv_options)
    columns = (*selection.features, selection.target)
    merged_before = file.merge_factors(
        [*other_factors, Factor.empty(columns)]
    )  # refuses other columns now, and not after hours
    factor = build_factor(selection, options.executor, checkpoint, options.progress)
    if changed := [
        fingerprint[0]
        for fingerprint, current in zip(fingerprints, _fingerprint_files(locations), strict=True)
        if fingerprint != current
    ]:
        if checkpoint:
            checkpoint.clear()
        raise DataError("changed_meanwhile", names=changed[:5])
    factor = _with_target_last(column_options["target"], file.merge_factors([merged_before, factor]))
    if output is not None:
        _save_factor(factor, output, Provenance(input_ids, job.job_id))
        if checkpoint:
            checkpoint.clear()
    return CompressResult(factor, tuple(selection.notices))


def _as_paths(data: object) -> list[str] | None:
    """The paths that data consists of; None where it is something else."""
    if isinstance(data, str | os.PathLike):
        return [os.fspath(data)]
    if isinstance(data, list | tuple) and data and all(isinstance(each, str | os.PathLike) for each in data):
        return [os.fspath(each) for each in data]
    return None


def _merge_factors_only(
    factor_paths: Sequence[str | os.PathLike[str]],
    column_options: dict[str, Any],
    output: str | os.PathLike[str] | None,
) -> CompressResult:
    """Factors alone, merged."""
    unusable_options = [name for name in ("weights", "features") if column_options[name] is not None]
    if unusable_options:
        raise SettingError("factors_hold", names=unusable_options)
    other_factors, input_ids = _load_factors_to_merge(factor_paths, [])
    factor = file.merge_factors(other_factors)
    target = column_options["target"]
    if target is not None:
        factor = _with_target_last(check_column(target, factor.columns, {}), factor)
    if output is not None:
        _save_factor(factor, output, Provenance(input_ids))
    return CompressResult(factor, ())


def _with_target_last(target: str | None, factor: Factor) -> Factor:
    """The factor with this column last; as it is, where none is named."""
    if target is None:
        return factor
    return factor.select([*(name for name in factor.columns if name != target), target])


def _make_selection(row_inputs: Any, column_options: dict[str, Any], csv_options: dict[str, Any]) -> ColumnSelection:
    target, weights = column_options["target"], column_options["weights"]
    if target is None:
        names = [name for name in open_source(row_inputs, csv_options=csv_options).names if name != weights]
        target = names[-1] if names else None
    return ColumnSelection(
        row_inputs, None, target, column_options["features"], weights, column_options["missing"], csv_options
    )


def _make_job_settings(
    column_options: dict[str, Any],
    csv_options: dict[str, Any],
    factor_paths: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """All that decides the bits, but for the rows. A factor that is written over is known by its name alone."""
    merged_ids = [
        os.fspath(path) if _is_same_file(path, output) else sha256(Path(path).read_bytes()).hexdigest()
        for path in factor_paths
        if Path(path).exists()
    ]
    features = None if column_options["features"] is None else list(column_options["features"])
    return {
        **column_options,
        "features": features,
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
    """The factors to merge, and the marks of everything in the result.

    Raises:
        DataError: an input is in one of the factors, or in two of them.
    """
    input_names = {_compute_file_id(place): str(place) for place in locations}
    input_ids, loaded = frozenset(input_names), []
    for path, (factor, provenance) in zip(factor_paths, file.load_disjoint_factors(factor_paths), strict=True):
        if duplicates := sorted(input_names[input_id] for input_id in provenance.input_ids if input_id in input_names):
            raise DataError("already_merged", path=os.fspath(path), names=duplicates[:5])
        input_ids |= provenance.input_ids
        loaded.append(factor)
    return loaded, input_ids


def _compute_file_id(location: FileLocation) -> str:
    """A file by its name, size and time: wherever it lies, it is the same one."""
    return sha256(f"{location.name} {location.fingerprint()}".encode(errors="surrogateescape")).hexdigest()[:16]


def checkpoint_path(output: str | os.PathLike[str]) -> Path:
    """Where the state of a compression lies while it goes on."""
    path = Path(output)
    return path.with_name(f"{path.name}.part")


def _check_output_writable(output: str | os.PathLike[str]) -> None:
    """Raise SettingError where the output cannot be written: before the work, and not after it."""
    try:
        archive.check_writable(output)
    except (OSError, ValueError) as cause:
        raise SettingError("unwritable", path=os.fspath(output), cause=getattr(cause, "strerror", cause)) from cause


def _check_output_not_input(
    output: str | os.PathLike[str], row_inputs: Sequence[str], locations: Sequence[FileLocation]
) -> None:
    """Refuse to write over an input, or into a folder that is read, where the same command would find the output."""
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
        file.save_factor(factor, output, provenance)
    except OSError as cause:
        raise SettingError("unwritable", path=os.fspath(output), cause=cause.strerror or str(cause)) from cause
