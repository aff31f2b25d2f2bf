"""``descentlab lab``: a page on this machine, on which descent on the data can be seen, predicted and broken."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import click
from click.core import ParameterSource

from descentlab.cli.options import data_options, format_notice, option, parse_options, public_name, step_options
from descentlab.cli.terminal.localized_click import LocalizedCommand, LocalizedOption, NumberOrText, language_option
from descentlab.errors import SettingError, check_int
from descentlab.lab.lab import Lab
from descentlab.lab.server.handler import LabServer, Site, serve_until_interrupted
from descentlab.lab.spec import STEP_SETTINGS
from descentlab.messages import current_language, message

SHOWN_SETTINGS = (*STEP_SETTINGS, "start", "forget_zero_grad")  # the settings of a step that the page can show
MAX_PORT = 65_535


def command() -> click.Command:
    """The command."""
    steps = [each for each in step_options() if each.name in SHOWN_SETTINGS]
    return LocalizedCommand(
        "lab",
        callback=run,
        help=message("help.lab").text(),
        params=[
            *data_options(),
            *steps,
            option("--open/--no-open", default=True),
            option("--port", type=NumberOrText(), default=0, metavar="N"),
            LocalizedOption(["--lesson"], type=NumberOrText(), metavar="N", help=message("help.lab.lesson").text()),
            language_option(),
        ],
    )


def run(*, open: bool, port: Any, lesson: Any, **options: Any) -> int:  # noqa: A002 (the option's own name)
    """Open the data, serve the page, and end with Ctrl-C."""
    port = check_int("port", port, 0)
    if port > MAX_PORT:
        raise SettingError("not_in_range", setting="port", given=str(port), least=0, most=MAX_PORT)
    if lesson is not None:
        _check_no_other_options()
    data, descent = parse_options(options)
    problem, name = data.open()
    lab = Lab.from_problem(problem, None, public_name(name), descent.settings)
    site = None if lesson is None else _lesson_site(check_int("lesson", lesson, 1))
    try:
        server = LabServer(lab.spec, port, site=site)
    except OSError as cause:
        raise SettingError("lab_port", port=str(port), cause=cause.strerror or str(cause)) from cause
    for notice in problem.notices:
        click.echo(format_notice(notice))
    click.echo(message("cli.lab_at", url=server.url).text())
    with _opened_in_browser(server.url) if open else nullcontext():
        serve_until_interrupted(server)
    click.echo("\n" + message("cli.lab_ended").text())
    return 0


@contextmanager
def _opened_in_browser(url: str) -> Iterator[None]:
    """Open an address whose secret no other user of the machine may see.

    The command line of a browser is shown to all by ``ps``. So it is given a file that only its owner can read, which
    leads to the address.
    """
    handle, path = mkstemp(suffix=".html", prefix="descentlab-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={url}">')
        webbrowser.open(Path(path).as_uri())
        yield
    finally:
        Path(path).unlink(missing_ok=True)


def _check_no_other_options() -> None:
    """Raise SettingError where a lesson, which brings its own data and settings, is given others."""
    context = click.get_current_context()
    names = [
        parameter.opts[0] if isinstance(parameter, click.Option) else "DATA"
        for parameter in context.command.params
        if parameter.name not in ("lesson", "open", "port", "lang")
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        and context.params.get(str(parameter.name)) not in (None, ())  # click 8.2 says so of data left out, too
    ]
    if names:
        raise SettingError("lesson_alone", names=names)


def _lesson_site(number: int) -> Site:
    """The lessons' pages in the lab's place, this one first."""
    from descentlab.lessons.render.site import LessonSite

    return LessonSite(number, current_language())
