"""``descentlab run``: one descent, its table and its ending."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from descentlab.cli.options import (
    check_output_is_not_input,
    data_options,
    format_notice,
    option,
    parse_options,
    save_model,
    step_options,
    write_output,
)
from descentlab.cli.terminal.exit_codes import ExitCode
from descentlab.cli.terminal.localized_click import LocalizedCommand, NumberOrText, language_option
from descentlab.cli.terminal.progress import EpochProgressBar
from descentlab.errors import check_int
from descentlab.messages import message, to_json_types
from descentlab.run.descend import descend
from descentlab.run.ending import Reason
from descentlab.run.run import Run

RUN_SCHEMA = "descentlab.run/1"


def command() -> click.Command:
    """The command."""
    return LocalizedCommand(
        "run",
        callback=run,
        help=message("help.run").text(),
        params=[
            *data_options(),
            *step_options(),
            option(
                "--engine", heading="descent", default="auto", metavar="[auto|hand|minibatch|autograd|exact|replay]"
            ),
            option("--rows", type=NumberOrText(), default=20, metavar="N"),
            option("--save", metavar="FILE"),
            option("--plot", metavar="FILE"),
            option("--model", metavar="FILE"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(
    *,
    engine: str,
    rows: Any,
    save: str | None,
    plot: str | None,
    model: str | None,
    json: bool,
    **options: Any,
) -> int:
    """Open the data, descend, and show what happened."""
    rows = check_int("rows", rows, 0)
    data, descent = parse_options(options)
    for output in (save, plot, model):
        check_output_is_not_input(output, data.names)
    problem, name = data.open()
    with EpochProgressBar() as progress:
        result = descend(problem, engine=engine, progress=progress, interruptible=True, **descent.settings)
    for output, writer in ((save, result.history.save), (plot, result.plot)):
        if output is not None:
            write_output(output, writer)
    saved = [] if model is None else save_model(result.model, model)
    has_lesson_rate = data.is_lesson and options["lr"] is None and options["reduction"] is None
    text = run_to_json(result) if json else run_to_text(result, name, rows, has_lesson_rate=has_lesson_rate)
    click.echo("\n".join([text, *([] if json else saved)]))
    return ExitCode.FINDING if result.ending.is_failure else ExitCode.SUCCESS


def run_to_text(run: Run, name: str, rows: int, *, has_lesson_rate: bool = False) -> str:
    """The run in words: what was run, its table, its last parameters, its ending."""
    problem, ending = run.problem, run.ending
    settings = ", ".join(run.summary) + (f" ({message('cli.lesson_settings')})" if has_lesson_rate else "")
    lines = [click.style(f"{name}: {problem.title}", bold=True), settings]
    lines += map(format_notice, (*problem.notices, *run.notices))
    if rows:
        lines += ["", run.table(max(rows, 2))]
    converged_color = "yellow" if ending.furthest else "green"
    colors = {Reason.CONVERGED: converged_color, Reason.OUT_OF_EPOCHS: None, Reason.STOPPED: None}
    color = colors.get(ending.reason, "red")
    last, first, *rest = map(str, run.messages)
    verdict, *numbers = re.split("(?<=[:.])", first, maxsplit=1)
    lines += ["", last, "", click.style(verdict, fg=color, bold=True) + "".join(numbers), *rest]
    return "\n".join(lines)


def run_to_json(run: Run) -> str:
    """The run for a machine; see docs/json.md. A number that is not finite is null."""
    problem, descent, history = run.problem, run.descent, run.history
    content = {
        "schema": RUN_SCHEMA,
        "problem": problem.to_dict(),
        "descent": descent.to_dict() | {"engine": run.engine},
        "params": run.params_by_name,
        "cost": run.cost,
        "gradient_norm": run.gradient_norm,
        "ending": {"reason": run.ending.reason.value, **run.ending.to_dict(), "text": str(run.ending)},
        "notices": (*problem.notices, *run.notices),
        "history": {
            "epoch": history.epoch,
            "cost": history.cost,
            "gradient_norm": history.gradient_norm,
            "params": dict(zip(history.parameters, history.params.T, strict=True)),
        },
    }
    return json.dumps(to_json_types(content), ensure_ascii=False, allow_nan=False)
