"""``descentlab diagnose``: what gradient descent will do, before it runs, and why it went wrong."""

from __future__ import annotations

import json as jsonlib
from dataclasses import replace
from functools import partial
from typing import Any

import click

from descentlab.cli import FINDING
from descentlab.cli.localized_click import Localised, Number, language_option
from descentlab.cli.options import (
    data_options,
    descent_settings,
    file_name,
    open_problem,
    option,
    spare_inputs,
    step_options,
    write,
)
from descentlab.doctor.cross_validation import choose_by_folds
from descentlab.doctor.diagnose import diagnose
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.finding import Finding
from descentlab.doctor.forecast import Verdict
from descentlab.errors import SettingError, whole_number
from descentlab.messages import sentence
from descentlab.model_selection.cross_validation import CrossValidation

IDLE = ("every", "tolerance")  # settings of a run that change nothing for a diagnosis


def command() -> click.Command:
    """The command."""
    steps = [each for each in step_options() if each.name not in IDLE]
    return Localised(
        "diagnose",
        callback=run,
        help=sentence("help.diagnose").text(),
        params=[
            *data_options(),
            *steps,
            option("--losses", metavar="L1,L2,L3,..."),
            option("--losses-every", type=Number(), default=1, metavar="N"),
            option("--observed", metavar="L,..."),
            option("--validation", metavar="FILE"),
            option("--folds", type=Number(), metavar="K"),
            option("--within", type=Number(), default=0.01, metavar="PART"),
            option("--html", metavar="FILE"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(*, json: bool, html: str | None, losses: str | None, losses_every: Any, **given: Any) -> int:
    """Open the data, diagnose, and say it."""
    if losses is not None:
        if html is not None:
            raise SettingError("html_without_data")
        found: Any = _of_losses(losses, losses_every, given)
        content, text = found.to_dict(), found.text()
    else:
        spare_inputs(html, given["data"])
        spare_inputs(html, (given["validation"],) if given["validation"] else ())
        found, content, text, name = _of_data(given, losses_every)
        if html is not None:
            write(html, partial(found.save, name=file_name(name)))
    click.echo(jsonlib.dumps(content, ensure_ascii=False, allow_nan=False) if json else text)
    if html is not None:
        click.echo(sentence("cli.written", path=html).text(), err=json)
    return FINDING if found.verdict in (Verdict.DIVERGES, Verdict.TOO_SLOW) else 0


def _of_losses(losses: str, every: Any, given: dict[str, Any]) -> Any:
    if given["data"]:
        raise SettingError("losses_beside_data")
    used = {name: given[name] for name in ("momentum", "dampening", "nesterov") if given[name]}
    return diagnose(losses=_split(losses), lr=given["lr"], every=whole_number("losses-every", every, 1), **used)


def _of_data(given: dict[str, Any], every: Any) -> tuple[Diagnosis, dict[str, Any], str, str]:
    """The diagnosis, it with the cross-validation if one was asked for: for machines and in words; the data's name."""
    if not given["data"]:
        raise SettingError("nothing_to_diagnose")
    asked = {name: given.pop(name) for name in ("observed", "validation", "within", "folds")}
    lesson, opening = given["data"] == ("lesson",), dict(given)
    problem, name = open_problem(given)
    held_out = None
    if asked["validation"] is not None:
        columns = {"target": problem.target, "features": ",".join(problem.features)}
        held_out, _ = open_problem(opening | columns | {"data": (asked["validation"],)})
    observed = None if asked["observed"] is None else _split(asked["observed"])
    settings, every = descent_settings(given, lesson), whole_number("losses-every", every, 1)
    found = diagnose(problem, observed=observed, validation=held_out, within=asked["within"], every=every, **settings)
    assert isinstance(found, Diagnosis)
    chosen = None if asked["folds"] is None else choose_by_folds(problem, found.descent, asked["folds"])
    if isinstance(chosen, Finding):
        found = replace(found, findings=(*found.findings, chosen))
    content, text = found.to_dict(), found.text(name=name)
    if asked["folds"] is not None:
        content["cross_validation"] = None
    if isinstance(chosen, CrossValidation):
        content["cross_validation"], text = chosen.to_dict(), f"{text}\n\n{chosen.text()}"
    return found, content, text, name


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
