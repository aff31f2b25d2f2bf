"""The optimizers of ``torch.optim`` by name, and one made from the settings of a descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from descentlab.descent.descent import Descent
from descentlab.errors import SettingError, did_you_mean

NEEDS_CLOSURE = ("lbfgs",)  # these evaluate the cost at several points per step
NEEDS_MATRICES = ("muon",)  # these orthogonalize matrices, and W and b are vectors
NEEDS_SPARSE_GRADIENTS = ("sparseadam",)  # these take sparse gradients, and those of least squares are dense


def make_optimizer(torch: Any, parameters: list[Any], descent: Descent) -> Any:
    """The optimizer of ``torch.optim`` that the settings name.

    Args:
        torch: the module, loaded by the engine that needs it.
        parameters: the tensors to move.
        descent: provides ``optimizer``, ``options``, and its other settings that differ from the default.

    Raises:
        SettingError: the name is unknown, or the optimizer does not take these settings.
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
        SettingError: torch rejects the options at the first step.
    """
    try:
        optimizer.step(closure)
    except (ArithmeticError, AssertionError, RuntimeError) as cause:
        raise SettingError("optimizer_settings", optimizer=type(optimizer).__name__, cause=str(cause)) from cause
