"""``descentlab run``: one descent, its table and its ending."""

from __future__ import annotations

import json
from typing import Any

import click

from descentlab.cli import FINDING
from descentlab.cli.localized_click import Localised, Number, language_option
from descentlab.cli.options import (
    data_options,
    descent_settings,
    open_problem,
    option,
    spare_inputs,
    step_options,
    write,
)
from descentlab.cli.progress import Progress
from descentlab.errors import whole_number
from descentlab.messages import jsonable, sentence
from descentlab.run.ending import Reason
from descentlab.run.run import Run, descend

SCHEMA = "descentlab.run/1"


def command() -> click.Command:
    """The command."""
    return Localised(
        "run",
        callback=run,
        help=sentence("help.run").text(),
        params=[
            *data_options(),
            *step_options(),
            option("--engine", default="auto", metavar="[auto|hand|minibatch|autograd|exact|replay]"),
            option("--rows", type=Number(), default=20, metavar="N"),
            option("--save", metavar="FILE"),
            option("--plot", metavar="FILE"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(*, engine: str, rows: Any, save: str | None, plot: str | None, json: bool, **given: Any) -> int:
    """Open the data, descend, and show what happened."""
    rows = whole_number("rows", rows, 0)
    lesson = not given["data"] or given["data"] == ("lesson",)
    for output in (save, plot):
        spare_inputs(output, given["data"])
    problem, name = open_problem(given)
    settings = descent_settings(given, lesson)
    with Progress() as progress:
        result = descend(problem, engine=engine, progress=progress, interruptible=True, **settings)
    for output, written in ((save, result.history.save), (plot, result.plot)):
        if output is not None:
            write(output, written)
    click.echo(as_json(result) if json else report(result, name, rows))
    return FINDING if result.ending.is_finding else 0


def report(run: Run, name: str, rows: int) -> str:
    """The run in words: what was run, its table, its last parameters, its ending."""
    problem, ending = run.problem, run.ending
    lines = [click.style(f"{name}: {problem.headline}", bold=True), ", ".join(run.settings)]
    lines += [
        click.style(sentence("cli.note").text() + " ", fg="yellow") + str(notice)
        for notice in (*problem.notices, *run.notices)
    ]
    if rows:
        lines += ["", run.table(max(rows, 2))]
    colour = {Reason.CONVERGED: "green", Reason.OUT_OF_EPOCHS: None, Reason.STOPPED: None}.get(ending.reason, "red")
    last, first, *rest = map(str, run.said)
    word, space, tail = first.partition(" ")
    lines += ["", last, "", click.style(word, fg=colour, bold=True) + space + tail, *rest]
    return "\n".join(lines)


def as_json(run: Run) -> str:
    """The run for a machine; see docs/json.md. A number that is not finite is null."""
    problem, descent, history = run.problem, run.descent, run.history
    content = {
        "schema": SCHEMA,
        "problem": problem.to_dict(),
        "descent": descent.to_dict() | {"engine": run.engine},
        "params": run.named,
        "cost": run.cost,
        "gradient_norm": run.gradient_norm,
        "ending": {"reason": run.ending.reason.value, **run.ending.numbers(), "text": str(run.ending)},
        "notices": (*problem.notices, *run.notices),
        "history": {
            "epoch": history.epoch,
            "cost": history.cost,
            "gradient_norm": history.gradient_norm,
            "params": dict(zip(history.parameters, history.params.T, strict=True)),
        },
    }
    return json.dumps(jsonable(content), ensure_ascii=False, allow_nan=False)
