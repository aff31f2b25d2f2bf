"""Habits of a loop: whether it clears gradients, in which mode its model trains, whether its batch is one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FEW = 16  # numbers of a gradient that are compared
CLOSELY = 64  # batches that are compared by value, and after them every sixteenth


@dataclass
class Clearing:
    """Whether what a step used is still in a gradient when the next backward pass adds to it.

    A gradient that is cleared at any backward pass between two steps is quiet, so that gradients summed over several
    passes on purpose are too.

    Attributes:
        checked, uncleared: steps that were looked at, and those whose gradient still held that of the step before.
        emptied: steps for which a gradient had arrived, and was gone.
        fresh: whether a gradient that is not zero has arrived since the last step.
    """

    checked: int = 0
    uncleared: int = 0
    emptied: int = 0
    fresh: bool = False
    _marker: Any = None
    _kept: Any = None
    _cleared: bool = False
    _same: bool = False

    def look(self) -> None:
        """Just before a backward pass."""
        if self._kept is None:
            return
        gradient = self._marker.grad
        if gradient is None:
            self._cleared = True
            return
        now = gradient.detach().reshape(-1)[:FEW]
        if now.equal(self._kept):
            self._same = True
        elif not now.any():
            self._cleared = True

    def stepped(self, dense: list[Any]) -> None:
        """Just after a step that is looked at; ``dense`` are the parameters that have a gradient."""
        if self._kept is not None and (self._cleared or self._same):
            self.checked += 1
            self.uncleared += self._same and not self._cleared
        self._cleared = self._same = False
        self._kept = None
        if dense:
            self._marker = dense[-1]
            kept = self._marker.grad.detach().reshape(-1)[:FEW].clone()
            self._kept = kept if kept.any() else None
        if self.fresh and not any(bool(p.grad.any()) for p in dense):
            self.emptied += 1
        self.fresh = False


@dataclass
class Modes:
    """In which mode the model was at each backward pass.

    Attributes:
        training, evaluating: backward passes in either mode; ``last`` how many of the latter came last, in a row.
    """

    training: int = 0
    evaluating: int = 0
    last: int = 0

    def look(self, training: bool) -> None:
        """At a backward pass."""
        if training:
            self.training, self.last = self.training + 1, 0
        else:
            self.evaluating, self.last = self.evaluating + 1, self.last + 1


@dataclass
class Sameness:
    """Whether every backward pass was on the batch that the first one was on.

    Attributes:
        always: so far.
        rows: of the first batch.
    """

    always: bool = True
    rows: int = 0
    _first: Any = None
    _version: int = 0
    _copy: Any = field(default=None)

    def look(self, batch: Any, passes: int) -> None:
        """At a backward pass; the first batch itself is kept, so that no other tensor can take its place in memory."""
        if not self.always or batch is None:
            return
        if self._first is None:
            self._first, self._version = batch, batch._version
            self._copy = batch.detach().clone()
            self.rows = len(batch) if batch.ndim else 1
        elif batch is not self._first or batch._version != self._version:
            alike = batch.shape == self._copy.shape and batch.dtype == self._copy.dtype
            if not alike or ((passes < CLOSELY or passes % 16 == 0) and not batch.equal(self._copy)):
                self.always = False
                self._first = self._copy = None
