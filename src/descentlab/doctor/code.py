"""A recommendation as lines to paste: into a loop in NumPy or PyTorch, or after a problem of descentlab."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.recommendation import Recommendation
from descentlab.messages import message
from descentlab.problem.problem import Problem
from descentlab.theory.learning_rates import shortest_repr
from descentlab.typing import FloatArray

CODE_LANGUAGES = ("descentlab", "numpy", "torch")
LOOP_SETTINGS = ("lr", "momentum", "epochs")  # variables of a loop in NumPy
SGD_SETTINGS = ("lr", "momentum", "dampening", "nesterov", "weight_decay")  # arguments of torch.optim.SGD


def code_lines(language: str, problem: Problem, descent: Descent, recommendation: Recommendation) -> tuple[str, ...]:
    """The lines that change a program in one of :data:`CODE_LANGUAGES` as recommended.

    A loop is expected to call the columns X, the sample weights w, and the parameters W and b, or model.

    >>> import descentlab as dl
    >>> problem = dl.Problem([2104.0, 1600.0, 2400.0, 1416.0], [399.9, 329.9, 369.0, 232.0])
    >>> code_lines("numpy", problem, dl.Descent(lr=0.1), dl.diagnose(problem, lr=0.1).recommendation)
    ('X = (X - X.mean(0)) / X.std(0)', 'lr = 0.5')
    """
    if language == "descentlab":
        return tuple(_descentlab_lines(descent, recommendation))
    in_torch = language == "torch"
    settings_lines = _torch_lines(descent, recommendation) if in_torch else _numpy_lines(recommendation)
    return (*_scaling_lines(problem, descent, recommendation.settings, in_torch), *settings_lines)


def _descentlab_lines(descent: Descent, recommendation: Recommendation) -> Iterator[str]:
    scaling = {name: value for name, value in recommendation.settings.items() if not hasattr(descent, name)}
    if scaling:
        yield f"problem = problem.with_changes({_keywords(scaling)})"
    given = {each.name: getattr(descent, each.name) for each in fields(Descent)}
    defaults = vars(Descent(lr=1.0))
    settings = given | {name: value for name, value in recommendation.settings.items() if name in given}
    changed = {
        name: value for name, value in settings.items() if name == "lr" or not np.array_equal(value, defaults[name])
    }
    yield f"run = dl.descend(problem, {_keywords(changed)})"


def _keywords(settings: dict[str, object]) -> str:
    return ", ".join(f"{name}={format_code_value(value)}" for name, value in settings.items())


def format_code_value(value: object) -> str:
    """A setting as it is written in Python.

    >>> format_code_value(0.5), format_code_value(1.0), format_code_value("sum"), format_code_value((1.0, 2.0))
    ('0.5', '1', '"sum"', '[1.0, 2.0]')
    """
    if isinstance(value, float):
        return shortest_repr(value)
    if isinstance(value, bool | int | dict) or value is None:
        return repr(value)
    is_array = hasattr(value, "__len__") and not isinstance(value, str)
    return repr(np.asarray(value).tolist()) if is_array else json.dumps(str(value), ensure_ascii=False)


def _numpy_lines(recommendation: Recommendation) -> Iterator[str]:
    settings = recommendation.settings
    names = [name for name in LOOP_SETTINGS if name in settings]
    if names:
        yield f"{', '.join(names)} = {', '.join(format_code_value(settings[name]) for name in names)}"
    if settings.get("momentum") or settings.get("nesterov") is False:
        yield f"# {message('code.in_the_loop')} velocity = momentum * velocity + gradient; W = W - lr * velocity"
    elif {"optimizer", "schedule", "momentum"} & settings.keys():
        yield f"# {message('code.in_the_loop')} W = W - lr * gradient"
    if "zero_grad" in settings:
        yield f"# {message('code.in_the_loop')} gradient = ..., {message('code.not_accumulated')}"


def _torch_lines(descent: Descent, recommendation: Recommendation) -> Iterator[str]:
    settings = recommendation.settings
    arguments = {name: settings.get(name, getattr(descent, name)) for name in SGD_SETTINGS}
    if settings.keys() & {*SGD_SETTINGS, "optimizer", "schedule"}:
        given = {name: value for name, value in arguments.items() if value or name == "lr"}
        yield f"optimizer = torch.optim.SGD(model.parameters(), {_keywords(given)})"
    if "epochs" in settings:
        yield f"epochs = {settings['epochs']}"
    if "schedule" in settings:
        yield f"# {message('code.no_scheduler')}"
    if "zero_grad" in settings:
        yield f"optimizer.zero_grad()  # {message('code.before_backward')}"


def _scaling_lines(problem: Problem, descent: Descent, settings: Mapping[str, object], in_torch: bool) -> Iterator[str]:
    """What centers or standardizes X, and moves a start that is not zero along with it."""
    divides, centers = "standardize" in settings, "center" in settings or ("standardize" in settings and problem.bias)
    if not (divides or centers):
        return
    is_weighted = problem.weight != problem.n or (problem.has_rows and problem.selection.weights is not None)
    mean = "w @ X / w.sum()" if is_weighted else "X.mean(0)"
    std = "X.std(0, unbiased=False)" if in_torch else "X.std(0)"
    std = "(w @ (X - m) ** 2 / w.sum()) ** 0.5" if is_weighted else std
    std = std if centers else f"({mean.replace('X', 'X**2' if is_weighted else '(X**2)')}) ** 0.5"
    unchanging = np.flatnonzero(_column_scales(problem) == 0).tolist() if divides else []
    moves_start = bool(np.any(problem.scaled_params(descent.start)))
    if is_weighted or moves_start or unchanging:
        yield from [f"m = {mean}"] * centers + [f"s = {std}"] * divides
        mean, std = "m", "s"
    if unchanging:
        names = ", ".join(f"`{problem.features[j]}`" for j in unchanging)
        yield f"s[{unchanging}] = 1  # {message('code.unchanging', names=names)}"
    centered = f"X - {mean}" if centers else "X"
    yield f"X = ({centered}) / {std}" if divides and centers else f"X = X / {std}" if divides else f"X = {centered}"
    if moves_start:
        W, b = ("model.weight.data", "model.bias.data") if in_torch else ("W", "b")
        yield from [f"{b} = {b} + {W} @ m"] * centers + [f"{W} = {W} * s"] * divides


def _column_scales(problem: Problem) -> FloatArray:
    """(d,) what standardizing divides by."""
    factor, d = problem.factor, len(problem.features)
    spread = np.where(factor.is_constant, 0.0, factor.std)
    return (spread if problem.bias else np.hypot(factor.std, factor.means))[:d]
