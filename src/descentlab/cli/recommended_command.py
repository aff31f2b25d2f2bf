"""The command of this process with the settings that a diagnosis recommends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource

from descentlab.cli.options import data_options, public_name, step_options
from descentlab.doctor.code import format_code_value
from descentlab.messages import format_command

# Settings of Python that are options of another name; a flag that a setting turns off is left out.
OPTION_NAMES = {"zero_grad": "forget_zero_grad", "options": "option"}
DEFAULT_REDUCTION = "mean"
LEFT_OUT: tuple[object, ...] = (None, False, "SGD", {})  # values that are the default of their option


def recommended_command(settings: Mapping[str, object], reduction: str, *, is_public: bool = False) -> str:
    """``descentlab run`` with the options that were given, changed by these settings of a recommendation.

    The reduction is named if it is not the default: that of the lesson depends on whether a rate is given.

    Args:
        settings: those that change.
        reduction: of the descent.
        is_public: whether others may read it; then files have no folders.
    """
    context = click.get_current_context()
    values = {
        param.name: context.params[param.name]
        for param in _run_parameters()
        if param.name in context.params and context.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    }
    if is_public:
        values["data"] = tuple(public_name(str(path)) for path in values.get("data", ()))
    if reduction != DEFAULT_REDUCTION:
        values["reduction"] = reduction
    for name, value in settings.items():
        values[OPTION_NAMES.get(name, name)] = None if name in OPTION_NAMES or value in LEFT_OUT else value
    arguments = (text for param in _run_parameters() for text in _arguments(param, values.get(param.name)))
    return format_command("run", *arguments)


def _run_parameters() -> list[click.Parameter]:
    return [*data_options(), *step_options()]


def _arguments(param: click.Parameter, value: Any) -> Iterator[str]:
    """A parameter as it is typed; nothing for None."""
    if value is None:
        return
    if isinstance(param, click.Argument):
        yield from map(str, value)
    elif isinstance(value, bool):
        yield from (param.opts if value else param.secondary_opts)[:1]
    else:
        for each in value if isinstance(value, tuple) else (value,):
            text = format_code_value(each) if isinstance(each, float) else str(each)
            yield from (f"{param.opts[0]}={text}",) if text.startswith("-") else (param.opts[0], text)
