"""``descentlab compress``: files of any size into a few kilobytes that stand for them."""

from __future__ import annotations

import json as jsonlib
import time
from pathlib import Path
from typing import Any

import click

from descentlab.cli import INTERRUPTED
from descentlab.cli.localized_click import Localised, Number, language_option
from descentlab.cli.options import engine_of, option, reading_of, rows_options, split
from descentlab.cli.reading import Reading
from descentlab.errors import SettingError
from descentlab.factor.compress import Kept, Settings, compressed, state_of
from descentlab.messages import counted, number, sentence

SCHEMA = "descentlab.compress/1"


def command() -> click.Command:
    """The command."""
    return Localised(
        "compress",
        callback=run,
        help=sentence("help.compress").text(),
        params=[
            *rows_options(),
            option("--output", metavar="FILE", short="-o"),
            option("--merge", metavar="FACTOR", multiple=True),
            option("--restart", is_flag=True),
            option("--checkpoint-every", type=Number(), default=5.0, metavar="SECONDS"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(
    *, data: tuple[str, ...], output: str | None, merge: tuple[str, ...], restart: bool, checkpoint_every: Any,
    json: bool, **given: Any,
) -> int:  # fmt: skip
    """Read the files, and keep what they weigh."""
    if not data:
        raise click.MissingParameter(param=click.Argument(["data"]))
    if output is None:
        raise SettingError("no_output")
    engine = engine_of(given)
    reading = reading_of(given)
    features = given.pop("features")
    chosen = {**given, "features": split(features) if features else None}
    started = time.monotonic()
    try:
        with Reading() as progress:
            settings = Settings(engine, restart, checkpoint_every, progress)
            kept = compressed(list(data), chosen, merge, output, reading, settings)
    except KeyboardInterrupt:
        state = state_of(output)
        if not state.exists():
            raise
        click.echo(sentence("cli.compress_interrupted", path=str(state)).text(), err=True)
        return INTERRUPTED
    click.echo(as_json(kept, output) if json else report(kept, output, time.monotonic() - started))
    return 0


def report(kept: Kept, output: str, seconds: float) -> str:
    """What was made of it, in words."""
    factor = kept.factor
    lines = [click.style(sentence("cli.note").text() + " ", fg="yellow") + str(notice) for notice in kept.notices]
    values = {
        "path": output,
        "rows": counted(factor.rows, "row"),
        "columns": counted(len(factor.columns), "column"),
        "target": factor.columns[-1],
        "bytes": Path(output).stat().st_size,
    }
    if kept.already:
        return sentence("cli.compressed_already", **values).text()
    lines.append(sentence("cli.compressed", **values).text())
    if seconds >= 5:  # less says more of how a process starts than of its speed
        speed = counted(round(float(f"{factor.rows / seconds:.2g}")), "row")
        lines.append(sentence("cli.compressed_in", seconds=number(float(f"{seconds:.2g}")), speed=speed).text())
    return "\n".join(lines)


def as_json(kept: Kept, output: str) -> str:
    """The same for a machine; see docs/json.md."""
    factor = kept.factor
    content = {
        "schema": SCHEMA,
        "output": output,
        "rows": factor.rows,
        "weight": factor.weight,
        "columns": list(factor.columns),
        "already": kept.already,
        "notices": [str(notice) for notice in kept.notices],
    }
    return jsonlib.dumps(content, ensure_ascii=False, allow_nan=False)
