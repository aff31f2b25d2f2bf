"""A line that says how far reading has come, for reading that takes more than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from descentlab.messages import counted, number, sentence

PATIENCE, OFTEN = 1.0, 0.2  # seconds before a line is worth its noise, and between two


class Reading:
    """A callback for :func:`descentlab.compress` that keeps one line on standard error up to date."""

    def __init__(self) -> None:
        self.started = self.told = time.monotonic()
        self.width = 0

    def __enter__(self) -> Reading:
        return self

    def __call__(self, done: int, total: int | None, rows: int) -> None:
        now = time.monotonic()
        passed = now - self.started
        if passed < PATIENCE or now - self.told < OFTEN or not sys.stderr.isatty():
            return
        self.told = now
        speed = number(float(f"{rows / passed:.3g}"))
        text = sentence("cli.reading", rows=counted(rows, "row"), speed=speed).text()
        if total:
            left = int(passed * (total - done) / done) if done else 0
            share = f"{100 * done / total:.0f}"
            text += sentence("cli.reading_left", share=share, left=f"{left // 60}:{left % 60:02}").text()
        sys.stderr.write(f"\r{text.ljust(self.width)}")
        sys.stderr.flush()
        self.width = len(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()
