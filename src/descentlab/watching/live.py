"""The line that a terminal shows while a watched loop runs: step, loss, and the rate as a part of its limit."""

from __future__ import annotations

import sys
from time import perf_counter

from descentlab.messages import number, padded, rounded, sentence, width
from descentlab.watching.history import Record

PAUSE = 0.2  # seconds between two lines
COLUMNS = 79


class Live:
    """One line on the standard error, written over itself at most five times a second, and erased at the end."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._next = 0.0
        self._width = 0

    def show(self) -> None:
        """After a step."""
        now = perf_counter()
        if now < self._next or not self.record.losses:
            return
        self._next = now + PAUSE
        line = self.line()
        line = padded(line, COLUMNS) if width(line) > COLUMNS else line
        sys.stderr.write("\r" + line + " " * max(0, self._width - width(line)))
        sys.stderr.flush()
        self._width = width(line)

    def line(self) -> str:
        """What it says now."""
        values = {"step": self.record.steps, "loss": number(self.record.losses[-1])}
        probe = self.record.probes[-1] if self.record.probes else None
        if probe is None or probe.ratio is None:
            return sentence("watch.live", **values).text()
        return sentence("watch.live_rate", **values, part=rounded(100 * probe.ratio)).text()

    def erase(self) -> None:
        """Leave the terminal as it was."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0
