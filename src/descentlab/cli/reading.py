"""A line that says how far reading has come, for reading that takes more than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from descentlab.messages import format_number, message, pluralize

LINE_DELAY, REFRESH_INTERVAL = 1.0, 0.2  # seconds before a line is worth its noise, and between two


class ReadProgressLine:
    """A callback for :func:`descentlab.compress` that keeps one line on standard error up to date."""

    def __init__(self) -> None:
        self.started = self.last_update = time.monotonic()
        self.width = 0

    def __enter__(self) -> ReadProgressLine:
        return self

    def __call__(self, done: int, total: int | None, rows: int) -> None:
        now = time.monotonic()
        elapsed = now - self.started
        if elapsed < LINE_DELAY or now - self.last_update < REFRESH_INTERVAL or not sys.stderr.isatty():
            return
        self.last_update = now
        speed = format_number(float(f"{rows / elapsed:.3g}"))
        text = message("cli.reading", rows=pluralize(rows, "row"), speed=speed).text()
        if total:
            seconds_left = int(elapsed * (total - done) / done) if done else 0
            share = f"{100 * done / total:.0f}"
            text += message("cli.reading_left", share=share, left=f"{seconds_left // 60}:{seconds_left % 60:02}").text()
        sys.stderr.write(f"\r{text.ljust(self.width)}")
        sys.stderr.flush()
        self.width = len(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()
