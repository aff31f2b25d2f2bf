"""The state of a long compression on disk, so that a kill costs no more than the last few seconds."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.data.selection import ScanCounts
from descentlab.errors import DataError
from descentlab.factor import archive
from descentlab.factor.factor import Factor
from descentlab.factor.file import factor_from_arrays, factor_to_arrays
from descentlab.typing import FloatArray

CHECKPOINT_FORMAT = archive.ArchiveFormat(
    "checkpoint", 1, damaged_key="checkpoint_damaged", newer_key="checkpoint_newer"
)
SAVE_INTERVAL = 5.0  # between two writings
COUNT_FIELDS = ("missing", "infinite", "large")


@dataclass
class CompressionState:
    """How far a compression has come.

    Attributes:
        origin: what its rows are taken relative to.
        pending: the tree's merged factors, each with its level.
        scan_counts: what was found in the rows so far.
        next_offset: where the next piece begins; None: at the beginning.
        size_done: the size of the pieces so far.
    """

    origin: FloatArray
    pending: list[tuple[int, Factor]]
    scan_counts: ScanCounts
    next_offset: Any = None
    size_done: int = 0


@dataclass(frozen=True)
class Job:
    """What is compressed, and how: the same job continues, another is refused.

    Attributes:
        settings: what is taken of which columns, and how the files are read, in JSON's types.
        fingerprints: each input with its size and the time of its last change.
    """

    settings: Any
    fingerprints: list[list[Any]]

    @property
    def json_text(self) -> str:
        return json.dumps({"plan": self.settings, "marks": self.fingerprints}, sort_keys=True)

    @property
    def job_id(self) -> str:
        """A short name for exactly this job."""
        return sha256(self.json_text.encode()).hexdigest()[:32]


class Checkpoint:
    """A file that holds the state of one job."""

    def __init__(self, path: str | Path, job: Job, every: float = SAVE_INTERVAL) -> None:
        self.path, self.job, self.every = Path(path), job, every
        self.last_saved = time.monotonic()

    def load(self) -> CompressionState | None:
        """The state of this job, where it was begun.

        Raises:
            DataError: the file is damaged, or holds the state of another job: the message says which file changed.
        """
        if not self.path.exists():
            return None
        _, fields = archive.read_archive(self.path, CHECKPOINT_FORMAT)
        try:
            stored, state = json.loads(str(fields["job"])), _decode_state(fields)
        except (KeyError, TypeError, ValueError) as cause:
            raise DataError("checkpoint_damaged", path=str(self.path)) from cause
        current = json.loads(self.job.json_text)
        if stored["marks"] != current["marks"]:
            all_fingerprints = [tuple(mark) for marks in (stored["marks"], current["marks"]) for mark in marks]
            changed = sorted({mark[0] for mark in all_fingerprints if all_fingerprints.count(mark) == 1})
            raise DataError("checkpoint_inputs", path=str(self.path), names=changed[:5])
        if stored["plan"] != current["plan"]:
            raise DataError("checkpoint_other", path=str(self.path))
        return state

    def is_due(self) -> bool:
        """Whether the last writing lies long enough back."""
        return time.monotonic() - self.last_saved >= self.every

    def save(self, state: CompressionState) -> None:
        """Write the state.

        Raises:
            DataError: it cannot be written; the one before is still there.
        """
        scan_counts = state.scan_counts
        metadata = {
            "waiting": [[level, factor.rows, factor.weight] for level, factor in state.pending],
            "after": state.next_offset,
            "done": state.size_done,
            "rows": scan_counts.rows,
            "incomplete": scan_counts.rows_with_missing,
            "negative": scan_counts.negative,
            "rounded": sorted(scan_counts.inexact_columns),
        }
        fields: dict[str, Any] = {
            "job": np.array(self.job.json_text),
            "state": np.array(json.dumps(metadata)),
            "origin": state.origin,
            "missing": scan_counts.missing,
            "infinite": scan_counts.infinite,
            "large": scan_counts.too_large,
        }
        columns: tuple[str, ...] = ()
        for i, (_, factor) in enumerate(state.pending):
            columns = factor.columns
            arrays = factor_to_arrays(factor)
            fields |= {f"{name}{i}": arrays[name] for name in ("centred", "origin", "rounding")}
        fields["columns"] = np.array(columns, dtype=np.str_)
        try:
            archive.write_atomically(self.path, archive.pack_arrays(CHECKPOINT_FORMAT, fields))
        except OSError as cause:
            reason = cause.strerror or str(cause)
            raise DataError("checkpoint_unwritable", path=str(self.path), cause=reason) from cause
        self.last_saved = time.monotonic()

    def clear(self) -> None:
        """The job is done."""
        with suppress(FileNotFoundError):
            self.path.unlink()


def _decode_state(fields: dict[str, Any]) -> CompressionState:
    """The state of what :meth:`Checkpoint.save` wrote."""
    state = json.loads(str(fields["state"]))
    columns = [str(name) for name in fields["columns"]]
    pending = []
    for i, (level, rows, weight) in enumerate(state["waiting"]):
        arrays = {name: fields[f"{name}{i}"] for name in ("centred", "origin", "rounding")}
        pending.append((level, factor_from_arrays({"columns": columns, "rows": rows, "weight": weight, **arrays})))
    missing, infinite, large = counts = [np.asarray(fields[name], dtype=np.int64) for name in COUNT_FIELDS]
    origin, k = np.asarray(fields["origin"], dtype=np.float64), len(columns)
    if origin.shape != (k,) or {count.shape for count in counts} not in ({(k,)}, {(k + 1,)}):  # with weights
        raise ValueError("shapes")
    inexact_columns = set(state["rounded"])
    scan_counts = ScanCounts(
        state["rows"], state["incomplete"], missing, infinite, large, state["negative"], inexact_columns
    )
    return CompressionState(origin, pending, scan_counts, state["after"], state["done"])
