"""Ctrl-C at any moment of a command: no traceback, and exit code 130."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def ended_by_interrupt(*, in_lapack: bool) -> Iterator[None]:
    """Let Ctrl-C end the process at once, where nothing has to be cleaned up.

    Args:
        in_lapack: the main thread itself is in LAPACK for seconds. Python would act on a signal only after that, so
            the signal's own action is restored, which says nothing; a shell sees exit code 130 as well. Otherwise
            threads work and the main thread waits, so that the usual sentence can be printed.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not _interrupt:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL if in_lapack else _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _interrupt)


def _leave(*_: object) -> None:
    import click

    from descentlab.messages import message

    with suppress(Exception):  # the terminal may be gone
        click.echo(str(message("cli.interrupted")), err=True)
    os._exit(ExitCode.INTERRUPTED)


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
