"""The line that a terminal shows while a watched loop runs: step, loss, and the rate as a percentage of its limit."""

from __future__ import annotations

import sys
from time import perf_counter

from descentlab.messages import display_width, format_rounded, message, pad
from descentlab.watching.history import WatchHistory

LIVE_UPDATE_INTERVAL = 0.2  # seconds between two lines
LIVE_LINE_WIDTH = 79


class LiveLine:
    """One line on the standard error, written over itself at most five times a second, and erased at the end."""

    def __init__(self, history: WatchHistory) -> None:
        self.history = history
        self._next_update = 0.0
        self._shown_width = 0

    def update(self) -> None:
        """Show the line again, if it is time."""
        now = perf_counter()
        if now < self._next_update or not self.history.losses:
            return
        self._next_update = now + LIVE_UPDATE_INTERVAL
        line = self.text()
        line = pad(line, LIVE_LINE_WIDTH) if display_width(line) > LIVE_LINE_WIDTH else line
        sys.stderr.write("\r" + line + " " * max(0, self._shown_width - display_width(line)))
        sys.stderr.flush()
        self._shown_width = display_width(line)

    def text(self) -> str:
        """The line now."""
        values = {"step": self.history.steps, "loss": self.history.losses[-1]}
        measurement = self.history.measurements[-1] if self.history.measurements else None
        if measurement is None or measurement.ratio is None:
            return message("watch.live", **values).text()
        return message("watch.live_rate", **values, part=format_rounded(100 * measurement.ratio)).text()

    def clear(self) -> None:
        """Erase the line."""
        if self._shown_width:
            sys.stderr.write("\r" + " " * self._shown_width + "\r")
            sys.stderr.flush()
            self._shown_width = 0
