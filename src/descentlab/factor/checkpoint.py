"""Save the state of a long compression, so that a killed process loses a few seconds of work and not hours."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.data.design.design import Design
from descentlab.data.selection import ScanCounts
from descentlab.errors import DataError
from descentlab.factor import archive
from descentlab.factor.cells import CellRows
from descentlab.factor.factor import Factor
from descentlab.factor.merge_tree import MergeTree
from descentlab.factor.piece_result import PieceResult
from descentlab.storage import remove_leftovers, write_atomically
from descentlab.typing import FloatArray

CHECKPOINT_FORMAT = archive.ArchiveFormat(
    "checkpoint", 1, damaged_key="checkpoint_damaged", newer_key="checkpoint_newer"
)
SAVE_INTERVAL = 5.0  # seconds
COUNT_FIELDS = ("missing", "infinite", "large")
FACTOR_FIELDS = ("centred", "origin", "rounding", "design")
CELL_FIELDS = ("codes", "values", "origin", "error", "design")


@dataclass(frozen=True)
class CompressionState:
    """How far a compression has come. Its size does not depend on the number of rows.

    Attributes:
        origin: the origin of all factors; None if there is a single piece, which chooses its own.
        tree: the factors of the pieces so far.
        scan_counts: the unusable values found so far.
        next_offset: where the next piece begins; None at the beginning.
        size_done: the total size of the pieces so far.
    """

    origin: FloatArray | None
    tree: MergeTree[Any]  # of factors and of CellRows
    scan_counts: ScanCounts
    next_offset: Any = None
    size_done: int = 0

    def add(self, result: PieceResult) -> CompressionState:
        """Return the state after these pieces. This state stays valid if an interrupt arrives in between."""
        tree, scan_counts = self.tree.copy(), replace(self.scan_counts)
        tree.add(result.factor, result.level)
        scan_counts += result.scan_counts
        return CompressionState(self.origin, tree, scan_counts, result.next_offset, self.size_done + result.size)


@dataclass(frozen=True)
class Job:
    """What is compressed, and how. A saved state is continued only by an equal job.

    Attributes:
        settings: the columns, and how files are read, as JSON values.
        fingerprints: each input with its size and modification time.
    """

    settings: Any
    fingerprints: list[list[Any]]

    @property
    def json_text(self) -> str:
        return json.dumps({"plan": self.settings, "marks": self.fingerprints}, sort_keys=True)

    @property
    def job_id(self) -> str:
        """A hash of settings and fingerprints."""
        return sha256(self.json_text.encode()).hexdigest()[:32]


class Checkpoint:
    """A file with the state of one job, written at most once in ``every`` seconds."""

    def __init__(self, path: str | Path, job: Job, every: float = SAVE_INTERVAL) -> None:
        self.path, self.job, self.every = Path(path), job, every
        self.last_saved = time.monotonic()

    def load(self) -> CompressionState | None:
        """Read the saved state; None if there is none.

        Raises:
            DataError: the file is damaged or belongs to another job; the message names the inputs that changed.
        """
        if not self.path.exists():
            return None
        fields = archive.read_archive(self.path, CHECKPOINT_FORMAT)
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
        """Whether ``every`` seconds have passed since the state was saved."""
        return time.monotonic() - self.last_saved >= self.every

    def save(self, state: CompressionState) -> None:
        """Write the state, in one step.

        Raises:
            DataError: the file cannot be written; the previous one is unchanged.
        """
        counts, pending = state.scan_counts, state.tree.pending
        metadata = {
            "waiting": [[level, factor.rows, factor.weight] for level, factor in pending],
            "after": state.next_offset,
            "done": state.size_done,
            "rows": counts.rows,
            "incomplete": counts.rows_with_missing,
            "negative": counts.negative,
            "rounded": sorted(counts.inexact_columns),
        }
        fields: dict[str, Any] = {
            "job": np.array(self.job.json_text),
            "state": np.array(json.dumps(metadata)),
            "origin": state.origin,
            **dict(zip(COUNT_FIELDS, (counts.missing, counts.infinite, counts.too_large), strict=True)),
        }
        for i, (_, factor) in enumerate(pending):
            arrays = factor.to_arrays()
            names = CELL_FIELDS if isinstance(factor, CellRows) else FACTOR_FIELDS
            fields |= {f"{name}{i}": arrays[name] for name in names if name in arrays}
        fields["columns"] = np.array(state.tree.empty.columns, dtype=np.str_)
        if state.tree.empty.design is not None:
            fields["design"] = np.array(json.dumps(state.tree.empty.design.to_dict()))
        try:
            write_atomically(self.path, archive.pack_arrays(CHECKPOINT_FORMAT, fields))
        except OSError as cause:
            reason = cause.strerror or str(cause)
            raise DataError("checkpoint_unwritable", path=str(self.path), cause=reason) from cause
        self.last_saved = time.monotonic()

    def clear(self) -> None:
        """Delete the file, and what is left of runs that were killed while writing it."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        remove_leftovers(self.path)


def _decode_state(fields: dict[str, Any]) -> CompressionState:
    """Decode the arrays that :meth:`Checkpoint.save` wrote."""
    state = json.loads(str(fields["state"]))
    columns = [str(name) for name in fields["columns"]]
    pending = [
        (level, _decode_item(fields, i, {"columns": columns, "rows": rows, "weight": weight}))
        for i, (level, rows, weight) in enumerate(state["waiting"])
    ]
    origin = np.asarray(fields["origin"], dtype=np.float64)
    k = len(columns) if "design" not in fields else len(origin)
    missing, infinite, large = counts = [np.asarray(fields[name], dtype=np.int64) for name in COUNT_FIELDS]
    if origin.shape != (k,) or {count.shape for count in counts} not in ({(k,)}, {(k + 1,)}):  # k + 1 with weights
        raise ValueError("shapes")
    inexact_columns = set(state["rounded"])
    rows, incomplete, negative = state["rows"], state["incomplete"], state["negative"]
    scan_counts = ScanCounts(rows, incomplete, missing, infinite, large, negative, inexact_columns)
    design = Design.from_dict(json.loads(str(fields["design"]))) if "design" in fields else None
    tree = MergeTree[Any](Factor.empty(columns) if design is None else Factor.empty_design(design), pending)
    return CompressionState(origin, tree, scan_counts, state["after"], state["done"])


def _decode_item(fields: dict[str, Any], i: int, item: dict[str, Any]) -> Factor | CellRows:
    """Item ``i`` of the tree, of which ``item`` has the columns and counts."""
    names = dict.fromkeys((*FACTOR_FIELDS, *CELL_FIELDS))
    arrays = item | {name: fields[f"{name}{i}"] for name in names if f"{name}{i}" in fields}
    if "codes" in arrays:
        return CellRows.from_arrays(arrays)
    if "design" in arrays:
        design = Design.from_dict(json.loads(str(arrays["design"])))
        arrays["columns"] = (*design.indicator_columns, design.target_name)
    return Factor.from_arrays(arrays)
