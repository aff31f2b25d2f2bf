"""The exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's end means to the shell."""

    SUCCESS = 0
    FINDING = 1  # such as divergence
    USAGE = 2  # a wrong option, or unusable data
    INTERRUPTED = 130
