"""The options that commands share, and their values: which data, which step. The catalog has the help of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from descentlab.cli.terminal.interrupts import ended_by_interrupt
from descentlab.cli.terminal.localized_click import LocalizedOption, NumberOrText
from descentlab.cli.terminal.progress import ReadProgressLine
from descentlab.data import CSV_OPTIONS
from descentlab.data.builtin import DATASETS
from descentlab.data.design.choose import AUTO
from descentlab.data.design.design import Design
from descentlab.data.design.formula import read_formula
from descentlab.data.paths import resolve_locations
from descentlab.descent.reductions import REDUCTIONS
from descentlab.errors import SettingError, check_int
from descentlab.factor.executors.base import Executor
from descentlab.factor.executors.dask import DASK_SCHEME, Dask
from descentlab.factor.executors.threads import Threads
from descentlab.messages import Message, format_command, message
from descentlab.model.model import Model
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import DESCENT_FIELDS

PROGRAM_SUFFIXES = (".py", ".ipynb")
COLUMN_OPTIONS = ("target", "features", "drop", "formula", "categories", "weights", "missing")
DATA_OPTIONS_AS_GIVEN = (
    "target",
    "formula",
    "weights",
    "weights_are",
    "missing",
    "bias",
    "ridge",
    "center",
    "standardize",
)


def option(name: str, short: str | None = None, **settings: Any) -> LocalizedOption:
    """An option whose help is the catalog's ``help.NAME``."""
    key = name.split("/")[0].removeprefix("--").replace("-", "_")
    return LocalizedOption([name, *([short] if short else [])], help=message(f"help.{key}").text(), **settings)


ParameterMaker = Callable[[], list[click.Parameter]]


def under(heading: str) -> Callable[[ParameterMaker], ParameterMaker]:
    """Decorate a function that makes options: those without a heading get this one."""

    def decorate(make: ParameterMaker) -> ParameterMaker:
        @wraps(make)
        def make_under_heading() -> list[click.Parameter]:
            parameters = make()
            for each in parameters:
                if isinstance(each, LocalizedOption):
                    each.heading = each.heading or heading
            return parameters

        return make_under_heading

    return decorate


@under("data")
def rows_options() -> list[click.Parameter]:
    """What says which rows and columns, how to read them, and where."""
    return [
        click.Argument(["data"], nargs=-1, required=False, metavar="[DATA]...", type=click.Path()),
        option("--target", metavar="COLUMN"),
        option("--features", metavar="COLUMN,..."),
        option("--drop", metavar="COLUMN,..."),
        option("--formula", metavar="'Y ~ X + ...'"),
        option("--categories", metavar="COLUMN,...|auto"),
        option("--weights", metavar="COLUMN"),
        option("--missing", default="error", metavar="[error|drop]"),
        *reading_options(),
    ]


@under("data")
def reading_options() -> list[click.Parameter]:
    """What says how files are read, and where."""
    return [
        option("--delimiter", metavar="CHAR"),
        option("--decimal", metavar="CHAR"),
        option("--thousands", metavar="CHAR"),
        option("--encoding", metavar="NAME"),
        option("--header/--no-header", default=None),
        option("--skip-rows", type=NumberOrText(), metavar="N"),
        option("--skip-footer", type=NumberOrText(), metavar="N"),
        option("--comment", metavar="MARK"),
        option("--na", metavar="CELL,..."),
        option("--workers", type=NumberOrText(), metavar="N"),
        option("--on", metavar="dask://ADDRESS"),
    ]


@under("model")
def data_options() -> list[click.Parameter]:
    """What says which rows and which hypothesis."""
    return [
        *rows_options(),
        option("--bias/--no-bias", default=None),
        option("--ridge", type=NumberOrText(), default=0.0, metavar="R"),
        option("--center", is_flag=True),
        option("--standardize", is_flag=True),
    ]


@under("descent")
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


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The rows, how to read them, and the hypothesis.

    Attributes:
        names: what was given as DATA; nothing is the lesson.
        bias: None is True, and False for the lesson.
        csv_options: how CSV files are read, where that was given.
        executor: where rows are compressed; None is wherever is best.
    """

    names: tuple[str, ...]
    target: str | None = None
    features: Sequence[str] | None = None
    drop: Sequence[str] | None = None
    formula: str | Design | None = None
    categories: Sequence[str] | str | None = None
    weights: str | None = None
    weights_are: str = "frequency"
    missing: str = "error"
    bias: bool | None = None
    ridge: float = 0.0
    center: bool = False
    standardize: bool = False
    csv_options: Mapping[str, Any] = field(default_factory=dict)
    executor: Executor | None = None

    @property
    def is_lesson(self) -> bool:
        return self.names in ((), ("lesson",))

    @property
    def columns(self) -> dict[str, Any]:
        """Which columns are used, and what is done about missing values."""
        return {name: getattr(self, name) for name in COLUMN_OPTIONS}

    def open(self) -> tuple[Problem, str]:
        """Read the rows: the problem, and the name of its data."""
        settings = self.columns | {"ridge": self.ridge, "center": self.center, "standardize": self.standardize}
        settings["weights_are"] = self.weights_are
        settings["bias"] = not self.is_lesson if self.bias is None else self.bias
        if self.is_lesson or (len(self.names) == 1 and self.names[0] in DATASETS):
            dataset = DATASETS["lesson" if self.is_lesson else self.names[0]]
            names_target = isinstance(self.formula, str) and read_formula(self.formula).target is not None
            target = self.target or (None if names_target else dataset.target)
            return Problem(dataset, **(settings | {"target": target})), dataset.name
        data: Any = self.names[0] if len(self.names) == 1 else list(self.names)
        # A cluster has to be told; threads need not be waited for.
        at_once = nullcontext() if isinstance(self.executor, Dask) else ended_by_interrupt(in_lapack=False)
        with at_once, ReadProgressLine() as progress:
            problem = Problem(data, engine=self.executor, progress=progress, **settings, **self.csv_options)
        return problem, self.names[0] if len(self.names) == 1 else f"{self.names[0]} .. {self.names[-1]}"


@dataclass(frozen=True)
class DescentOptions:
    """How to step: keywords of :class:`descentlab.Descent`, those that were given."""

    settings: Mapping[str, Any]


def parse_options(options: Mapping[str, Any]) -> tuple[DataOptions, DescentOptions]:
    """The values of the options that commands share, by their names; those that a command lacks keep their defaults.

    Raises:
        SettingError: a value cannot be read.
    """
    data = _parse_data_options(options)
    return data, DescentOptions(_parse_settings(options, data.is_lesson))


def _parse_data_options(options: Mapping[str, Any]) -> DataOptions:
    for name in options["data"]:
        if name.endswith(PROGRAM_SUFFIXES):
            raise SettingError("program_as_data", path=name)
    features, drop, categories = options["features"], options["drop"], options["categories"]
    return DataOptions(
        names=tuple(options["data"]),
        features=split_at_commas(features) if features else None,
        drop=split_at_commas(drop) if drop else None,
        categories=categories if categories in (None, AUTO) else split_at_commas(categories),
        csv_options=parse_csv_options(options),
        executor=parse_executor(options["workers"], options["on"]),
        **{name: options[name] for name in DATA_OPTIONS_AS_GIVEN if name in options},
    )


def parse_csv_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was said about CSV files."""
    csv_options = {name: options[name] for name in CSV_OPTIONS if options[name] is not None}
    if "na" in csv_options:
        csv_options["na"] = split_at_commas(csv_options["na"])
    return csv_options


def parse_executor(workers: Any, on: str | None) -> Executor | None:
    """Where rows are read, if that was said."""
    workers = None if workers is None else check_int("workers", workers, 1)
    if on is None:
        return None if workers is None else Threads(workers)
    if on != "dask" and not on.startswith(DASK_SCHEME):
        raise SettingError("unknown_engine_address", given=on)
    return Dask(on, workers)


def _parse_settings(options: Mapping[str, Any], is_lesson: bool) -> dict[str, Any]:
    """The keywords of a descent. Without a rate, the lesson takes its own: lr 0.01 on the summed gradient."""
    settings = {name: options[name] for name in DESCENT_FIELDS if options.get(name) is not None}
    settings["zero_grad"] = not options.get("forget_zero_grad", False)
    settings["options"] = dict(_parse_optimizer_option(text) for text in options.get("option", ()))
    if is_lesson:
        if "lr" not in settings:
            settings = {"reduction": "sum"} | settings | {"lr": 0.01}
        settings.setdefault("epochs", 10)
    if "start" in settings:
        settings["start"] = [_parse_float(value) for value in settings["start"].split(",")]
    return settings


def format_notice(notice: Message | str) -> str:
    """A notice as a line of its own."""
    return click.style(f"{message('cli.note')} ", fg="yellow") + str(notice)


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
    """Write an output file; raises SettingError if that fails."""
    try:
        writer(output)
    except OSError as cause:
        raise SettingError("unwritable", path=output, cause=cause.strerror or str(cause)) from cause


def save_model(model: Model, path: str) -> list[str]:
    """Write a model file; returns the lines that say how to predict with it, and why without intervals if so."""
    write_output(path, model.save)
    command = format_command("predict", path, "NEW.csv")
    lines = [message("cli.model_saved", path=path, command=command).text()]
    if model.no_interval is not None:
        lines.append(message("model.without_intervals", reason=model.no_interval).text())
    return lines


def split_at_commas(names: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in names.split(",") if name.strip()]


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
