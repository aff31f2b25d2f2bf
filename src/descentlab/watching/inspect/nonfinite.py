"""The first tensor that holds a NaN or an infinity, by name: batch, target, gradient, parameter, submodule, loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from descentlab.messages import Sentence, counted, sentence
from descentlab.watching.state_guard import untouched


class Trouble(NamedTuple):
    """Where numbers first stopped being finite.

    Attributes:
        kind: ``input``, ``target``, ``gradient``, ``parameter``, ``output`` or ``loss``.
        name: which parameter or submodule.
        step: the updates that had been made when it happened; for a gradient, the update that used it, from 1.
    """

    kind: str
    name: str
    step: int

    @property
    def words(self) -> Sentence:
        """Where it was, in words."""
        values = {"name": self.name, "step": self.step}
        return {
            "input": sentence("watch.at_input", step=self.step + 1),
            "target": sentence("watch.at_target", step=self.step + 1),
            "gradient": sentence("watch.at_gradient", **values),
            "parameter": sentence("watch.at_parameter", name=self.name, updates=counted(self.step, "update")),
            "output": sentence("watch.at_output", name=self.name, step=self.step + 1),
            "loss": sentence("watch.at_loss", step=self.step + 1),
        }[self.kind]


def tensors(value: Any) -> Iterator[Any]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    if hasattr(value, "detach") and hasattr(value, "grad_fn"):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors(each)


def broken(values: Iterable[Any]) -> bool:
    """Whether any of these tensors holds a number that is not finite."""
    return any(not bool(each.detach().isfinite().all()) for each in values if each.is_floating_point())


def locate(
    model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], target: Any, gradient: str | None, step: int
) -> Trouble:
    """Where a loss that is not finite comes from.

    Args:
        model: its parameters are looked at, then it is called once more, on copies of its state.
        args, kwargs: what it was called with.
        target: what its output was compared with, or None.
        gradient: the parameter whose gradient was not finite at the last update, or None.
        step: the updates made so far.
    """
    if broken(tensors((args, kwargs))):
        return Trouble("input", "", step)
    if target is not None and broken(tensors(target)):
        return Trouble("target", "", step)
    wrong = [name for name, parameter in model.named_parameters() if broken([parameter])]
    if wrong and gradient is not None:
        return Trouble("gradient", gradient, step)
    if wrong:
        return Trouble("parameter", wrong[0], step)
    name = _submodule(model, args, kwargs)
    return Trouble("loss", "", step) if name is None else Trouble("output", name, step)


def _submodule(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The first submodule, in the order of their work, whose output is not finite; None where all are."""
    import torch

    found: list[str] = []

    def look(name: str) -> Any:
        return lambda _module, _args, output: found.append(name) if broken(tensors(output)) else None

    handles = [each.register_forward_hook(look(name)) for name, each in model.named_modules() if name]
    copies = {name: each.detach().clone() for name, each in (*model.named_parameters(), *model.named_buffers())}
    try:
        with torch.no_grad(), untouched(model):
            output = torch.func.functional_call(model, copies, args, kwargs)
    except Exception:  # the model refuses a second call: then no submodule is accused
        output = None
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    return type(model).__name__ if broken(tensors(output)) else None
