"""``descentlab demo``: the lesson three ways, then real data, then where to go."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click
import numpy as np

from descentlab.cli.localized_click import LocalizedCommand, language_option
from descentlab.data.builtin import LESSON, LONGLEY
from descentlab.messages import format_number, message
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.run.run import Run

DEMO_ENGINES = ("hand", "autograd", "exact")


def command() -> click.Command:
    """The command."""
    return LocalizedCommand("demo", callback=demo, help=message("help.demo").text(), params=[language_option()])


def demo() -> None:
    """Three short acts."""
    _show_lesson()
    _show_real_data()
    _print_heading("demo.next")
    click.echo(message("demo.next_steps").text())


def _print_heading(key: str, **values: Any) -> None:
    click.echo("\n" + click.style(message(key, **values).text(), bold=True) + "\n")


def _show_lesson() -> None:
    engines: tuple[str, ...] = DEMO_ENGINES
    if find_spec("torch") is None:
        engines = tuple(way for way in DEMO_ENGINES if way != "autograd")
        click.echo(message("demo.no_torch").text())
    problem = Problem([row[0] for row in LESSON.X], LESSON.y, bias=False)
    for title, settings in (("demo.sum", {"lr": 0.01, "reduction": "sum"}), ("demo.mean", {"lr": 0.15})):
        runs = [descend(problem, engine=way, epochs=10, **settings) for way in engines]
        for run in runs:
            _print_heading(title, way=message(f"demo.{run.engine}"))
            click.echo(run.table())
        agree = message(
            "demo.agree" if len(runs) == len(DEMO_ENGINES) else "demo.agree_both", difference=_largest_difference(runs)
        )
        click.echo(f"\n{agree}")


def _largest_difference(runs: list[Run]) -> str:
    """The largest relative difference between any two of the runs, over every W and cost of every epoch."""
    values = np.array([np.column_stack([run.history.params, run.history.cost]) for run in runs])
    size = np.abs(values).max(axis=0)
    return f"{((values.max(axis=0) - values.min(axis=0))[size > 0] / size[size > 0]).max():.1e}"


def _show_real_data() -> None:
    _print_heading("demo.longley", source=LONGLEY.source)
    raw = Problem(LONGLEY, target=LONGLEY.target)
    _print_run(descend(raw, lr=0.01, epochs=1000), "demo.raw")
    standardized = Problem(LONGLEY, target=LONGLEY.target, standardize=True)
    _print_run(descend(standardized, lr=0.2, epochs=1000), "demo.standardized")
    momentum = descend(standardized, lr=0.2, momentum=0.95, epochs=3000)
    _print_run(momentum, "demo.momentum")
    click.echo(
        message(
            "demo.parameters", params=", ".join(f"{k} = {format_number(v)}" for k, v in momentum.params_by_name.items())
        ).text()
    )


def _print_run(run: Run, key: str) -> None:
    click.echo(click.style(message(key).text(), underline=True))
    click.echo(run.table(4))
    click.echo(str(run.ending) + "\n")
