"""Progress of what takes more than a second: a bar over epochs, a line while files are read; on a terminal only."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from descentlab.messages import format_number, message, pluralize
from descentlab.messages.terminal import StatusLine

DISPLAY_DELAY = 1.0  # seconds that pass before anything is shown


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


class ReadProgressLine:
    """A callback for :func:`descentlab.compress` that keeps one line on standard error up to date."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.line = StatusLine(DISPLAY_DELAY)

    def __enter__(self) -> ReadProgressLine:
        return self

    def __call__(self, done: int, total: int | None, rows: int) -> None:
        if not self.line.is_due():
            return
        elapsed = time.monotonic() - self.started
        speed = format_number(float(f"{rows / elapsed:.3g}"))
        text = message("cli.reading", rows=pluralize(rows, "row"), speed=speed).text()
        if total:
            seconds_left = int(elapsed * (total - done) / done) if done else 0
            share = f"{100 * done / total:.0f}"
            text += message("cli.reading_left", share=share, left=f"{seconds_left // 60}:{seconds_left % 60:02}").text()
        self.line.write(text)

    def __exit__(self, *error: object) -> None:
        self.line.clear()
