"""``descentlab solve``: the parameters at which the cost is least, computed without a step."""

from __future__ import annotations

import json as jsonlib
import math
from collections.abc import Iterable
from typing import Any

import click

from descentlab.cli.options import (
    check_output_is_not_input,
    data_options,
    format_notice,
    option,
    parse_options,
    save_model,
    write_output,
)
from descentlab.cli.terminal.interrupts import ended_by_interrupt
from descentlab.cli.terminal.localized_click import LocalizedCommand, NumberOrText, language_option
from descentlab.cli.terminal.progress import computation_line
from descentlab.errors import check_choice
from descentlab.messages import Message, message
from descentlab.problem.covariance import ROBUST_KINDS
from descentlab.problem.minimum import Minimum
from descentlab.problem.regression import WEIGHT_MEANINGS
from descentlab.problem.statistics import DEFAULT_LEVEL, check_level

SOLVE_SCHEMA = "descentlab.solve/1"
SOLUTION_WORK = 0.36  # in decompositions of all columns, measured for 700 columns


def command() -> click.Command:
    """The command."""
    params = [
        *data_options(),
        option("--weights-are", heading="model", default="frequency", metavar=f"[{'|'.join(WEIGHT_MEANINGS)}]"),
        option("--stats", is_flag=True),
        option("--robust", metavar=f"[{'|'.join(ROBUST_KINDS)}]"),
        option("--level", type=NumberOrText(), metavar="L"),
        option("--plot", metavar="FILE"),
        option("--model", metavar="FILE"),
        option("--json", is_flag=True),
        language_option(),
    ]
    return LocalizedCommand("solve", callback=solve, help=message("help.solve").text(), params=params)


def solve(
    *,
    stats: bool,
    robust: str | None,
    level: Any,
    plot: str | None,
    model: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Read the data and print where the cost is least, and with ``stats`` what that says about the population."""
    stats |= robust is not None or level is not None
    level = check_level(DEFAULT_LEVEL if level is None else level)
    if robust is not None:
        robust = check_choice("robust", robust.upper(), ROBUST_KINDS)
    data, _ = parse_options(options)
    for output in (plot, model):
        check_output_is_not_input(output, data.names)
    problem, name = data.open()
    with computation_line(len(problem.features) + problem.bias, SOLUTION_WORK), ended_by_interrupt(in_lapack=True):
        minimum = problem.solve()
    statistics = minimum.robust(robust) if robust else minimum
    if plot is not None:
        write_output(plot, lambda path: statistics.plot(path, level=level))
    saved = [] if model is None else save_model(statistics.model, model)
    if json:
        content = _to_dict(minimum, problem.notices) | ({"statistics": statistics.to_dict(level)} if stats else {})
        click.echo(jsonlib.dumps(content, ensure_ascii=False, allow_nan=False))
        return
    click.echo(click.style(f"{name}: {problem.title}", bold=True))
    for notice in problem.notices:
        click.echo(format_notice(notice))
    click.echo(statistics.summary(level).text() if stats else minimum.text())
    for line in saved:
        click.echo(line)


def _to_dict(minimum: Minimum, notices: Iterable[Message]) -> dict[str, Any]:
    return {
        "schema": SOLVE_SCHEMA,
        "params": dict(zip(minimum.parameters, minimum.params.tolist(), strict=True)),
        "digits": dict(zip(minimum.parameters, minimum.digits.tolist(), strict=True)),
        "cost": minimum.cost,
        "cost_error": minimum.cost_error if math.isfinite(minimum.cost_error) else None,
        "rank": minimum.rank,
        "flat": [str(direction) for direction in minimum.null_directions],
        "notices": [str(notice) for notice in notices],
    }
