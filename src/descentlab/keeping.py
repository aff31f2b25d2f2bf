"""Factors kept on disk: files of any size in a few kilobytes that stand for them, merged, continued after a kill."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from descentlab import factor_file
from descentlab.checkpoint import SECONDS, Checkpoint, Job
from descentlab.compression import Engine, Progress, factor_of
from descentlab.data import open_source
from descentlab.data.places import Place, find
from descentlab.data.selection import Selection
from descentlab.errors import DataError, SettingError, finite_number
from descentlab.factor import Factor
from descentlab.factor_file import Made, is_factor
from descentlab.text import Sentence

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
    files = _listed(data)
    factors = [*merge, *(path for path in files or () if is_factor(path))]
    rows: Any = data if files is None else [path for path in files if not is_factor(path)]
    if files is not None and not rows:
        return _merged_only(factors, chosen, output)
    places = find(rows) if files is not None else []
    marks = _marks(places)
    job = Job(_plan(chosen, reading, factors, output), marks)
    checkpoint = None
    if output is not None:
        if places and factor_file.is_factor(output) and not how.restart:
            before, made = factor_file.opened(output)
            if made.job == job.name:
                Checkpoint(_part(output), job).clear()
                return Kept(before, (), already=True)
        checkpoint = Checkpoint(_part(output), job, every) if places else None
        if checkpoint and how.restart:
            checkpoint.clear()
    others, inputs = _others(factors, places)
    selection = _selection(rows, chosen, reading)
    factor = factor_of(selection, how.engine, checkpoint, how.progress)
    if changed := [before[0] for before, now in zip(marks, _marks(places), strict=True) if before != now]:
        if checkpoint:
            checkpoint.clear()
        raise DataError("changed_meanwhile", names=changed[:5])
    factor = factor_file.merged([*others, factor])
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
    factor = factor_file.merged(others)
    target = chosen["target"]
    if target is not None and target in factor.columns and target != factor.columns[-1]:
        factor = factor.select([*(name for name in factor.columns if name != target), target])
    if output is not None:
        _save(factor, output, Made(inputs))
    return Kept(factor, ())


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
    inputs, others = set(marked), []
    for path in factors:
        factor, made = factor_file.opened(path)
        if twice := sorted(inputs & made.inputs):
            names = [marked[mark] for mark in twice if mark in marked]
            if names:
                raise DataError("already_merged", path=os.fspath(path), names=names[:5])
            raise DataError("factors_overlap", path=os.fspath(path))
        inputs |= made.inputs
        others.append(factor)
    return others, frozenset(inputs)


def _digest(place: Place) -> str:
    """A file by its name, size and time: wherever it lies, it is the same one."""
    return sha256(f"{place.name} {place.mark()}".encode()).hexdigest()[:16]


def _part(output: str | os.PathLike[str]) -> Path:
    path = Path(output)
    return path.with_name(f"{path.name}.part")


def _save(factor: Factor, output: str | os.PathLike[str], made: Made) -> None:
    try:
        factor_file.save(factor, output, made)
    except OSError as cause:
        raise SettingError("unwritable", path=os.fspath(output), cause=cause.strerror or str(cause)) from cause
