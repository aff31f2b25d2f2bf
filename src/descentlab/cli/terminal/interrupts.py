"""Ctrl-C at any moment of a command: no traceback, and exit code 130."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from descentlab.cli.terminal.exit_codes import ExitCode


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, except where that would print a traceback or leave modules half imported.

    After the block it ends the process at once, since nothing is left to clean up. A process that ignores it, as one
    started with ``nohup`` does, and a thread other than the main one go on doing so.
    """
    try:
        owns_signal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if owns_signal:
            signal.signal(signal.SIGINT, _interrupt)
    except ValueError:  # not the main thread
        owns_signal = False
    sys.unraisablehook = _report_unraisable
    try:
        yield
    finally:
        if owns_signal:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(_signal: int, frame: FrameType | None) -> None:
    """During an import, end the process: C extensions print what they cannot raise, or turn it into an ImportError."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(ExitCode.INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _report_unraisable(unraisable: Any) -> None:
    """What is raised in a finalizer or a callback cannot be caught: Python prints it and goes on."""
    if unraisable.exc_type is KeyboardInterrupt:
        os._exit(ExitCode.INTERRUPTED)
    sys.__unraisablehook__(unraisable)
