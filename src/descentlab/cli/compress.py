"""``descentlab compress``: files of any size become a factor of a few kilobytes, which replaces them."""

from __future__ import annotations

import json as jsonlib
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from descentlab.cli.options import format_notice, option, parse_options, rows_options
from descentlab.cli.terminal.exit_codes import ExitCode
from descentlab.cli.terminal.localized_click import LocalizedCommand, NumberOrText, language_option
from descentlab.cli.terminal.progress import ReadProgressLine
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
    *, output: str | None, merge: tuple[str, ...], restart: bool, checkpoint_every: Any, json: bool, **options: Any
) -> ExitCode:
    """Read the files and write their factor."""
    if not options["data"]:
        raise click.MissingParameter(param=click.Argument(["data"]))
    if output is None:
        raise SettingError("no_output")
    data, _ = parse_options(options)
    started = time.monotonic()
    try:
        with ReadProgressLine() as progress:
            compress_options = CompressOptions(
                data.executor, restart, checkpoint_every, progress, partial(_print_holder, output)
            )
            result = compress_with_notices(
                list(data.names), data.columns, merge, output, dict(data.csv_options), compress_options
            )
    except KeyboardInterrupt:
        checkpoint = checkpoint_path(output)
        if not checkpoint.exists():
            raise
        click.echo(message("cli.compress_interrupted", path=str(checkpoint)).text(), err=True)
        return ExitCode.INTERRUPTED
    click.echo(
        compress_to_json(result, output) if json else compress_to_text(result, output, time.monotonic() - started)
    )
    return ExitCode.SUCCESS


def _print_holder(output: str, holder: str) -> None:
    click.echo(message("cli.output_locked", path=output, holder=holder).text(), err=True)


def compress_to_text(result: CompressResult, output: str, seconds: float) -> str:
    """What was made of it, in words."""
    factor = result.factor
    lines = [format_notice(notice) for notice in result.notices]
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
