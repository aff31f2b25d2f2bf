"""``descentlab compare``: two saved models side by side."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Any

import click

from descentlab.cli.options import option, parse_csv_options, reading_options
from descentlab.cli.terminal.localized_click import LocalizedCommand, LocalizedOption, language_option
from descentlab.messages import message
from descentlab.model.model import Model

COMPARE_SCHEMA = "descentlab.compare/1"


def command() -> click.Command:
    """The command."""
    return LocalizedCommand(
        "compare",
        callback=compare,
        help=message("help.compare").text(),
        params=[
            click.Argument(["first"], metavar="MODEL", type=click.Path()),
            click.Argument(["second"], metavar="MODEL", type=click.Path()),
            LocalizedOption(["--data"], metavar="FILE", heading="data", help=message("help.held_out").text()),
            *[each for each in reading_options() if each.name not in ("on", "workers")],
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def compare(*, first: str, second: str, data: str | None, json: bool, **options: Any) -> None:
    """Read both models, and say which is preferred, and by what."""
    models = [Model.load(path) for path in (first, second)]
    names = (Path(first).name, Path(second).name)
    names = names if names[0] != names[1] else (first, second)
    result = models[0].compare(models[1], data, names=names, **parse_csv_options(options))
    if json:
        content = {"schema": COMPARE_SCHEMA, **result.to_dict()}
        click.echo(jsonlib.dumps(content, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(result.text())
