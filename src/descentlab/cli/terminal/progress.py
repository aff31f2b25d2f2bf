"""Progress of what takes more than a second: a bar over epochs, lines while files are read and problems computed.

It is shown on a terminal only.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from descentlab.messages import format_number, message, pluralize
from descentlab.messages.terminal import STATUS_INTERVAL, StatusLine

DISPLAY_DELAY = 1.0  # seconds that pass before anything is shown
PROBE_COLUMNS = 200  # of the decomposition that is timed, some 10 ms
MIN_COLUMNS_SLOW = 300  # with fewer nothing takes more than a second


class EpochProgressBar:
    """A callback for :func:`descentlab.descend` that draws a bar."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.bar: Any = None
        self.epochs_done = 0

    def __enter__(self) -> EpochProgressBar:
        return self

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            if time.monotonic() - self.started < DISPLAY_DELAY or not sys.stderr.isatty():
                return
            self.bar = click.progressbar(length=total, file=sys.stderr, show_pos=True, label="epoch")
            self.bar.__enter__()
        self.bar.update(done - self.epochs_done)
        self.epochs_done = done

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.__exit__(*error)


class ClockLine:
    """A line that tells the time while a block runs that reports nothing.

    Args:
        text: the line, of the seconds since the block began; "" for none.
        delay: seconds before the first line.
    """

    def __init__(self, text: Callable[[float], str], delay: float = DISPLAY_DELAY) -> None:
        self.text, self.started, self.line = text, time.monotonic(), StatusLine(delay)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> ClockLine:
        if sys.stderr.isatty():
            self._tell_once()
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.line.clear()

    def stop(self) -> None:
        """Leave the line to somebody else."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _tell(self) -> None:
        while not self._ended.wait(STATUS_INTERVAL):
            self._tell_once()

    def _tell_once(self) -> None:
        if self.line.is_due():
            self.line.write(self.text(time.monotonic() - self.started))


def computation_line(columns: int, work: float) -> ClockLine:
    """A line with the time that a computation takes, estimated from a small singular value decomposition.

    Args:
        columns: of the problem; the time grows with their cube.
        work: the time, in decompositions of as many columns.
    """
    estimate = 0.0
    if columns >= MIN_COLUMNS_SLOW and sys.stderr.isatty():
        estimate = work * _decomposition_seconds() * (columns / PROBE_COLUMNS) ** 3

    def text(elapsed: float) -> str:
        left = _format_minutes(max(0.0, estimate - elapsed))
        return message("cli.computing", columns=pluralize(columns, "column"), left=left).text()

    return ClockLine(text, 0.0 if estimate > DISPLAY_DELAY else math.inf)


def _decomposition_seconds() -> float:
    """The time that the singular value decomposition of :data:`PROBE_COLUMNS` columns takes here.

    Columns at different scales take several times as long.
    """
    from descentlab.problem.decomposition import decompose

    matrix = np.random.default_rng(0).normal(size=(PROBE_COLUMNS, PROBE_COLUMNS))
    times = []
    for _ in range(3):  # the first one loads the library
        started = time.perf_counter()
        decompose(matrix)
        times.append(time.perf_counter() - started)
    return min(times)


def _format_minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class ReadProgressLine:
    """A callback for :func:`descentlab.compress` that keeps one line on standard error up to date."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.clock = ClockLine(lambda elapsed: message("cli.reading_since", time=_format_minutes(elapsed)).text())
        self.line = self.clock.line

    def __enter__(self) -> ReadProgressLine:
        self.clock.__enter__()
        return self

    def __call__(self, done: int, total: int | None, rows: int) -> None:
        self.clock.stop()
        if not self.line.is_due():
            return
        elapsed = time.monotonic() - self.started
        speed = format_number(float(f"{rows / elapsed:.3g}"))
        text = message("cli.reading", rows=pluralize(rows, "row"), speed=speed).text()
        if total:
            left = _format_minutes(elapsed * (total - done) / done if done else 0)
            share = f"{100 * done / total:.0f}"
            text += message("cli.reading_left", share=share, left=left).text()
        self.line.write(text)

    def __exit__(self, *error: object) -> None:
        self.clock.__exit__(*error)
