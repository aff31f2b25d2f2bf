"""``descentlab lab``: a page on this machine, on which descent on the data can be seen, predicted and broken."""

from __future__ import annotations

import webbrowser
from typing import Any

import click
from click.core import ParameterSource

from descentlab.cli.localized_click import Localised, Number, language_option
from descentlab.cli.options import data_options, descent_settings, file_name, open_problem, option, step_options
from descentlab.errors import SettingError, whole_number
from descentlab.lab.lab import of_problem
from descentlab.lab.server.handler import LabServer, Site, serve
from descentlab.lab.spec import STEP
from descentlab.messages import language, sentence

SHOWN = (*STEP, "start", "forget_zero_grad")  # the settings of a step that the page can show
LAST_PORT = 65_535


def command() -> click.Command:
    """The command."""
    steps = [each for each in step_options() if each.name in SHOWN]
    return Localised(
        "lab",
        callback=run,
        help=sentence("help.lab").text(),
        params=[
            *data_options(),
            *steps,
            option("--open/--no-open", default=True),
            option("--port", type=Number(), default=0, metavar="N"),
            click.Option(["--lesson"], type=Number(), metavar="N", help=sentence("help.lab.lesson").text()),
            language_option(),
        ],
    )


def run(*, open: bool, port: Any, lesson: Any, **given: Any) -> int:  # noqa: A002 (the option's own name)
    """Open the data, serve the page, and end with Ctrl-C."""
    port = whole_number("port", port, 0)
    if port > LAST_PORT:
        raise SettingError("not_in_range", setting="port", given=str(port), least=0, most=LAST_PORT)
    if lesson is not None:
        _refuse_others()
    builtin = not given["data"] or given["data"] == ("lesson",)
    problem, name = open_problem(given)
    settings = descent_settings(given | {"option": ()}, builtin)
    lab = of_problem(problem, None, file_name(name), settings)
    site = None if lesson is None else _course(whole_number("lesson", lesson, 1))
    try:
        server = LabServer(lab.spec, port, site=site)
    except OSError as cause:
        raise SettingError("lab_port", port=str(port), cause=cause.strerror or str(cause)) from cause
    for notice in problem.notices:
        click.echo(click.style(sentence("cli.note").text() + " ", fg="yellow") + str(notice))
    click.echo(sentence("cli.lab_at", url=server.url).text())
    if open:
        webbrowser.open(server.url)
    serve(server)
    click.echo("\n" + sentence("cli.lab_ended").text())
    return 0


def _refuse_others() -> None:
    """Raise SettingError where a lesson, which brings its own data and settings, is given others."""
    context = click.get_current_context()
    names = [
        parameter.opts[0] if isinstance(parameter, click.Option) else "DATA"
        for parameter in context.command.params
        if parameter.name not in ("lesson", "open", "port", "lang")
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    if names:
        raise SettingError("lesson_alone", names=names)


def _course(number: int) -> Site:
    """The lessons' pages in the lab's place, this one first."""
    from descentlab.lessons.render.site import Course

    return Course(number, language())
