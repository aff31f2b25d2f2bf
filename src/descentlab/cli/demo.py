"""``descentlab demo``: the first example three ways, its cost as a picture, real data, and three doors."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np

from descentlab.cli.terminal.localized_click import LocalizedCommand, language_option
from descentlab.data.builtin import LESSON, LONGLEY
from descentlab.lessons.facts.types import LessonFigure
from descentlab.lessons.render.text_plot import CURVE_CHARACTERS, render_text_plot
from descentlab.messages import LINE_WIDTH, current_language, format_command, kept_language, message, pad, wrap
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.run.run import Run

EPOCHS = 10
# One table by each engine; the third rate is just above the largest stable one, 1/14 on the sum.
DEMO_RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("hand", {"lr": 0.01, "reduction": "sum"}),
    ("autograd", {"lr": 0.15}),
    ("exact", {"lr": 0.08, "reduction": "sum"}),
)
REAL_RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("raw", {"lr": 0.01, "epochs": 1000}),
    ("standardized", {"lr": 0.2, "epochs": 1000}),
    ("momentum", {"lr": 0.2, "momentum": 0.95, "epochs": 3000}),
)


def command() -> click.Command:
    """The command."""
    return LocalizedCommand("demo", callback=demo, help=message("help.demo").text(), params=[language_option()])


def demo() -> None:
    """One screen after the other."""
    _show_first_example()
    _show_real_data()
    _show_doors()


def _print_heading(key: str, **values: Any) -> None:
    click.echo("\n" + click.style(message(key, **values).text(), bold=True) + "\n")


def _show_first_example() -> None:
    """A table by each way, that the ways agree, and the three costs as a picture."""
    problem = Problem([row[0] for row in LESSON.X], LESSON.y, bias=False)
    engines = [engine for engine, _ in DEMO_RUNS if engine != "autograd" or find_spec("torch")]
    if "autograd" not in engines:
        click.echo(wrap(message("demo.no_torch").text(), LINE_WIDTH))
    runs = [
        {engine: descend(problem, engine=engine, epochs=EPOCHS, **settings) for engine in engines}
        for _, settings in DEMO_RUNS
    ]
    shown = [
        runs_by_engine.get(engine, runs_by_engine["hand"])
        for (engine, _), runs_by_engine in zip(DEMO_RUNS, runs, strict=True)
    ]
    for run in shown:
        _print_heading("demo.way", way=message(f"demo.{run.engine}"), settings=", ".join(run.descent.summary))
        click.echo(run.table())
    agreeing = message("demo.agree", ways=len(engines), difference=_largest_difference(runs)).text()
    click.echo("\n" + wrap(agreeing, LINE_WIDTH))
    _print_heading("demo.picture")
    curves = [list(zip(run.history.epoch.tolist(), run.history.cost.tolist(), strict=True)) for run in shown]
    click.echo(render_text_plot(LessonFigure("", (), curves, ("epoch", "cost"), log=True), current_language()))
    click.echo(
        "\n"
        + "   ".join(
            f"{sign} {', '.join(run.descent.summary)}" for sign, run in zip(CURVE_CHARACTERS, shown, strict=True)
        )
    )


def _largest_difference(runs: list[dict[str, Run]]) -> str:
    """The largest relative difference between two ways, over every W and cost of every epoch of every run."""
    differences = []
    for runs_by_engine in runs:
        tables = [np.column_stack([run.history.params, run.history.cost]) for run in runs_by_engine.values()]
        spread, size = np.ptp(tables, axis=0), np.abs(tables).max(axis=0)
        differences.append((spread[size > 0] / size[size > 0]).max())
    return f"{max(differences):.1e}"


def _show_real_data() -> None:
    """How each run ends, in a sentence."""
    _print_heading("demo.longley")
    for key, settings in REAL_RUNS:
        run = descend(Problem(LONGLEY, target=LONGLEY.target, standardize=key != "raw"), **settings)
        click.echo(message(f"demo.{key}").text())
        click.echo(wrap(str(run.ending.messages[0]), LINE_WIDTH, "  "))


def _show_doors() -> None:
    """Where to go, with the commands as they can be typed here."""
    _print_heading("demo.next")
    by_make = "MAKELEVEL" in os.environ
    if by_make and "VIRTUAL_ENV" not in os.environ:
        environment = Path(sys.prefix)
        if environment.is_relative_to(Path.cwd()):
            environment = environment.relative_to(Path.cwd())
        click.echo(message("demo.activate", path=environment / "bin" / "activate").text() + "\n")
    lab = "make lab" if by_make else format_command("lab")
    commands = {"lab": lab, "lesson": format_command("lesson", "1"), "script": format_command("diagnose", "loop.py")}
    width = max(map(len, commands.values()))
    padded = {name: pad(text, width) for name, text in commands.items()}
    losses = format_command("diagnose", "--losses", "36.4,43.9,53.0", "--lr", "0.01")
    click.echo(message("demo.doors", **padded, losses=losses, lang=kept_language()).text())
