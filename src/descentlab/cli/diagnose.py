"""``descentlab diagnose``: what gradient descent will do, before it runs, and why it went wrong."""

from __future__ import annotations

import json as jsonlib
from typing import Any

import click

from descentlab.cli import FINDING
from descentlab.cli.options import data_options, descent_settings, open_problem, option, step_options
from descentlab.cli.words import Localised, Number, language_option
from descentlab.doctor.diagnosis import Diagnosis, diagnose
from descentlab.doctor.forecast import Verdict
from descentlab.errors import SettingError, whole_number
from descentlab.text import sentence

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
            option("--within", type=Number(), default=0.01, metavar="PART"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(*, json: bool, losses: str | None, losses_every: Any, **given: Any) -> int:
    """Open the data, diagnose, and say it."""
    found, text = _of_losses(losses, losses_every, given) if losses is not None else _of_data(given)
    click.echo(jsonlib.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False) if json else text)
    return FINDING if found.verdict in (Verdict.DIVERGES, Verdict.TOO_SLOW) else 0


def _of_losses(losses: str, every: Any, given: dict[str, Any]) -> tuple[Any, str]:
    if given["data"]:
        raise SettingError("losses_beside_data")
    used = {name: given[name] for name in ("momentum", "dampening", "nesterov") if given[name]}
    found = diagnose(losses=_split(losses), lr=given["lr"], every=whole_number("losses-every", every, 1), **used)
    return found, found.text()


def _of_data(given: dict[str, Any]) -> tuple[Diagnosis, str]:
    if not given["data"]:
        raise SettingError("nothing_to_diagnose")
    observed, validation, within = given.pop("observed"), given.pop("validation"), given.pop("within")
    lesson = given["data"] == ("lesson",)
    opening = dict(given)
    problem, name = open_problem(given)
    held_out = None
    if validation is not None:
        columns = {"target": problem.target, "features": ",".join(problem.features)}
        held_out, _ = open_problem(opening | columns | {"data": (validation,)})
    found = diagnose(
        problem,
        observed=None if observed is None else _split(observed),
        validation=held_out,
        within=within,
        **descent_settings(given, lesson),
    )
    assert isinstance(found, Diagnosis)
    return found, found.text(name=name)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
