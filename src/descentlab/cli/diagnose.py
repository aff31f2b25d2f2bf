"""``descentlab diagnose``: what gradient descent will do, before it runs, and why it went wrong."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import click

from descentlab.cli.options import (
    DataOptions,
    DescentOptions,
    check_output_is_not_input,
    data_options,
    option,
    parse_options,
    public_name,
    step_options,
    under,
    write_output,
)
from descentlab.cli.recommended_command import recommended_command
from descentlab.cli.script import diagnose_script, is_script
from descentlab.cli.terminal.exit_codes import ExitCode
from descentlab.cli.terminal.interrupts import ended_by_interrupt
from descentlab.cli.terminal.localized_click import LocalizedCommand, NumberOrText, language_option
from descentlab.cli.terminal.progress import computation_line
from descentlab.cli.terminal.styles import style_line
from descentlab.doctor.code import CODE_LANGUAGES
from descentlab.doctor.cross_validation import cross_validate_for_diagnosis
from descentlab.doctor.diagnose import diagnose
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.finding import Finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.losses.reading import open_losses
from descentlab.errors import SettingError, check_choice, check_int
from descentlab.messages import message
from descentlab.messages.document import make_blocks, to_text
from descentlab.model_selection.cross_validation import CrossValidation

DIAGNOSIS_WORK = 5.0  # in decompositions of all columns, measured for 700 and 2,000 columns
# Of losses that end in nan or inf. Such a loop has not converged, even where the reason cannot be told.
NONFINITE_FINDINGS = ("losses_overflow", "losses_nan_too_soon")
UNUSED_IN_DIAGNOSE = ("every", "tolerance")  # settings of a run that change nothing for a diagnosis


def command() -> click.Command:
    """The command."""
    steps = [each for each in step_options() if each.name not in UNUSED_IN_DIAGNOSE]
    return LocalizedCommand(
        "diagnose",
        callback=run,
        help=message("help.diagnose").text(),
        params=[
            *data_options(),
            *steps,
            *diagnosis_options(),
            option("--code", default="descentlab", metavar=f"[{'|'.join(CODE_LANGUAGES)}]"),
            option("--more", is_flag=True),
            option("--html", metavar="FILE"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


@under("diagnosis")
def diagnosis_options() -> list[click.Parameter]:
    """What a diagnosis takes into account."""
    return [
        option("--losses", metavar="L1,L2,... | FILE"),
        option("--losses-every", type=NumberOrText(), metavar="N"),
        option("--observed", metavar="L,... | FILE"),
        option("--validation", metavar="FILE"),
        option("--folds", type=NumberOrText(), metavar="K"),
        option("--within", type=NumberOrText(), default=0.01, metavar="PART"),
        option("--steps", type=NumberOrText(), metavar="N"),
    ]


def run(
    *, json: bool, html: str | None, steps: Any, losses: str | None, losses_every: Any, observed: str | None,
    validation: str | None, within: Any, folds: Any, code: str, more: bool, **options: Any,
) -> ExitCode:  # fmt: skip
    """Open the data, diagnose, and say it; a script is run with a watch instead."""
    if is_script(options["data"]):
        return diagnose_script(options["data"], steps, json)
    if steps is not None:
        raise SettingError("steps_without_script")
    if losses is not None:
        if html is not None:
            raise SettingError("html_without_data")
        diagnosis: Any = _diagnose_losses(losses, losses_every, options)
        content, text = diagnosis.to_dict(), to_text(make_blocks(diagnosis), style_line)
    else:
        check_choice("code", code, CODE_LANGUAGES)
        data, descent = parse_options(options)
        check_output_is_not_input(html, data.names)
        check_output_is_not_input(html, (validation,) if validation else ())
        diagnosis, name = _diagnose_data(data, descent, observed, validation, within=within, every=losses_every)
        diagnosis, cross_validation = _add_cross_validation(diagnosis, folds)
        lines = _recommended_lines(diagnosis, code)
        content = diagnosis.to_dict()
        text = to_text(make_blocks(diagnosis, name, code=lines, more=more), style_line)
        if folds is not None:
            content["cross_validation"] = None if cross_validation is None else cross_validation.to_dict()
        if cross_validation is not None:
            blocks = make_blocks(replace(cross_validation, notices=()))  # the report above has them
            text = f"{text}\n\n{to_text(blocks, style_line)}"
        if html is not None:
            public_lines = _recommended_lines(diagnosis, code, is_public=True)
            write_output(html, partial(diagnosis.save, name=public_name(name), code=public_lines))
    click.echo(jsonlib.dumps(content, ensure_ascii=False, allow_nan=False) if json else text)
    if html is not None:
        click.echo(message("cli.written", path=html).text(), err=json)
    fails = diagnosis.verdict in (Verdict.DIVERGES, Verdict.TOO_SLOW)
    ends_in_nan = any(finding.name in NONFINITE_FINDINGS for finding in diagnosis.findings)
    return ExitCode.FINDING if fails or ends_in_nan else ExitCode.SUCCESS


def _recommended_lines(diagnosis: Diagnosis, code: str, *, is_public: bool = False) -> str | list[str]:
    """What to paste: a command of this program, or lines of a loop."""
    if diagnosis.recommendation is None or code != "descentlab":
        return code
    return [recommended_command(diagnosis.recommendation.settings, diagnosis.descent.reduction, is_public=is_public)]


def _diagnose_losses(losses: str, every: Any, options: Mapping[str, Any]) -> Any:
    if options["data"]:
        raise SettingError("losses_beside_data")
    momentum = {name: options[name] for name in ("momentum", "dampening", "nesterov") if options[name]}
    every = _check_every(every)
    return diagnose(losses=open_losses(losses), lr=options["lr"], every=every, **momentum)


def _check_every(every: Any) -> int | None:
    return None if every is None else check_int("losses-every", every, 1)


def _diagnose_data(
    data: DataOptions, descent: DescentOptions, observed: str | None, validation: str | None, *, within: Any, every: Any
) -> tuple[Diagnosis, str]:
    """The diagnosis, and the name of the data."""
    if not data.names:
        raise SettingError("nothing_to_diagnose")
    problem, name = data.open()
    held_out = None
    if validation is not None:
        columns: dict[str, Any] = {"target": problem.target, "features": problem.features}
        if problem.design is not None:
            columns = {"target": None, "features": None, "formula": problem.design, "categories": None}
        held_out, _ = replace(data, names=(validation,), drop=None, **columns).open()
    losses = None if observed is None else open_losses(observed)
    every = _check_every(every)
    with computation_line(len(problem.features) + problem.bias, DIAGNOSIS_WORK), ended_by_interrupt(in_lapack=True):
        diagnosis = diagnose(
            problem, observed=losses, validation=held_out, within=within, every=every, **descent.settings
        )
    assert isinstance(diagnosis, Diagnosis)
    return diagnosis, name


def _add_cross_validation(diagnosis: Diagnosis, folds: Any) -> tuple[Diagnosis, CrossValidation | None]:
    """The cross-validation, or None and a finding that says why it is impossible."""
    if folds is None:
        return diagnosis, None
    result = cross_validate_for_diagnosis(diagnosis.problem, diagnosis.descent, folds)
    if isinstance(result, Finding):
        return replace(diagnosis, findings=(*diagnosis.findings, result)), None
    return diagnosis, result
