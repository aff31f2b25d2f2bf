"""Running the command line inside a test."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from descentlab.cli import run_command


class Result(NamedTuple):
    code: int
    out: str
    err: str


def cli(*arguments: str) -> Result:
    """Run one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_command(list(arguments))
    return Result(code, out.getvalue(), err.getvalue())
