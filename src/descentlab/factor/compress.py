"""Factors kept on disk: files of any size in a few kilobytes that stand for them, merged, continued after a kill."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from descentlab.data import open_source
from descentlab.data.paths import Place, find
from descentlab.data.selection import Selection, known
from descentlab.errors import DataError, SettingError, finite_number, one_of
from descentlab.factor import archive, file
from descentlab.factor.build import Engine, Progress, factor_of
from descentlab.factor.checkpoint import SECONDS, Checkpoint, Job
from descentlab.factor.factor import Factor
from descentlab.factor.file import Made, is_factor
from descentlab.messages import Sentence

VERSION = 1  # of how files are cut and merged: another gives other bits


@dataclass(frozen=True)
class Settings:
    """How a compression goes about it: nothing in here changes what comes out. See :func:`compress`."""

    engine: Engine | None = None
    restart: bool = False
    every: float = SECONDS
    progress: Progress | None = None


@dataclass(frozen=True)
class Kept:
    """What :func:`compressed` made.

    Attributes:
        factor: the rows.
        notices: what was skipped, dropped or assumed.
        already: whether it had been made before, by the same job, and nothing was read.
    """

    factor: Factor
    notices: tuple[Sentence, ...]
    already: bool = False


def compress(
    data: object,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    missing: str = "error",
    merge: Sequence[str | os.PathLike[str]] = (),
    output: str | os.PathLike[str] | None = None,
    engine: Engine | None = None,
    restart: bool = False,
    every: float = SECONDS,
    progress: Progress | None = None,
    **reading: Any,
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
    chosen = {"target": target, "features": features, "weights": weights, "missing": missing}
    settings = Settings(engine, restart, every, progress)
    return compressed(data, chosen, merge, output, reading, settings).factor


def compressed(
    data: object,
    chosen: dict[str, Any],
    merge: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
    reading: dict[str, Any],
    how: Settings,
) -> Kept:
    """:func:`compress`, with what is to be said of it; ``chosen`` has target, features, weights, missing."""
    every = finite_number("every", how.every, least=0.0)
    one_of("missing", chosen["missing"], ("error", "drop"))
    if output is not None:
        _check(output)
    files = _listed(data)
    factors = [*merge, *(path for path in files or () if is_factor(path))]
    rows: Any = data if files is None else [path for path in files if not is_factor(path)]
    if files is not None and not rows:
        return _merged_only(factors, chosen, output)
    places = find(rows) if files is not None else []
    if output is not None and places:
        _spare(output, rows, places)
    marks = _marks(places)
    job = Job(_plan(chosen, reading, factors, output), marks)
    checkpoint = None
    if output is not None:
        if places and file.is_factor(output) and not how.restart:
            there, made = file.opened(output)
            if made.job == job.name:
                Checkpoint(state_of(output), job).clear()
                return Kept(there, (), already=True)
        checkpoint = Checkpoint(state_of(output), job, every) if places else None
        if checkpoint and how.restart:
            checkpoint.clear()
    others, inputs = _others(factors, places)
    selection = _selection(rows, chosen, reading)
    columns = (*selection.features, selection.target)
    before = file.merged([*others, Factor.empty(columns)])  # refuses other columns now, and not after hours
    factor = factor_of(selection, how.engine, checkpoint, how.progress)
    if changed := [mark[0] for mark, now in zip(marks, _marks(places), strict=True) if mark != now]:
        if checkpoint:
            checkpoint.clear()
        raise DataError("changed_meanwhile", names=changed[:5])
    factor = _ending_in(chosen["target"], file.merged([before, factor]))
    if output is not None:
        _save(factor, output, Made(inputs, job.name))
        if checkpoint:
            checkpoint.clear()
    return Kept(factor, tuple(selection.notices))


def _listed(data: object) -> list[str] | None:
    """The paths that data consists of; None where it is something else."""
    if isinstance(data, str | os.PathLike):
        return [os.fspath(data)]
    if isinstance(data, list | tuple) and data and all(isinstance(each, str | os.PathLike) for each in data):
        return [os.fspath(each) for each in data]
    return None


def _merged_only(
    factors: Sequence[str | os.PathLike[str]], chosen: dict[str, Any], output: str | os.PathLike[str] | None
) -> Kept:
    """Factors alone, merged."""
    named = [name for name in ("weights", "features") if chosen[name] is not None]
    if named:
        raise SettingError("factors_hold", names=named)
    others, inputs = _others(factors, [])
    factor = file.merged(others)
    target = chosen["target"]
    if target is not None:
        factor = _ending_in(known(target, factor.columns, {}), factor)
    if output is not None:
        _save(factor, output, Made(inputs))
    return Kept(factor, ())


def _ending_in(target: str | None, factor: Factor) -> Factor:
    """The factor with this column last; as it is, where none is named."""
    if target is None:
        return factor
    return factor.select([*(name for name in factor.columns if name != target), target])


def _selection(rows: Any, chosen: dict[str, Any], reading: dict[str, Any]) -> Selection:
    target, weights = chosen["target"], chosen["weights"]
    if target is None:
        names = [name for name in open_source(rows, reading=reading).names if name != weights]
        target = names[-1] if names else None
    return Selection(rows, None, target, chosen["features"], weights, chosen["missing"], reading)


def _plan(
    chosen: dict[str, Any],
    reading: dict[str, Any],
    factors: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """All that decides the bits, but for the rows. A factor that is written over is known by its name alone."""
    merged = [
        os.fspath(path) if _same(path, output) else sha256(Path(path).read_bytes()).hexdigest()
        for path in factors
        if Path(path).exists()
    ]
    wanted = None if chosen["features"] is None else list(chosen["features"])
    return {**chosen, "features": wanted, "reading": reading, "merged": merged, "version": VERSION}


def _same(path: str | os.PathLike[str], output: str | os.PathLike[str] | None) -> bool:
    return output is not None and Path(output).exists() and Path(path).samefile(output)


def _marks(places: Sequence[Place]) -> list[list[Any]]:
    return [[str(place), *place.mark()] for place in places]


def _others(factors: Sequence[str | os.PathLike[str]], places: Sequence[Place]) -> tuple[list[Factor], frozenset[str]]:
    """The factors to merge, and the marks of everything in the result.

    Raises:
        DataError: an input is in one of the factors, or in two of them.
    """
    marked = {_digest(place): str(place) for place in places}
    inputs, others = frozenset(marked), []
    for path, (factor, made) in zip(factors, file.apart(factors), strict=True):
        if twice := sorted(marked[mark] for mark in made.inputs if mark in marked):
            raise DataError("already_merged", path=os.fspath(path), names=twice[:5])
        inputs |= made.inputs
        others.append(factor)
    return others, inputs


def _digest(place: Place) -> str:
    """A file by its name, size and time: wherever it lies, it is the same one."""
    return sha256(f"{place.name} {place.mark()}".encode(errors="surrogateescape")).hexdigest()[:16]


def state_of(output: str | os.PathLike[str]) -> Path:
    """Where the state of a compression lies while it goes on."""
    path = Path(output)
    return path.with_name(f"{path.name}.part")


def _check(output: str | os.PathLike[str]) -> None:
    """Raise SettingError where the output cannot be written: before the work, and not after it."""
    try:
        archive.check(output)
    except (OSError, ValueError) as cause:
        raise SettingError("unwritable", path=os.fspath(output), cause=getattr(cause, "strerror", cause)) from cause


def _spare(output: str | os.PathLike[str], rows: Sequence[str], places: Sequence[Place]) -> None:
    """Refuse to write over an input, or into a folder that is read, where the same command would find the output."""
    for path in (Path(output), state_of(output)):
        if path.exists() and any(place.root is None and path.samefile(place.path) for place in places):
            raise SettingError("output_is_input", path=str(path))
    to = Path(output).resolve()
    for folder in map(Path, rows):
        if folder.expanduser().is_dir() and to.is_relative_to(folder.expanduser().resolve()):
            raise SettingError("output_in_folder", path=os.fspath(output), folder=str(folder))


def _save(factor: Factor, output: str | os.PathLike[str], made: Made) -> None:
    try:
        file.save(factor, output, made)
    except OSError as cause:
        raise SettingError("unwritable", path=os.fspath(output), cause=cause.strerror or str(cause)) from cause
