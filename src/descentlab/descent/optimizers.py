"""The optimizers of ``torch.optim`` by name: which of them can step here, and one made from the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from descentlab.errors import SettingError, did_you_mean
from descentlab.messages import Message, message

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent


NEEDS_CLOSURE = ("lbfgs",)  # these ask for the cost at points of their own choosing
NEEDS_MATRICES = ("muon",)  # these orthogonalise matrices, and W and b are vectors
NEEDS_SPARSE_GRADIENTS = ("sparseadam",)  # these take sparse gradients, and those of least squares are dense


def unsupported_optimizer_reason(name: str, *, supports_closure: bool) -> Message | None:
    """Why an engine cannot step with the optimizer of that name, or None; no torch is loaded for it.

    Args:
        name: as in ``torch.optim``, in upper or lower case; an unknown one is for :func:`make_optimizer` to refuse.
        supports_closure: whether the engine answers for the cost and its gradient as often as the optimizer asks.
    """
    lower = name.lower()
    if lower in NEEDS_MATRICES:
        return message("refuses.matrices", optimizer=name)
    if lower in NEEDS_SPARSE_GRADIENTS:
        return message("refuses.sparse", optimizer=name)
    if lower in NEEDS_CLOSURE and not supports_closure:
        return message("refuses.closure", optimizer=name)
    return None


def make_optimizer(torch: Any, parameters: list[Any], descent: Descent) -> Any:
    """The optimizer of ``torch.optim`` that the settings name.

    Args:
        torch: the module, loaded by the engine that needs it.
        parameters: the tensors to move.
        descent: its ``optimizer`` by name, ``options``, and those of its other settings that are not the default.

    Raises:
        SettingError: there is none of that name, or it does not take these settings.
    """
    optimizer_classes = {
        name.lower(): getattr(torch.optim, name)
        for name in dir(torch.optim)
        if isinstance(getattr(torch.optim, name), type)
        and name.lower() not in ("optimizer", *NEEDS_MATRICES, *NEEDS_SPARSE_GRADIENTS)
    }
    optimizer_class = optimizer_classes.get(descent.optimizer.lower())
    if optimizer_class is None:
        names = tuple(sorted(each.__name__ for each in optimizer_classes.values()))
        hint = did_you_mean(descent.optimizer, names)
        raise SettingError("not_one_of", setting="optimizer", given=repr(descent.optimizer), allowed=names, near=hint)
    keyword_arguments: dict[str, object] = {"lr": descent.lr, **descent.options}
    for name, default in (("momentum", 0.0), ("dampening", 0.0), ("nesterov", False), ("weight_decay", 0.0)):
        if descent.is_sgd or getattr(descent, name) != default:
            keyword_arguments[name] = getattr(descent, name)
    try:
        return optimizer_class(parameters, **keyword_arguments)
    except (TypeError, ValueError, RuntimeError) as cause:
        raise SettingError("optimizer_settings", optimizer=optimizer_class.__name__, cause=str(cause)) from cause


def take_step(optimizer: Any, closure: Callable[[], float] | None = None) -> None:
    """One step of an optimizer of ``torch.optim``.

    Raises:
        SettingError: torch finds out only now that it cannot do what its options ask.
    """
    try:
        optimizer.step(closure)
    except (ArithmeticError, AssertionError, RuntimeError) as cause:
        raise SettingError("optimizer_settings", optimizer=type(optimizer).__name__, cause=str(cause)) from cause
