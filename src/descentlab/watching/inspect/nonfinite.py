"""The first tensor that holds a NaN or an infinity, by name: batch, target, gradient, parameter, submodule, loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from descentlab.messages import Message, message, pluralize
from descentlab.watching.state_guard import preserve_state


class NonfiniteOrigin(NamedTuple):
    """The place where the first number was not finite.

    Attributes:
        where: ``input``, ``target``, ``gradient``, ``parameter``, ``output`` or ``loss``; ``unseen`` if the model
            could not be called again, so that it may also be an output.
        name: which parameter or submodule.
        step: the updates that had been made when it happened; for a gradient, the update that used it, from 1.
    """

    where: str
    name: str
    step: int

    @property
    def location_message(self) -> Message:
        """The place in words."""
        values = {"name": self.name, "step": self.step}
        return {
            "input": message("watch.at_input", step=self.step + 1),
            "target": message("watch.at_target", step=self.step + 1),
            "gradient": message("watch.at_gradient", **values),
            "parameter": message("watch.at_parameter", name=self.name, updates=pluralize(self.step, "update")),
            "output": message("watch.at_output", name=self.name, step=self.step + 1),
            "loss": message("watch.at_loss", step=self.step + 1),
            "unseen": message("watch.at_unseen", step=self.step + 1),
        }[self.where]


def iter_tensors(value: Any) -> Iterator[Any]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    if hasattr(value, "detach") and hasattr(value, "grad_fn"):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from iter_tensors(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from iter_tensors(each)


def any_nonfinite(values: Iterable[Any]) -> bool:
    """Whether any of these tensors holds a number that is not finite."""
    return any(not bool(_stored_values(each).isfinite().all()) for each in values if each.is_floating_point())


def _stored_values(tensor: Any) -> Any:
    """The numbers that a tensor holds; of a sparse one those that are not left out."""
    tensor = tensor.detach()
    if str(tensor.layout) == "torch.strided":
        return tensor
    return (tensor.coalesce() if tensor.is_sparse else tensor).values()


def locate_nonfinite(
    model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], target: Any, gradient_name: str | None, step: int
) -> NonfiniteOrigin:
    """Find the origin of a loss that is not finite.

    Args:
        model: its parameters are checked; then it is called once more, on copies of its state.
        args, kwargs: of its last call.
        target: the tensor that its output was compared with, or None.
        gradient_name: the parameter whose gradient was not finite at the last update, or None.
        step: the updates made so far.
    """
    if any_nonfinite(iter_tensors((args, kwargs))):
        return NonfiniteOrigin("input", "", step)
    if target is not None and any_nonfinite(iter_tensors(target)):
        return NonfiniteOrigin("target", "", step)
    nonfinite_params = [name for name, parameter in model.named_parameters() if any_nonfinite([parameter])]
    if nonfinite_params and gradient_name is not None:
        return NonfiniteOrigin("gradient", gradient_name, step)
    if nonfinite_params:
        return NonfiniteOrigin("parameter", nonfinite_params[0], step)
    where, name = _first_nonfinite_submodule(model, args, kwargs)
    return NonfiniteOrigin(where, name, step)


def _first_nonfinite_submodule(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
    """``output`` and the first submodule, in the order of the calls, whose output is not finite; else ``loss``."""
    import torch

    nonfinite_names: list[str] = []

    def make_hook(name: str) -> Any:
        return lambda _module, _args, output: (
            nonfinite_names.append(name) if any_nonfinite(iter_tensors(output)) else None
        )

    handles = [each.register_forward_hook(make_hook(name)) for name, each in model.named_modules() if name]
    copies = {name: each.detach().clone() for name, each in (*model.named_parameters(), *model.named_buffers())}
    try:
        with torch.no_grad(), preserve_state(model):
            output = torch.func.functional_call(model, copies, args, kwargs)
    except Exception:  # the model does not accept a second call
        return ("output", nonfinite_names[0]) if nonfinite_names else ("unseen", "")
    finally:
        for handle in handles:
            handle.remove()
    if nonfinite_names:
        return "output", nonfinite_names[0]
    return ("output", type(model).__name__) if any_nonfinite(iter_tensors(output)) else ("loss", "")
