"""A progress bar for runs that take more than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

import click

BAR_DELAY = 1.0  # seconds before a bar is worth its noise


class EpochProgressBar:
    """A callback for :func:`descentlab.descend` that draws a bar once the run has lasted a second."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.bar: Any = None
        self.epochs_done = 0

    def __enter__(self) -> EpochProgressBar:
        return self

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            if time.monotonic() - self.started < BAR_DELAY or not sys.stderr.isatty():
                return
            self.bar = click.progressbar(length=total, file=sys.stderr, show_pos=True, label="epoch")
            self.bar.__enter__()
        self.bar.update(done - self.epochs_done)
        self.epochs_done = done

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.__exit__(kind, error, trace)
