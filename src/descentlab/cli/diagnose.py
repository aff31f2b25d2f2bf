"""``descentlab diagnose``: what gradient descent will do, before it runs, and why it went wrong."""

from __future__ import annotations

import json as jsonlib
from dataclasses import replace
from functools import partial
from typing import Any

import click

from descentlab.cli import EXIT_FINDING
from descentlab.cli.localized_click import LocalizedCommand, NumberOrText, language_option
from descentlab.cli.options import (
    check_output_is_not_input,
    data_options,
    descent_settings,
    open_problem,
    option,
    public_name,
    step_options,
    write_output,
)
from descentlab.doctor.cross_validation import cross_validate_for_diagnosis
from descentlab.doctor.diagnose import diagnose
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.finding import Finding
from descentlab.doctor.forecast import Verdict
from descentlab.errors import SettingError, check_int
from descentlab.messages import message
from descentlab.model_selection.cross_validation import CrossValidation

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
            option("--losses", metavar="L1,L2,L3,..."),
            option("--losses-every", type=NumberOrText(), default=1, metavar="N"),
            option("--observed", metavar="L,..."),
            option("--validation", metavar="FILE"),
            option("--folds", type=NumberOrText(), metavar="K"),
            option("--within", type=NumberOrText(), default=0.01, metavar="PART"),
            option("--html", metavar="FILE"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(*, json: bool, html: str | None, losses: str | None, losses_every: Any, **options: Any) -> int:
    """Open the data, diagnose, and say it."""
    if losses is not None:
        if html is not None:
            raise SettingError("html_without_data")
        diagnosis: Any = _diagnose_losses(losses, losses_every, options)
        content, text = diagnosis.to_dict(), diagnosis.text()
    else:
        check_output_is_not_input(html, options["data"])
        check_output_is_not_input(html, (options["validation"],) if options["validation"] else ())
        diagnosis, content, text, name = _diagnose_data(options, losses_every)
        if html is not None:
            write_output(html, partial(diagnosis.save, name=public_name(name)))
    click.echo(jsonlib.dumps(content, ensure_ascii=False, allow_nan=False) if json else text)
    if html is not None:
        click.echo(message("cli.written", path=html).text(), err=json)
    return EXIT_FINDING if diagnosis.verdict in (Verdict.DIVERGES, Verdict.TOO_SLOW) else 0


def _diagnose_losses(losses: str, every: Any, options: dict[str, Any]) -> Any:
    if options["data"]:
        raise SettingError("losses_beside_data")
    momentum_settings = {name: options[name] for name in ("momentum", "dampening", "nesterov") if options[name]}
    return diagnose(
        losses=_split_losses(losses), lr=options["lr"], every=check_int("losses-every", every, 1), **momentum_settings
    )


def _diagnose_data(options: dict[str, Any], every: Any) -> tuple[Diagnosis, dict[str, Any], str, str]:
    """The diagnosis, it with the cross-validation if one was asked for: for machines and in words; the data's name."""
    if not options["data"]:
        raise SettingError("nothing_to_diagnose")
    diagnose_options = {name: options.pop(name) for name in ("observed", "validation", "within", "folds")}
    lesson, original_options = options["data"] == ("lesson",), dict(options)
    problem, name = open_problem(options)
    held_out = None
    if diagnose_options["validation"] is not None:
        columns = {"target": problem.target, "features": ",".join(problem.features)}
        held_out, _ = open_problem(original_options | columns | {"data": (diagnose_options["validation"],)})
    observed = None if diagnose_options["observed"] is None else _split_losses(diagnose_options["observed"])
    settings, every = descent_settings(options, lesson), check_int("losses-every", every, 1)
    diagnosis = diagnose(
        problem, observed=observed, validation=held_out, within=diagnose_options["within"], every=every, **settings
    )
    assert isinstance(diagnosis, Diagnosis)
    cross_validation = (
        None
        if diagnose_options["folds"] is None
        else cross_validate_for_diagnosis(problem, diagnosis.descent, diagnose_options["folds"])
    )
    if isinstance(cross_validation, Finding):
        diagnosis = replace(diagnosis, findings=(*diagnosis.findings, cross_validation))
    content, text = diagnosis.to_dict(), diagnosis.text(name=name)
    if diagnose_options["folds"] is not None:
        content["cross_validation"] = None
    if isinstance(cross_validation, CrossValidation):
        content["cross_validation"], text = cross_validation.to_dict(), f"{text}\n\n{cross_validation.text()}"
    return diagnosis, content, text, name


def _split_losses(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
