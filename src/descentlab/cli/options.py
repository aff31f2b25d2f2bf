"""The options that commands share: which data, which step. Each has its help in the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from descentlab.cli.localized_click import NumberOrText
from descentlab.cli.reading import ReadProgressLine
from descentlab.data.builtin import DATASETS
from descentlab.data.paths import resolve_locations
from descentlab.descent.reductions import REDUCTIONS
from descentlab.errors import SettingError, check_int
from descentlab.factor.executors.base import Executor
from descentlab.factor.executors.dask import DASK_SCHEME, Dask
from descentlab.factor.executors.threads import Threads
from descentlab.messages import message
from descentlab.problem.problem import Problem


def option(name: str, short: str | None = None, **settings: Any) -> click.Option:
    """An option whose help is the catalogue's ``help.NAME``."""
    key = name.split("/")[0].removeprefix("--").replace("-", "_")
    return click.Option([name, *([short] if short else [])], help=message(f"help.{key}").text(), **settings)


def rows_options() -> list[click.Parameter]:
    """What says which rows and columns, how to read them, and where."""
    return [
        click.Argument(["data"], nargs=-1, required=False, metavar="[DATA]..."),
        option("--target", metavar="COLUMN"),
        option("--features", metavar="COLUMN,..."),
        option("--weights", metavar="COLUMN"),
        option("--missing", default="error", metavar="[error|drop]"),
        option("--delimiter", metavar="CHAR"),
        option("--decimal", metavar="CHAR"),
        option("--encoding", metavar="NAME"),
        option("--header/--no-header", default=True),
        option("--workers", type=NumberOrText(), metavar="N"),
        option("--on", metavar="dask://ADDRESS"),
    ]


def data_options() -> list[click.Parameter]:
    """What says which rows and which hypothesis."""
    return [
        *rows_options(),
        option("--bias/--no-bias", default=None),
        option("--ridge", type=NumberOrText(), default=0.0, metavar="R"),
        option("--center", is_flag=True),
        option("--standardize", is_flag=True),
    ]


def pop_executor(options: dict[str, Any]) -> Executor | None:
    """Where rows are compressed; None: wherever is best. Takes its options out of ``options``."""
    workers, on = options.pop("workers"), options.pop("on")
    workers = None if workers is None else check_int("workers", workers, 1)
    if on is None:
        return None if workers is None else Threads(workers)
    if on != "dask" and not on.startswith(DASK_SCHEME):
        raise SettingError("unknown_engine_address", given=on)
    return Dask(on, workers)


def pop_csv_options(options: dict[str, Any]) -> dict[str, Any]:
    """How CSV files are read. Takes its options out of ``options``."""
    csv_options = {name: options.pop(name) for name in ("delimiter", "decimal", "encoding")}
    csv_options = {name: value for name, value in csv_options.items() if value is not None}
    if not options.pop("header"):
        csv_options["header"] = False
    return csv_options


def step_options() -> list[click.Parameter]:
    """What says how to step."""
    return [
        option("--lr", type=NumberOrText(), metavar="RATE"),
        option("--reduction", metavar=f"[{'|'.join(REDUCTIONS)}]"),
        option("--epochs", type=NumberOrText(), metavar="N"),
        option("--momentum", type=NumberOrText(), default=0.0, metavar="M"),
        option("--dampening", type=NumberOrText(), default=0.0, metavar="T"),
        option("--nesterov", is_flag=True),
        option("--weight-decay", type=NumberOrText(), default=0.0, metavar="L"),
        option("--schedule", metavar="NAME:N..."),
        option("--batch-size", type=NumberOrText(), metavar="N"),
        option("--shuffle/--no-shuffle", default=True),
        option("--seed", type=NumberOrText(), default=0, metavar="N"),
        option("--replacement", is_flag=True),
        option("--average", type=NumberOrText(), metavar="N"),
        option("--start", metavar="W,...,b"),
        option("--forget-zero-grad", is_flag=True),
        option("--optimizer", default="SGD", metavar="NAME"),
        option("--option", multiple=True, metavar="KEY=VALUE"),
        option("--dtype", default="float64", metavar="[float64|float32]"),
        option("--device", default="cpu", metavar="NAME"),
        option("--every", type=NumberOrText(), metavar="N"),
        option("--tolerance", type=NumberOrText(), metavar="T"),
    ]


def open_problem(options: dict[str, Any]) -> tuple[Problem, str]:
    """The problem that the data options describe, and the name of its data.

    Takes its options out of ``options``.
    """
    names = list(options.pop("data"))
    problem_options = {name: options.pop(name) for name in ("ridge", "center", "standardize", "missing")}
    target, weights = options.pop("target"), options.pop("weights")
    features, bias = options.pop("features"), options.pop("bias")
    feature_names = split_at_commas(features) if features else None
    csv_options, executor = pop_csv_options(options), pop_executor(options)
    if not names or (len(names) == 1 and names[0] in DATASETS):
        dataset = DATASETS[names[0] if names else "lesson"]
        bias = (dataset.name != "lesson") if bias is None else bias
        target = target or dataset.target
        return Problem(
            dataset, target=target, features=feature_names, weights=weights, bias=bias, **problem_options
        ), dataset.name
    bias = True if bias is None else bias
    data: Any = names[0] if len(names) == 1 else names
    with ReadProgressLine() as progress:
        problem = Problem(
            data,
            target=target,
            features=feature_names,
            weights=weights,
            bias=bias,
            engine=executor,
            progress=progress,
            **problem_options,
            **csv_options,
        )
    return problem, names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def public_name(name: str) -> str:
    """What to call the data on a page that others may read: its files' names, without their folders."""
    return " .. ".join(Path(path).name for path in name.split(" .. "))


def check_output_is_not_input(output: str | None, data: tuple[str, ...]) -> None:
    """Refuse to write over a file that is read."""
    built_in = len(data) == 1 and data[0] in DATASETS
    if output is None or built_in or not Path(output).exists():
        return
    if any(
        location.filesystem_uri is None and Path(location.path).samefile(output) for location in resolve_locations(data)
    ):
        raise SettingError("output_is_input", path=output)


def write_output(output: str, writer: Callable[[str], object]) -> None:
    """Write an output file, or say in a sentence why it cannot be written."""
    try:
        writer(output)
    except OSError as cause:
        raise SettingError("unwritable", path=output, cause=cause.strerror or str(cause)) from cause


def split_at_commas(names: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in names.split(",") if name.strip()]


def descent_settings(options: dict[str, Any], lesson: bool) -> dict[str, Any]:
    """The settings of :class:`descentlab.Descent` that the step options describe.

    The lesson without a rate takes the lesson's own: lr 0.01 on the summed gradient.
    """
    settings = {name: value for name, value in options.items() if value is not None}
    settings["zero_grad"] = not settings.pop("forget_zero_grad")
    settings["options"] = dict(_parse_optimizer_option(text) for text in settings.pop("option"))
    if lesson and "lr" not in settings:
        settings["lr"] = 0.01
        settings.setdefault("reduction", "sum")
    if lesson:
        settings.setdefault("epochs", 10)
    if "start" in settings:
        settings["start"] = [_parse_float(value) for value in settings["start"].split(",")]
    return settings


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError as cause:
        raise SettingError("start_values", given=text) from cause


def _parse_optimizer_option(text: str) -> tuple[str, object]:
    """``betas=0.9,0.99`` as a keyword argument of an optimizer."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SettingError("option_form", given=text)
    constants = {"true": True, "false": False, "none": None}

    def parse_value(part: str) -> object:
        try:
            return int(part) if part.lstrip("-").isdigit() else float(part)
        except ValueError:
            return constants.get(part.lower(), part)

    parts = value.split(",")
    return key.strip().replace("-", "_"), parse_value(parts[0]) if len(parts) == 1 else tuple(
        parse_value(part) for part in parts
    )
