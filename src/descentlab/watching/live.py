"""The line that a terminal shows while a watched loop runs: step, loss, and the rate as a percentage of its limit."""

from __future__ import annotations

from descentlab.messages import format_rounded, message
from descentlab.messages.terminal import StatusLine
from descentlab.watching.history import WatchHistory


class LiveLine:
    """The state of a watched loop in one line of the terminal, erased at the end."""

    def __init__(self, history: WatchHistory) -> None:
        self.history = history
        self._line = StatusLine()

    def update(self) -> None:
        """Show the line again, if it is time."""
        if self.history.losses and self._line.is_due():
            self._line.write(self.text())

    def clear(self) -> None:
        """Erase the line."""
        self._line.clear()

    def text(self) -> str:
        """The line now."""
        values = {"step": self.history.steps, "loss": self.history.losses[-1]}
        measurement = self.history.measurements[-1] if self.history.measurements else None
        if measurement is None or measurement.ratio is None:
            return message("watch.live", **values).text()
        return message("watch.live_rate", **values, part=format_rounded(100 * measurement.ratio)).text()
