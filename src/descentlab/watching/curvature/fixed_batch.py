"""The loss of a batch that stays the same, evaluated on copies, so that the loop is not affected.

Curvatures of different steps compare only if they are of the same rows. The copies replace the model's parameters
during the whole measurement, not only during the call: checkpointed parts are computed again in the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from descentlab.errors import EngineError, SettingError
from descentlab.watching.hooks import UncopiedHook
from descentlab.watching.inspect.nonfinite import any_nonfinite, iter_tensors
from descentlab.watching.state_guard import preserve_module_state

DETERMINISTIC_RTOL = 1e-5  # of a loss: sums in another order differ by less, dropout by more
EvaluatedT = TypeVar("EvaluatedT")


class FixedBatchLoss:
    """The loss ``loss_fn(model(X), y)`` of one batch.

    Args:
        model, loss_fn: what the loop calls.
        probe: (X, y); tensors are copied, so that later changes do not matter.

    Attributes:
        n_rows: of X; None if X is not a tensor.
        used_eval_mode: whether random layers made it necessary to evaluate in evaluation mode.

    Raises:
        SettingError: there is no loss function to call, the probe is not a pair, or holds NaN or infinity.
    """

    def __init__(self, model: Any, loss_fn: Any, probe: Any) -> None:
        if loss_fn is None:
            raise SettingError("watch_probe_loss")
        if not isinstance(probe, tuple | list) or len(probe) != 2:
            raise SettingError("watch_probe", given=type(probe).__name__)
        if any_nonfinite(iter_tensors(probe)):
            raise SettingError("watch_probe_finite")
        self.X, self.y = (_detached_copy(each) for each in probe)
        self.n_rows = len(self.X) if getattr(self.X, "ndim", 0) else None
        self.used_eval_mode = False
        self._model_and_loss = _combine_model_and_loss(model, loss_fn)

    def evaluate(
        self, parameters: Sequence[Any], function: Callable[[Any, list[Any]], EvaluatedT]
    ) -> EvaluatedT | None:
        """The result of ``function(loss, copies)``; None if the loss is not finite.

        Args:
            parameters: those that the optimizer moves; the function gets copies of them, in this order.
            function: gets the loss with its graph, and the copies.

        Raises:
            EngineError: the loss is not a single number, is random even in evaluation mode, or does not depend on the
                parameters; or forward hooks of the loop's own would be called.
        """
        if any(map(_has_user_forward_hooks, self._model_and_loss.modules())):
            raise EngineError("watch_probe_hooks")
        if not self.used_eval_mode and not self._is_deterministic():
            self.used_eval_mode = True
            if not self._is_deterministic():
                self.used_eval_mode = False
                raise EngineError("watch_probe_random")
        copies = {name: each.detach().clone() for name, each in self._model_and_loss.named_parameters()}
        names_by_id = {id(each): name for name, each in self._model_and_loss.named_parameters()}
        for each in parameters:
            copies.setdefault(names_by_id.setdefault(id(each), f"?{len(names_by_id)}"), each.detach().clone())
        param_copies = [copies[names_by_id[id(each)]].requires_grad_() for each in parameters]

        def apply_function(loss: Any) -> EvaluatedT | None:
            value = _scalar_loss(loss)
            try:
                if not loss.requires_grad:
                    raise LookupError
                return function(loss, param_copies) if math.isfinite(value) else None
            except LookupError:
                raise EngineError("watch_probe_apart") from None

        result: EvaluatedT | None = self._call_on_copies(
            {name: each for name, each in copies.items() if name[0] != "?"}, apply_function
        )
        return result

    def loss_in_eval_mode(self) -> float:
        """The loss in evaluation mode, without a gradient.

        Raises:
            EngineError: the loss is not a single number.
        """
        import torch

        kept, self.used_eval_mode = self.used_eval_mode, True
        copies = {name: each.detach() for name, each in self._model_and_loss.named_parameters()}
        try:
            with torch.no_grad():
                return float(self._call_on_copies(copies, _scalar_loss))
        finally:
            self.used_eval_mode = kept

    def _is_deterministic(self) -> bool:
        """Whether two evaluations come to the same loss."""
        import torch

        copies = {name: each.detach() for name, each in self._model_and_loss.named_parameters()}
        with torch.no_grad():
            first, second = (self._call_on_copies(copies, _scalar_loss) for _ in range(2))
        if not (math.isfinite(first) and math.isfinite(second)):
            return math.isfinite(first) == math.isfinite(second)
        return bool(abs(first - second) <= DETERMINISTIC_RTOL * max(abs(first), abs(second)))

    def _call_on_copies(self, parameters: dict[str, Any], function: Callable[[Any], Any]) -> Any:
        """Call ``function`` on the loss, with copies of parameters and buffers, and without the hooks of a watch."""
        import torch

        buffers = {name: each.detach().clone() for name, each in self._model_and_loss.named_buffers()}
        with preserve_module_state(self._model_and_loss):
            for module in self._model_and_loss.modules():
                module.training = module.training and not self.used_eval_mode
                for hooks in (module._forward_hooks, module._forward_pre_hooks):
                    for key in [key for key, hook in hooks.items() if isinstance(hook, UncopiedHook)]:
                        del hooks[key]
            return torch.func.functional_call(
                self._model_and_loss, parameters | buffers, (_detached_copy(self.X), _detached_copy(self.y), function)
            )


def _combine_model_and_loss(model: Any, loss_fn: Any) -> Any:
    """A model and its loss as one module, so that a penalty on parameters inside the loss also uses the copies."""
    import torch

    class ModelAndLoss(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.loss_fn = model, loss_fn

        def forward(self, X: Any, y: Any, function: Callable[[Any], Any]) -> Any:
            return function(self.loss_fn(self.model(X), y))

    return ModelAndLoss()


def _has_user_forward_hooks(module: Any) -> bool:
    """Whether a module has forward hooks that may keep something; those of torch (weight norm, pruning) do not."""
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    hook_modules = [getattr(each, "__module__", None) or "" for each in hooks if not isinstance(each, UncopiedHook)]
    return any(not each.startswith("torch.") for each in hook_modules)


def _scalar_loss(loss: Any) -> float:
    if getattr(loss, "numel", lambda: 0)() != 1:
        raise EngineError("watch_probe_scalar")
    return float(loss.detach())


def _detached_copy(value: Any) -> Any:
    return value.detach().clone() if hasattr(value, "detach") else value
