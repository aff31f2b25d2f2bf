"""``descentlab solve``: the parameters at which the cost is least, computed without a step."""

from __future__ import annotations

import json as jsonlib
import math
from typing import Any

import click

from descentlab.cli.options import data_options, format_notice, option, parse_options
from descentlab.cli.terminal.localized_click import LocalizedCommand, language_option
from descentlab.messages import message

SOLVE_SCHEMA = "descentlab.solve/1"


def command() -> click.Command:
    """The command."""
    params = [*data_options(), option("--json", is_flag=True), language_option()]
    return LocalizedCommand("solve", callback=solve, help=message("help.solve").text(), params=params)


def solve(*, json: bool, **options: Any) -> None:
    """Read the data and print where the cost is least."""
    data, _ = parse_options(options)
    problem, name = data.open()
    minimum = problem.solve()
    if json:
        content = {
            "schema": SOLVE_SCHEMA,
            "params": dict(zip(minimum.parameters, minimum.params.tolist(), strict=True)),
            "digits": dict(zip(minimum.parameters, minimum.digits.tolist(), strict=True)),
            "cost": minimum.cost,
            "cost_error": minimum.cost_error if math.isfinite(minimum.cost_error) else None,
            "rank": minimum.rank,
            "flat": [str(direction) for direction in minimum.null_directions],
            "notices": [str(notice) for notice in problem.notices],
        }
        click.echo(jsonlib.dumps(content, ensure_ascii=False, allow_nan=False))
        return
    click.echo(click.style(f"{name}: {problem.title}", bold=True))
    for notice in problem.notices:
        click.echo(format_notice(notice))
    click.echo(minimum.text())
