"""``descentlab compress``: files of any size into a few kilobytes that stand for them."""

from __future__ import annotations

import json as jsonlib
import time
from pathlib import Path
from typing import Any

import click

from descentlab.cli import EXIT_INTERRUPTED
from descentlab.cli.localized_click import LocalizedCommand, NumberOrText, language_option
from descentlab.cli.options import option, pop_csv_options, pop_executor, rows_options, split_at_commas
from descentlab.cli.reading import ReadProgressLine
from descentlab.errors import SettingError
from descentlab.factor.compress import CompressOptions, CompressResult, checkpoint_path, compress_with_notices
from descentlab.messages import format_number, message, pluralize

COMPRESS_SCHEMA = "descentlab.compress/1"


def command() -> click.Command:
    """The command."""
    return LocalizedCommand(
        "compress",
        callback=run,
        help=message("help.compress").text(),
        params=[
            *rows_options(),
            option("--output", metavar="FILE", short="-o"),
            option("--merge", metavar="FACTOR", multiple=True),
            option("--restart", is_flag=True),
            option("--checkpoint-every", type=NumberOrText(), default=5.0, metavar="SECONDS"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def run(
    *, data: tuple[str, ...], output: str | None, merge: tuple[str, ...], restart: bool, checkpoint_every: Any,
    json: bool, **options: Any,
) -> int:  # fmt: skip
    """Read the files, and keep what they weigh."""
    if not data:
        raise click.MissingParameter(param=click.Argument(["data"]))
    if output is None:
        raise SettingError("no_output")
    executor = pop_executor(options)
    csv_options = pop_csv_options(options)
    features = options.pop("features")
    columns = {**options, "features": split_at_commas(features) if features else None}
    started = time.monotonic()
    try:
        with ReadProgressLine() as progress:
            compress_options = CompressOptions(executor, restart, checkpoint_every, progress)
            result = compress_with_notices(list(data), columns, merge, output, csv_options, compress_options)
    except KeyboardInterrupt:
        checkpoint = checkpoint_path(output)
        if not checkpoint.exists():
            raise
        click.echo(message("cli.compress_interrupted", path=str(checkpoint)).text(), err=True)
        return EXIT_INTERRUPTED
    click.echo(
        compress_to_json(result, output) if json else compress_to_text(result, output, time.monotonic() - started)
    )
    return 0


def compress_to_text(result: CompressResult, output: str, seconds: float) -> str:
    """What was made of it, in words."""
    factor = result.factor
    lines = [click.style(message("cli.note").text() + " ", fg="yellow") + str(notice) for notice in result.notices]
    values = {
        "path": output,
        "rows": pluralize(factor.rows, "row"),
        "columns": pluralize(len(factor.columns), "column"),
        "target": factor.columns[-1],
        "bytes": Path(output).stat().st_size,
    }
    if result.was_cached:
        return message("cli.compressed_already", **values).text()
    lines.append(message("cli.compressed", **values).text())
    if seconds >= 5:  # less says more of how a process starts than of its speed
        speed = pluralize(round(float(f"{factor.rows / seconds:.2g}")), "row")
        lines.append(message("cli.compressed_in", seconds=format_number(float(f"{seconds:.2g}")), speed=speed).text())
    return "\n".join(lines)


def compress_to_json(result: CompressResult, output: str) -> str:
    """The same for a machine; see docs/json.md."""
    factor = result.factor
    content = {
        "schema": COMPRESS_SCHEMA,
        "output": output,
        "rows": factor.rows,
        "weight": factor.weight,
        "columns": list(factor.columns),
        "already": result.was_cached,
        "notices": [str(notice) for notice in result.notices],
    }
    return jsonlib.dumps(content, ensure_ascii=False, allow_nan=False)
