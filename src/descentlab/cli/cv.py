"""``descentlab cv``: rate, epochs and ridge by cross-validation."""

from __future__ import annotations

import json as jsonlib
from typing import Any

import click

from descentlab.cli.options import data_options, format_notice, option, parse_options, step_options
from descentlab.cli.recommended_command import recommended_command
from descentlab.cli.terminal.exit_codes import ExitCode
from descentlab.cli.terminal.localized_click import LocalizedCommand, NumberOrText, language_option
from descentlab.cli.terminal.styles import style_line
from descentlab.descent.descent import Descent
from descentlab.doctor.cross_validation import cross_validate_for_diagnosis
from descentlab.doctor.finding import Finding
from descentlab.errors import SettingError
from descentlab.messages import message, to_json_types
from descentlab.messages.document import Block, Paragraph, Preformatted, message_blocks, to_text
from descentlab.model_selection.cross_validation import CrossValidation

CV_SCHEMA = "descentlab.cv/1"
USED_IN_CV = ("lr", "reduction", "epochs", "momentum", "dampening", "nesterov", "weight_decay", "seed")
DEFAULT_FOLDS = 5
DEFAULT_EPOCHS = 1000  # the largest number of updates tried


def command() -> click.Command:
    """The command."""
    return LocalizedCommand(
        "cv",
        callback=run,
        help=message("help.cv").text(),
        params=[
            *data_options(),
            *(each for each in step_options() if each.name in USED_IN_CV),
            option("--folds", type=NumberOrText(), default=DEFAULT_FOLDS, metavar="K", heading="diagnosis"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(*, folds: Any, json: bool, **options: Any) -> ExitCode:
    """Read the data once, cross-validate, and say what is best."""
    data, descent_options = parse_options(options)
    if not data.names:
        raise SettingError("cv_without_data")
    problem, name = data.open()
    settings = {"epochs": DEFAULT_EPOCHS, "lr": 1.0, **descent_options.settings}
    descent = Descent(**settings)
    result = cross_validate_for_diagnosis(problem, descent, folds, tries_own_rate=options["lr"] is not None)
    if isinstance(result, Finding):
        raise SettingError("no_folds", reason=result.messages[0], advice=result.advice or "")
    if json:
        content = {"schema": CV_SCHEMA, "problem": problem.to_dict(), "descent": descent.to_dict()}
        click.echo(jsonlib.dumps(to_json_types({**content, **result.to_dict()}), ensure_ascii=False, allow_nan=False))
        return ExitCode.SUCCESS
    lines = [click.style(f"{name}: {problem.title}", bold=True), *map(format_notice, problem.notices)]
    click.echo("\n".join([*lines, to_text(_answer_first(result), style_line)]))
    return ExitCode.SUCCESS


def _answer_first(result: CrossValidation) -> list[Block]:
    """The best settings, the command that runs them on all rows, and the rest."""
    best, rest = result.best, [each for each in result.messages if each.key != "folds.best"]
    if best is None:
        return message_blocks(rest, result.tables)
    blocks: list[Block] = [Paragraph(message("folds.best", **best.values).text(), strong=True)]
    if best.updates:
        lr = float(f"{best.lr * result.rate_factor:.6g}")
        command = recommended_command({"lr": lr, "ridge": best.ridge, "epochs": best.updates}, result.reduction)
        blocks += [Paragraph(message("folds.use").text()), Preformatted(f"  {command}")]
    return [*blocks, *message_blocks(rest, result.tables)]
