"""``descentlab diagnose loop.py``: a script is run as it is, with a watch on its training loops."""

from __future__ import annotations

import json as jsonlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from descentlab.cli.options import PROGRAM_SUFFIXES, format_notice
from descentlab.cli.terminal.exit_codes import ExitCode
from descentlab.errors import SettingError, check_int
from descentlab.messages import Message, current_language, message
from descentlab.watching.script import MAX_WATCHED_LOOPS, launcher
from descentlab.watching.script.source import check_script

SCRIPT_SCHEMA = "descentlab.script/1"
SCRIPT_OPTIONS = ("data", "steps", "json", "lang", "help")  # those that mean something for a script


def is_script(names: Sequence[str]) -> bool:
    """Whether the first name is that of a program rather than of data; the others are its arguments."""
    return bool(names) and names[0].endswith(PROGRAM_SUFFIXES)


def diagnose_script(names: Sequence[str], steps: Any, as_json: bool) -> ExitCode:
    """Run a script with its arguments, and say what the watch on its loops has found."""
    script, *arguments = names
    _check_no_data_options()
    max_steps = None if steps is None else check_int("steps", steps, 1)
    check_script(Path(script))
    click.echo(message("script.running", path=script).text(), err=as_json)
    result = run_script(script, arguments, max_steps, as_json)
    if as_json:
        click.echo(jsonlib.dumps({"schema": SCRIPT_SCHEMA, "script": script, **result}, ensure_ascii=False))
    else:
        click.echo("\n" + "\n\n".join(_paragraphs(script, result)))
    return _exit_code(result)


def run_script(script: str, arguments: Sequence[str], max_steps: int | None, stdout_is_taken: bool) -> dict[str, Any]:
    """Run a script in a process of its own; what the watch found, or only its exit code if it could not report."""
    with tempfile.TemporaryDirectory() as folder, _ignored_interrupts():
        report = Path(folder) / "report"
        launch = [sys.executable, str(launcher.__file__), str(report), current_language(), str(max_steps or "")]
        child = subprocess.Popen([*launch, script, *arguments], stdout=2 if stdout_is_taken else None)  # noqa: S603
        code = child.wait()
        if report.exists():
            result: dict[str, Any] = jsonlib.loads(report.read_text("utf-8"))
            return result
    return {"exit_code": code, "loops": None}


@contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the script, which gets it as well. A handler, unlike SIG_IGN, is not passed on to it."""
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _check_no_data_options() -> None:
    """Raise SettingError where a script, which has its own data and settings, is given options of a diagnosis."""
    context = click.get_current_context()
    names = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in SCRIPT_OPTIONS
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    if names:
        raise SettingError("script_options", names=names)


def _paragraphs(script: str, result: dict[str, Any]) -> list[str]:
    """The report: each loop with its findings, those with mistakes first; then how the script ended."""
    loops = sorted(result["loops"] or [], key=lambda loop: not loop["names"])
    paragraphs = []
    for loop in loops:
        if len(loops) > 1 or loop["count"] > 1:
            paragraphs.append(click.style(_loop_title(loop).text(), bold=True))
        paragraphs.append(loop["text"])
    return [*paragraphs, *(format_notice(each) for each in _notices(script, result))]


def _loop_title(loop: dict[str, Any]) -> Message:
    key = "script.loop" if loop["count"] == 1 else "script.loops"
    return message(key, optimizer=loop["optimizer"], place=loop["place"] or "?", count=loop["count"])


def _notices(script: str, result: dict[str, Any]) -> Iterator[Message]:
    """How the script ended, and what could not be seen."""
    code, loops = result["exit_code"], result["loops"]
    if loops is None and "torch" not in result:
        yield message("script.no_report", code=code)
        return
    if result["interrupted"]:
        yield message("script.interrupted")
    elif result["stopped"]:
        yield message("script.stopped")
    elif code and result["error"] is None:
        yield message("script.exit_code", code=code)
    if result.get("internal_error"):
        yield message("watch.failed", error=result["internal_error"])
    elif not loops and not result["interrupted"]:
        yield _why_nothing_seen(result)
    if result.get("unwatched_optimizers"):
        yield message("script.unwatched", count=result["unwatched_optimizers"], most=MAX_WATCHED_LOOPS)


def _why_nothing_seen(result: dict[str, Any]) -> Message:
    if result["error"] is not None:
        return message("script.ended_early", error=result["error"])
    if not result.get("backward_calls"):
        return message("script.nothing_seen")
    losses = ",".join(f"{loss:.6g}" for loss in result["first_losses"])
    return message("script.no_optimizer", calls=result["backward_calls"], losses=losses)


def _exit_code(result: dict[str, Any]) -> ExitCode:
    if result.get("interrupted"):
        return ExitCode.INTERRUPTED
    has_finding = any(loop["names"] for loop in result["loops"] or [])
    return ExitCode.FINDING if has_finding or result["exit_code"] else ExitCode.SUCCESS
