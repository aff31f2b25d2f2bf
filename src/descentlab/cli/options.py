"""The options that commands share: which data, which step. Each has its help in the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from descentlab.cli.localized_click import Number
from descentlab.cli.reading import Reading
from descentlab.data.builtin import BUILT_IN
from descentlab.data.paths import find
from descentlab.descent.reductions import CONVENTIONS
from descentlab.errors import SettingError, whole_number
from descentlab.factor.build import Engine, Threads
from descentlab.factor.executors.dask import SCHEME, Dask
from descentlab.messages import sentence
from descentlab.problem.problem import Problem


def option(name: str, short: str | None = None, **settings: Any) -> click.Option:
    """An option whose help is the catalogue's ``help.NAME``."""
    key = name.split("/")[0].removeprefix("--").replace("-", "_")
    return click.Option([name, *([short] if short else [])], help=sentence(f"help.{key}").text(), **settings)


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
        option("--workers", type=Number(), metavar="N"),
        option("--on", metavar="dask://ADDRESS"),
    ]


def data_options() -> list[click.Parameter]:
    """What says which rows and which hypothesis."""
    return [
        *rows_options(),
        option("--bias/--no-bias", default=None),
        option("--ridge", type=Number(), default=0.0, metavar="R"),
        option("--center", is_flag=True),
        option("--standardize", is_flag=True),
    ]


def engine_of(given: dict[str, Any]) -> Engine | None:
    """Where rows are compressed; None: wherever is best. Takes its options out of ``given``."""
    workers, on = given.pop("workers"), given.pop("on")
    workers = None if workers is None else whole_number("workers", workers, 1)
    if on is None:
        return None if workers is None else Threads(workers)
    if on != "dask" and not on.startswith(SCHEME):
        raise SettingError("unknown_engine_address", given=on)
    return Dask(on, workers)


def reading_of(given: dict[str, Any]) -> dict[str, Any]:
    """How CSV files are read. Takes its options out of ``given``."""
    reading = {name: given.pop(name) for name in ("delimiter", "decimal", "encoding")}
    reading = {name: value for name, value in reading.items() if value is not None}
    if not given.pop("header"):
        reading["header"] = False
    return reading


def step_options() -> list[click.Parameter]:
    """What says how to step."""
    return [
        option("--lr", type=Number(), metavar="RATE"),
        option("--reduction", metavar=f"[{'|'.join(CONVENTIONS)}]"),
        option("--epochs", type=Number(), metavar="N"),
        option("--momentum", type=Number(), default=0.0, metavar="M"),
        option("--dampening", type=Number(), default=0.0, metavar="T"),
        option("--nesterov", is_flag=True),
        option("--weight-decay", type=Number(), default=0.0, metavar="L"),
        option("--schedule", metavar="NAME:N..."),
        option("--batch-size", type=Number(), metavar="N"),
        option("--shuffle/--no-shuffle", default=True),
        option("--seed", type=Number(), default=0, metavar="N"),
        option("--replacement", is_flag=True),
        option("--average", type=Number(), metavar="N"),
        option("--start", metavar="W,...,b"),
        option("--forget-zero-grad", is_flag=True),
        option("--optimizer", default="SGD", metavar="NAME"),
        option("--option", multiple=True, metavar="KEY=VALUE"),
        option("--dtype", default="float64", metavar="[float64|float32]"),
        option("--device", default="cpu", metavar="NAME"),
        option("--every", type=Number(), metavar="N"),
        option("--tolerance", type=Number(), metavar="T"),
    ]


def open_problem(given: dict[str, Any]) -> tuple[Problem, str]:
    """The problem that the data options describe, and the name of its data.

    Takes its options out of ``given``.
    """
    names = list(given.pop("data"))
    shape = {name: given.pop(name) for name in ("ridge", "center", "standardize", "missing")}
    target, weights = given.pop("target"), given.pop("weights")
    features, bias = given.pop("features"), given.pop("bias")
    wanted = split(features) if features else None
    reading, engine = reading_of(given), engine_of(given)
    if not names or (len(names) == 1 and names[0] in BUILT_IN):
        dataset = BUILT_IN[names[0] if names else "lesson"]
        bias = (dataset.name != "lesson") if bias is None else bias
        target = target or dataset.target
        return Problem(dataset, target=target, features=wanted, weights=weights, bias=bias, **shape), dataset.name
    bias = True if bias is None else bias
    data: Any = names[0] if len(names) == 1 else names
    with Reading() as progress:
        problem = Problem(
            data,
            target=target,
            features=wanted,
            weights=weights,
            bias=bias,
            engine=engine,
            progress=progress,
            **shape,
            **reading,
        )
    return problem, names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def file_name(name: str) -> str:
    """What to call the data on a page that others may read: its files' names, without their folders."""
    return " .. ".join(Path(part).name for part in name.split(" .. "))


def spare_inputs(output: str | None, data: tuple[str, ...]) -> None:
    """Refuse to write over a file that is read."""
    built_in = len(data) == 1 and data[0] in BUILT_IN
    if output is None or built_in or not Path(output).exists():
        return
    if any(place.root is None and Path(place.path).samefile(output) for place in find(data)):
        raise SettingError("output_is_input", path=output)


def write(output: str, written: Callable[[str], object]) -> None:
    """Write an output file, or say in a sentence why it cannot be written."""
    try:
        written(output)
    except OSError as cause:
        raise SettingError("unwritable", path=output, cause=cause.strerror or str(cause)) from cause


def split(names: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in names.split(",") if name.strip()]


def descent_settings(given: dict[str, Any], lesson: bool) -> dict[str, Any]:
    """The settings of :class:`descentlab.Descent` that the step options describe.

    The lesson without a rate takes the lesson's own: lr 0.01 on the summed gradient.
    """
    settings = {name: value for name, value in given.items() if value is not None}
    settings["zero_grad"] = not settings.pop("forget_zero_grad")
    settings["options"] = dict(_key_value(text) for text in settings.pop("option"))
    if lesson and "lr" not in settings:
        settings["lr"] = 0.01
        settings.setdefault("reduction", "sum")
    if lesson:
        settings.setdefault("epochs", 10)
    if "start" in settings:
        settings["start"] = [_number(part) for part in settings["start"].split(",")]
    return settings


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as cause:
        raise SettingError("start_values", given=text) from cause


def _key_value(text: str) -> tuple[str, object]:
    """``betas=0.9,0.99`` as a keyword argument of an optimizer."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SettingError("option_form", given=text)
    words = {"true": True, "false": False, "none": None}

    def one(part: str) -> object:
        try:
            return int(part) if part.lstrip("-").isdigit() else float(part)
        except ValueError:
            return words.get(part.lower(), part)

    parts = value.split(",")
    return key.strip().replace("-", "_"), one(parts[0]) if len(parts) == 1 else tuple(one(part) for part in parts)
