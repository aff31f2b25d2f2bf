"""``descentlab predict``: predictions of a saved model, as a file, as a table, or as SQL text."""

from __future__ import annotations

import json as jsonlib
import math
import sys
from typing import Any

import click

from descentlab.cli.options import (
    check_output_is_not_input,
    format_notice,
    option,
    parse_csv_options,
    parse_executor,
    reading_options,
    split_at_commas,
    write_output,
)
from descentlab.cli.terminal.localized_click import LocalizedCommand, LocalizedOption, NumberOrText, language_option
from descentlab.cli.terminal.progress import ReadProgressLine
from descentlab.data.builtin import DATASETS
from descentlab.data.design.source import UNSEEN_CHOICES
from descentlab.errors import check_int
from descentlab.messages import Table, display_width, message, pad, pluralize, to_json_types
from descentlab.messages.document import to_text
from descentlab.model.model import Model
from descentlab.model.prediction_output import open_csv_writer, write_predictions, write_to
from descentlab.model.prediction_stream import ALL_COLUMNS_KEPT, KINDS, PredictionStream
from descentlab.model.sql import DIALECTS

PREDICT_SCHEMA = "descentlab.predict/1"
MAX_CELL_WIDTH = 24
Row = tuple[Any, ...]
STANDARD_OUTPUT = "-"


def command() -> click.Command:
    """The command."""
    return LocalizedCommand(
        "predict",
        callback=predict,
        help=message("help.predict").text(),
        params=[
            click.Argument(["model"], metavar="MODEL", type=click.Path()),
            click.Argument(["data"], nargs=-1, required=False, metavar="[DATA]...", type=click.Path()),
            *[each for each in reading_options() if each.name != "on"],
            option("--interval", heading="model", type=NumberOrText(), metavar="L"),
            option("--kind", heading="model", default="observation", metavar=f"[{'|'.join(KINDS)}]"),
            option("--unseen", heading="model", default="error", metavar=f"[{'|'.join(UNSEEN_CHOICES)}]"),
            LocalizedOption(["--output", "-o"], metavar="FILE", help=message("help.predictions").text()),
            option("--keep", metavar="COLUMN,...|all"),
            option("--rows", type=NumberOrText(), default=20, metavar="N"),
            option("--sql", is_flag=True),
            option("--dialect", default="duckdb", metavar=f"[{'|'.join(DIALECTS)}]"),
            option("--json", is_flag=True),
            language_option(),
        ],
    )


def predict(
    *,
    model: str,
    data: tuple[str, ...],
    interval: Any,
    kind: str,
    unseen: str,
    output: str | None,
    keep: str | None,
    rows: Any,
    sql: bool,
    dialect: str,
    json: bool,
    **options: Any,
) -> None:
    """Read the model and the rows, and write what it predicts for them."""
    rows, loaded = check_int("rows", rows, 0), Model.load(model)
    if sql or not data:
        click.echo(loaded.to_sql(dialect) if sql else loaded.to_json() if json else loaded.text())
        return
    for path in (data, (model,)):
        check_output_is_not_input(output if output != STANDARD_OUTPUT else None, path)
    stream = PredictionStream(
        loaded,
        DATASETS[data[0]] if len(data) == 1 and data[0] in DATASETS else list(data),
        keep=ALL_COLUMNS_KEPT if keep == ALL_COLUMNS_KEPT else split_at_commas(keep or ""),
        interval=interval,
        kind=kind,
        unseen=unseen,
        csv_options=parse_csv_options(options),
        executor=parse_executor(options["workers"], None),
    )
    with ReadProgressLine() as progress:
        shown = _read_first_rows(stream, rows, progress) if output is None else _write(stream, output, progress)
    if json:
        click.echo(_to_json(stream, output, shown))
    elif output is None:
        click.echo(to_text([_to_table(stream, shown)]))
        if stream.report.rows > len(shown):
            rest = pluralize(stream.report.rows - len(shown), "row")
            click.echo(message("cli.more_rows", rows=rest).text())
    elif output != STANDARD_OUTPUT:
        click.echo(message("cli.predicted", path=output, rows=pluralize(stream.report.rows, "row")).text())
    for notice in () if json else stream.notices:
        click.echo(format_notice(notice), err=output == STANDARD_OUTPUT)


def _write(stream: PredictionStream, output: str, progress: ReadProgressLine) -> list[Row]:
    if output == STANDARD_OUTPUT:
        write_to(stream, sys.stdout.buffer, open_csv_writer, progress)
        sys.stdout.buffer.flush()
    else:
        write_output(output, lambda path: write_predictions(stream, path, progress))
    return []


def _read_first_rows(stream: PredictionStream, count: int, progress: ReadProgressLine) -> list[Row]:
    """The first rows: the columns kept, then the predictions. All rows are read, so that all are counted."""
    first: list[Row] = []
    for block in stream.blocks(progress):
        more = block.values[: count - len(first)]
        kept = [block.kept[name].slice(0, len(more)).to_pylist() for name in stream.kept_columns]
        columns = [*kept, *([None if math.isnan(value) else value for value in column] for column in more.T.tolist())]
        first += zip(*columns, strict=True)
    return first


def _to_table(stream: PredictionStream, first: list[Row]) -> Table:
    headings = (message("cli.row_number").text(), *stream.kept_columns, *stream.value_names)
    lines = [(str(i), *map(_format_cell, row)) for i, row in enumerate(first, 1)]
    return Table(message("cli.predictions", target=f"`{stream.model.target}`").text(), headings, lines)


def _format_cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return pad(text, min(display_width(text), MAX_CELL_WIDTH))


def _to_json(stream: PredictionStream, output: str | None, first: list[Row]) -> str:
    report, names = stream.report, (*stream.kept_columns, *stream.value_names)
    content = {
        "schema": PREDICT_SCHEMA,
        "target": stream.model.target,
        "output": output,
        "rows": report.rows,
        "without_prediction": report.missing + report.not_finite,
        "unseen": dict(report.unseen),
        "predictions": [dict(zip(names, row, strict=True)) for row in first],
        "notices": [str(notice) for notice in stream.notices],
    }
    return jsonlib.dumps(to_json_types(content), ensure_ascii=False, allow_nan=False, default=str)
