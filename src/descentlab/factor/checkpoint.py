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

from descentlab.data.selection import Seen
from descentlab.errors import DataError
from descentlab.factor import archive
from descentlab.factor.factor import Factor
from descentlab.factor.file import arrays_of, factor_of
from descentlab.typing import Array

KIND = archive.Kind("checkpoint", 1, damaged="checkpoint_damaged", newer="checkpoint_newer")
SECONDS = 5.0  # between two writings
COUNTS = ("missing", "infinite", "large")


@dataclass
class State:
    """How far a compression has come.

    Attributes:
        origin: what its rows are taken relative to.
        waiting: the tree's merged factors, each with its level.
        seen: what was found in the rows so far.
        after: where the next piece begins; None: at the beginning.
        done: the size of the pieces so far.
    """

    origin: Array
    waiting: list[tuple[int, Factor]]
    seen: Seen
    after: Any = None
    done: int = 0


@dataclass(frozen=True)
class Job:
    """What is compressed, and how: the same job continues, another is refused.

    Attributes:
        plan: what is taken of which columns, and how the files are read, in JSON's types.
        marks: each input with its size and the time of its last change.
    """

    plan: Any
    marks: list[list[Any]]

    @property
    def text(self) -> str:
        return json.dumps({"plan": self.plan, "marks": self.marks}, sort_keys=True)

    @property
    def name(self) -> str:
        """A short name for exactly this job."""
        return sha256(self.text.encode()).hexdigest()[:32]


class Checkpoint:
    """A file that holds the state of one job."""

    def __init__(self, path: str | Path, job: Job, every: float = SECONDS) -> None:
        self.path, self.job, self.every = Path(path), job, every
        self.kept = time.monotonic()

    def load(self) -> State | None:
        """The state of this job, where it was begun.

        Raises:
            DataError: the file is damaged, or holds the state of another job: the message says which file changed.
        """
        if not self.path.exists():
            return None
        _, fields = archive.read(self.path, KIND)
        try:
            before, state = json.loads(str(fields["job"])), _state_of(fields)
        except (KeyError, TypeError, ValueError) as cause:
            raise DataError("checkpoint_damaged", path=str(self.path)) from cause
        now = json.loads(self.job.text)
        if before["marks"] != now["marks"]:
            both = [tuple(mark) for marks in (before["marks"], now["marks"]) for mark in marks]
            changed = sorted({mark[0] for mark in both if both.count(mark) == 1})
            raise DataError("checkpoint_inputs", path=str(self.path), names=changed[:5])
        if before["plan"] != now["plan"]:
            raise DataError("checkpoint_other", path=str(self.path))
        return state

    def due(self) -> bool:
        """Whether the last writing lies long enough back."""
        return time.monotonic() - self.kept >= self.every

    def keep(self, state: State) -> None:
        """Write the state.

        Raises:
            DataError: it cannot be written; the one before is still there.
        """
        seen = state.seen
        about = {
            "waiting": [[level, factor.rows, factor.weight] for level, factor in state.waiting],
            "after": state.after,
            "done": state.done,
            "rows": seen.rows,
            "incomplete": seen.incomplete,
            "negative": seen.negative,
            "rounded": sorted(seen.rounded),
        }
        fields: dict[str, Any] = {
            "job": np.array(self.job.text),
            "state": np.array(json.dumps(about)),
            "origin": state.origin,
            **{name: getattr(seen, name) for name in COUNTS},
        }
        columns: tuple[str, ...] = ()
        for i, (_, factor) in enumerate(state.waiting):
            columns = factor.columns
            arrays = arrays_of(factor)
            fields |= {f"{name}{i}": arrays[name] for name in ("centred", "origin", "rounding")}
        fields["columns"] = np.array(columns, dtype=np.str_)
        try:
            archive.write(self.path, archive.packed(KIND, fields))
        except OSError as cause:
            why = cause.strerror or str(cause)
            raise DataError("checkpoint_unwritable", path=str(self.path), cause=why) from cause
        self.kept = time.monotonic()

    def clear(self) -> None:
        """The job is done."""
        with suppress(FileNotFoundError):
            self.path.unlink()


def _state_of(fields: dict[str, Any]) -> State:
    """The state of what :meth:`Checkpoint.keep` wrote."""
    state = json.loads(str(fields["state"]))
    columns = [str(name) for name in fields["columns"]]
    waiting = []
    for i, (level, rows, weight) in enumerate(state["waiting"]):
        arrays = {name: fields[f"{name}{i}"] for name in ("centred", "origin", "rounding")}
        waiting.append((level, factor_of({"columns": columns, "rows": rows, "weight": weight, **arrays})))
    missing, infinite, large = counts = [np.asarray(fields[name], dtype=np.int64) for name in COUNTS]
    origin, k = np.asarray(fields["origin"], dtype=np.float64), len(columns)
    if origin.shape != (k,) or {count.shape for count in counts} not in ({(k,)}, {(k + 1,)}):  # with weights
        raise ValueError("shapes")
    rounded = set(state["rounded"])
    seen = Seen(state["rows"], state["incomplete"], missing, infinite, large, state["negative"], rounded)
    return State(origin, waiting, seen, state["after"], state["done"])
