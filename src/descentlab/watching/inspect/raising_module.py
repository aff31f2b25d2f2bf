"""The module in whose ``forward`` an exception was raised, and the shapes that it was given."""

from __future__ import annotations

from types import FrameType
from typing import Any, NamedTuple

MAX_DESCRIPTION = 100  # characters of a module's own description


class RaisingModule(NamedTuple):
    """A module as its owner knows it.

    Attributes:
        name: in the model, such as ``fc1``; ``model`` for the model itself; its class, where it is not in the model.
        description: such as ``Linear(in_features=3, out_features=1, bias=True)``; its class, where that is long.
        shapes: of the tensors among its arguments.
    """

    name: str
    description: str
    shapes: tuple[str, ...]


def find_raising_module(error: BaseException | None, model: Any) -> RaisingModule | None:
    """The innermost module that was running when an exception was raised; None if none was."""
    import torch

    frame: FrameType | None = None
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        candidate = trace.tb_frame
        if candidate.f_code.co_name == "forward" and issubclass(type(candidate.f_locals.get("self")), torch.nn.Module):
            frame = candidate
        trace = trace.tb_next
    return None if frame is None else _describe(frame, model)


def _describe(frame: FrameType, model: Any) -> RaisingModule:
    import torch

    module = frame.f_locals["self"]
    class_name, description = type(module).__name__, repr(module)
    names = {id(each): name for name, each in model.named_modules()}
    arguments = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
    values: list[Any] = [frame.f_locals.get(name) for name in arguments]
    return RaisingModule(
        names.get(id(module), class_name) or "model",
        class_name if len(description) > MAX_DESCRIPTION or "\n" in description else description,
        tuple(str(tuple(each.shape)) for each in values if issubclass(type(each), torch.Tensor)),
    )
