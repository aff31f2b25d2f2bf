"""``descentlab demo``: the lesson three ways, then real data, then where to go."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click
import numpy as np

from descentlab.cli.localized_click import Localised, language_option
from descentlab.data.builtin import LESSON, LONGLEY
from descentlab.messages import number, sentence
from descentlab.problem.problem import Problem
from descentlab.run.run import Run, descend

WAYS = ("hand", "autograd", "exact")


def command() -> click.Command:
    """The command."""
    return Localised("demo", callback=demo, help=sentence("help.demo").text(), params=[language_option()])


def demo() -> None:
    """Three short acts."""
    _lesson()
    _real_data()
    _heading("demo.next")
    click.echo(sentence("demo.next_steps").text())


def _heading(key: str, **values: Any) -> None:
    click.echo("\n" + click.style(sentence(key, **values).text(), bold=True) + "\n")


def _lesson() -> None:
    ways: tuple[str, ...] = WAYS
    if find_spec("torch") is None:
        ways = tuple(way for way in WAYS if way != "autograd")
        click.echo(sentence("demo.no_torch").text())
    problem = Problem([row[0] for row in LESSON.X], LESSON.y, bias=False)
    for title, settings in (("demo.sum", {"lr": 0.01, "reduction": "sum"}), ("demo.mean", {"lr": 0.15})):
        runs = [descend(problem, engine=way, epochs=10, **settings) for way in ways]
        for run in runs:
            _heading(title, way=sentence(f"demo.{run.engine}"))
            click.echo(run.table())
        agree = sentence("demo.agree" if len(runs) == len(WAYS) else "demo.agree_both", difference=_difference(runs))
        click.echo(f"\n{agree}")


def _difference(runs: list[Run]) -> str:
    """The largest relative difference between any two of the runs, over every W and cost of every epoch."""
    seen = np.array([np.column_stack([run.history.params, run.history.cost]) for run in runs])
    size = np.abs(seen).max(axis=0)
    return f"{((seen.max(axis=0) - seen.min(axis=0))[size > 0] / size[size > 0]).max():.1e}"


def _real_data() -> None:
    _heading("demo.longley", source=LONGLEY.source)
    raw = Problem(LONGLEY, target=LONGLEY.target)
    _tell(descend(raw, lr=0.01, epochs=1000), "demo.raw")
    standardized = Problem(LONGLEY, target=LONGLEY.target, standardize=True)
    _tell(descend(standardized, lr=0.2, epochs=1000), "demo.standardized")
    momentum = descend(standardized, lr=0.2, momentum=0.95, epochs=3000)
    _tell(momentum, "demo.momentum")
    click.echo(
        sentence("demo.parameters", params=", ".join(f"{k} = {number(v)}" for k, v in momentum.named.items())).text()
    )


def _tell(run: Run, key: str) -> None:
    click.echo(click.style(sentence(key).text(), underline=True))
    click.echo(run.table(4))
    click.echo(str(run.ending) + "\n")
