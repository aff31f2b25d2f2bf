"""Records what the hooks report at each step; :mod:`descentlab.watching.rules` draws the conclusions."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

from descentlab.watching.by_hand import UpdatesByHand
from descentlab.watching.curvature.probe import CurvatureProbe
from descentlab.watching.history import WatchHistory
from descentlab.watching.hooks import find_watch_hook_ids, noop, paused_hooks
from descentlab.watching.inspect.early_losses import EarlyLossInfo
from descentlab.watching.inspect.gradients import OptimizerGradients
from descentlab.watching.inspect.loop_checks import SameBatchCheck, TrainEvalCount, ZeroGradCheck
from descentlab.watching.inspect.loss_graph import find_saved_target
from descentlab.watching.inspect.nonfinite import NonfiniteOrigin, iter_tensors, locate_nonfinite
from descentlab.watching.inspect.output_format import are_arguments_swapped
from descentlab.watching.inspect.unregistered_parameters import unregistered_parameters
from descentlab.watching.pace import DETAILED_STEPS, DetailPace
from descentlab.watching.sampling.comparison import find_loss_scale
from descentlab.watching.sampling.sampler import LoopSampler
from descentlab.watching.sampling.validation import ValidationLosses
from descentlab.watching.state_guard import get_rng_states, has_foreign_hooks, same_rng_states

MAX_COMPARED_PARAM_VALUES = 1_000_000  # of a parameter, which is compared with its start
N_CLEARED_VALUES = 16  # of a gradient: if they are 0 it was cleared
N_SAMPLED_PARAMS = 2  # at which the arrival of gradients is observed


class LoopRecorder:
    """Records one loop; its methods are called by the hooks of :class:`descentlab.watching.hooks.HookSet`.

    Attributes:
        model, optimizer: the watched objects; nothing here writes to them.
        history: losses, rates and curvatures by step.
        forward_passes, backward_passes: calls of the model with a graph, and backward passes that reached it.
        last_loss: the last loss.
        nonfinite: the first tensor that was not finite.
        unregistered: parameters that the model uses and that are not registered in it, by name.
        curvature_probe, gradients, zero_grad_check, train_eval_count, same_batch_check, early_losses: each checks one
            thing.
        internal_error: the first error of the watch itself.
        pace, is_detailed: what decides how closely a step is looked at, and whether the present one is.
        stop_watching_forward_start: called when the random numbers of the first call have been seen.
        show_details: called with whether the hooks that only a detailed step needs are wanted.
        listeners: called after each step, for the live line and the log.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        curvature_probe: CurvatureProbe,
        check_every_step: bool,
        validation: ValidationLosses,
    ) -> None:
        import torch

        self.pace, self.is_detailed = DetailPace(curvature_probe.trend), True

        self.torch, self.model, self.optimizer = torch, model, optimizer
        self.check_every_step, self.curvature_probe = check_every_step, curvature_probe
        self.unregistered = unregistered_parameters(model)
        named_params = (*self.unregistered.items(), *model.named_parameters())
        self.param_names = {id(parameter): name for name, parameter in named_params}
        self.gradients = OptimizerGradients(optimizer, self.param_names)
        optimized = self.gradients.parameters
        self.sampled_params = _first_and_last(
            [p for p in (*model.parameters(), *optimized) if p.requires_grad and p.is_leaf]
        )
        self.optimizer_holds_sampled = set(map(id, self.sampled_params)) <= set(map(id, optimized))
        frozen = [p for p in model.parameters() if not p.requires_grad]
        self.frozen_at_start = set(map(id, frozen))
        self.initial_values = {
            id(p): _subsample(p).clone() for p in (*self.sampled_params, *self.params_missing_from_optimizer(), *frozen)
        }
        self.sampler = LoopSampler(
            model, optimizer, {*self.param_names, *map(id, optimized)}, validation, self.on_internal_error
        )
        self.sampler.overwrites.begin(optimized)
        self.sampler.arm(0)
        self.history, self.early_losses, self.zero_grad_check = WatchHistory(), EarlyLossInfo(), ZeroGradCheck()
        self.train_eval_count, self.same_batch_check = TrainEvalCount(), SameBatchCheck()
        self.forward_passes = self.backward_passes = self.backward_calls = 0
        self.last_loss = math.nan
        self.nonfinite: NonfiniteOrigin | None = None
        self.loss_args: tuple[Any, ...] = ()
        self.uses_randomness = self.loss_is_detached = False
        self.internal_error: Exception | None = None
        self.listeners: list[Callable[[], None]] = []
        self.stop_watching_forward_start: Callable[[], None] = noop
        self.show_details: Callable[[bool], None] = noop
        self._by_hand = optimizer if isinstance(optimizer, UpdatesByHand) else None
        self._sees_gradients, self._calls_this_step, self._backward_began = True, 0, 0.0
        self._is_measuring = self._arrived_this_pass = self._ever_arrived = False
        self._forward_args: tuple[Any, ...] = ()
        self._forward_kwargs: dict[str, Any] = {}
        self._output_node: Any = None
        self._output: Any = None
        self._rng_states: Any = None
        self._nonfinite_candidate: NonfiniteOrigin | None = None
        self._current_loss = math.nan
        self._passes_since_step = 0
        self._is_cleared = True
        self.steps_without_pass = 0
        self.loss_scale = 1.0

    @property
    def steps(self) -> int:
        return self.history.steps

    @property
    def gradient_arrived(self) -> bool:
        """Whether any backward pass has reached a sampled parameter."""
        return self._ever_arrived

    def params_missing_from_optimizer(self) -> list[Any]:
        """Parameters that require a gradient and are not in the optimizer, registered in the model or not."""
        optimized_ids = set(map(id, self.gradients.parameters))
        all_params = (*self.model.parameters(), *self.unregistered.values())
        return [p for p in all_params if p.requires_grad and id(p) not in optimized_ids]

    def is_unchanged(self, parameter: Any) -> bool:
        """Whether a sampled parameter, or one that is not in the optimizer, is where it was at the start."""
        return bool(_subsample(parameter).equal(self.initial_values[id(parameter)]))

    def on_internal_error(self, error: Exception) -> None:
        self.internal_error = self.internal_error or error

    def on_forward_start(self, module: Any, args: tuple[Any, ...]) -> None:
        if not self._is_measuring and self.torch.is_grad_enabled():
            self._rng_states = get_rng_states(self.torch)

    def on_forward_end(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if self._is_measuring or not self.torch.is_grad_enabled():
            return
        if self.forward_passes == 0:
            if self._rng_states is not None:  # a watch that began during the first call has not seen its start
                self.uses_randomness = not same_rng_states(self.torch, self._rng_states, get_rng_states(self.torch))
            self._rng_states = None
            self.stop_watching_forward_start()
        self.forward_passes += 1
        self.steps_without_pass = -1  # the step that it is for
        self._forward_args, self._forward_kwargs = args, kwargs
        if self.is_detailed and (self.backward_passes < DETAILED_STEPS or self.sampler.is_armed):
            tensors = list(iter_tensors(output))
            tensor = tensors[0] if tensors else None
            self.sampler.has_one_output = len(tensors) == 1
            self._output_node = None if tensor is None else tensor.grad_fn
            self._output = None if tensor is None else tensor.detach()

    def on_loss_call(self, module: Any, args: tuple[Any, ...]) -> None:
        if not self._is_measuring and self.torch.is_grad_enabled():
            self.loss_args = args
            if are_arguments_swapped(module, args):
                self.early_losses.output_defect = "swapped"

    def on_gradient(self, parameter: Any, gradient: Any) -> None:
        if self._is_measuring:
            return
        self._arrived_this_pass = self._ever_arrived = True
        if self.is_detailed:
            self.gradients.record_arrival(parameter, gradient)
            if self.optimizer_holds_sampled and not self.zero_grad_check.has_new_gradient:
                self.zero_grad_check.has_new_gradient = bool(gradient.any())

    def on_backward_start(self, losses: Any) -> None:
        if self._is_measuring:
            return
        self.catch_up()
        loss = losses if hasattr(losses, "detach") else losses[0]
        self.backward_calls += 1
        self._calls_this_step += 1
        if self._calls_this_step > 1 and not self._sees_gradients:
            self._show_details(True)  # of several passes in a step, not all may be of this model
        self._arrived_this_pass, self._nonfinite_candidate = not self._sees_gradients, None
        self.loss_is_detached = not loss.requires_grad
        self._current_loss = value = self._read_loss(loss)
        if value - value != 0 and loss.numel() == 1 and self.nonfinite is None:
            self._nonfinite_candidate = self._locate_nonfinite(loss)
        if self.zero_grad_check.awaits_backward:
            self.zero_grad_check.before_backward()
        if self._sees_gradients:  # elsewhere a step is one pass, and the loss is its own
            self._is_cleared = self._gradients_are_cleared()
            self.sampler.overwrites.before_backward(self.steps)
        if self.same_batch_check.always_same:
            self.same_batch_check.compare(self._first_input(), self.backward_passes)
        self.pace.trend.add(value)
        if self.is_detailed:
            with self.pace.timed():
                self._inspect_loss(loss, value)
                self.sampler.before_backward(loss, self._first_input(), self._output, self._output_node)
        if self.curvature_probe.is_due(self.steps) and loss.requires_grad and math.isfinite(value):
            self._measure_curvature(loss)
        self._backward_began = perf_counter() if self.is_detailed else 0.0

    def _read_loss(self, loss: Any) -> float:
        self.loss_scale = find_loss_scale(loss)
        return float(loss.item()) / self.loss_scale if loss.numel() == 1 else math.nan

    def on_backward_end(self) -> None:
        if self._is_measuring or not (self._arrived_this_pass or (self.forward_passes and not self._ever_arrived)):
            return  # a loss of another model
        if self._backward_began:
            seconds = perf_counter() - self._backward_began
            self.curvature_probe.backward_seconds = min(self.curvature_probe.backward_seconds, seconds)
        if self._by_hand is not None:
            self._by_hand.keep()
        self.backward_passes += 1
        self.zero_grad_check.count_pass(self._is_cleared)
        self._add_loss()
        self.nonfinite = self.nonfinite or self._nonfinite_candidate
        self.train_eval_count.record_pass(self.model.training)
        self._output_node = self._output = None
        self._forward_args, self._forward_kwargs, self.loss_args = (), {}, ()

    def on_optimizer_step(self) -> None:
        self.gradients.record_step()
        self._passes_since_step = 0
        self.steps_without_pass += 1
        self.zero_grad_check.count_step()
        self.history.add(self.last_loss, float(self.optimizer.param_groups[0].get("lr", math.nan)))
        if self.is_detailed:
            with self.pace.timed():
                dense = self.gradients.dense_gradients()
                self.gradients.inspect_step(dense)
                self.zero_grad_check.after_step([parameter for parameter, _ in dense])
        elif self.zero_grad_check.awaits_backward:
            self.zero_grad_check.after_step([])
        self.sampler.after_step(self.steps - 1)
        if self.check_every_step and self.nonfinite is None:
            self.record_nonfinite_gradient()
        self._prepare_next_step()
        for listener in tuple(self.listeners):
            self.call_listener(listener)

    def call_listener(self, listener: Callable[[], None]) -> None:
        """Call it; one that fails is not called again, and the report says why."""
        try:
            listener()
        except Exception as error:  # an error of a writer must not end the run
            self.on_internal_error(error)
            self.listeners = [each for each in self.listeners if each != listener]

    def _prepare_next_step(self) -> None:
        """Decide how closely the next step is looked at.

        Where a step is one pass of this model, and its gradient has come, the next one needs hooks on gradients only if
        it is detailed.
        """
        is_regular = self._calls_this_step == 1 and self._arrived_this_pass
        self._calls_this_step = 0
        self.is_detailed = self.pace.is_detailed(self.steps)
        sees_gradients = self.is_detailed or not is_regular
        if sees_gradients != self._sees_gradients:
            self._show_details(sees_gradients)

    def _show_details(self, wanted: bool) -> None:
        self._sees_gradients = wanted
        self.show_details(wanted)

    def catch_up(self) -> None:
        """Record the step that a loop without an optimizer has made since the last backward pass."""
        if self._by_hand is not None:
            self._by_hand.catch_up()

    def record_nonfinite_gradient(self) -> None:
        """Note a gradient of the last step that is not finite before any loss is."""
        name = self.gradients.nonfinite_param_name() if self.nonfinite is None else None
        if name is not None:
            self.nonfinite = NonfiniteOrigin("gradient", name, self.steps)

    def _add_loss(self) -> None:
        """The loss of a step is that of all passes whose gradients it uses; that of LBFGS the first of its step."""
        is_first = self._passes_since_step == 0 or self._is_cleared
        self._passes_since_step += 1
        if type(self.optimizer).__name__ == "LBFGS":
            self.last_loss = self._current_loss if self._passes_since_step == 1 else self.last_loss
        else:
            self.last_loss = self._current_loss + (0.0 if is_first else self.last_loss)

    def _gradients_are_cleared(self) -> bool:
        """Whether the sampled parameters have no gradient, or one of 0, before a pass."""
        gradients = [each.grad for each in self.sampled_params if each.grad is not None and not each.grad.is_sparse]
        return not any(bool(each.reshape(-1)[:N_CLEARED_VALUES].any()) for each in gradients)

    def _locate_nonfinite(self, loss: Any) -> NonfiniteOrigin:
        self._is_measuring = True
        try:
            target = self.loss_args[1] if len(self.loss_args) > 1 else find_saved_target(loss)
            gradient_name = self.gradients.nonfinite_param_name()
            return locate_nonfinite(
                self.model, self._forward_args, self._forward_kwargs, target, gradient_name, self.steps
            )
        finally:
            self._is_measuring = False

    def _measure_curvature(self, loss: Any) -> None:
        self._is_measuring = True
        try:
            with paused_hooks():
                measurement = self.curvature_probe.measure(loss, self.steps)
        finally:
            self._is_measuring = False
        if measurement is not None:
            self.history.measurements.append(measurement)

    def _first_input(self) -> Any:
        """The first tensor that the model was called with."""
        if self._forward_args and isinstance(self._forward_args[0], self.torch.Tensor):
            return self._forward_args[0]
        return next(iter_tensors((self._forward_args, self._forward_kwargs)), None)

    def _inspect_loss(self, loss: Any, value: float) -> None:
        """Read the graph of an early loss, and add its targets to the statistics."""
        if self._output_node is None or self._output is None:
            return
        gradients_unmodified = not self.early_losses.graph.includes_output and not has_foreign_hooks(
            self.model, self.gradients.parameters, find_watch_hook_ids(self.gradients.parameters)
        )
        self.early_losses.inspect(
            self.model, self._first_input(), self._output, self._output_node, loss, value, gradients_unmodified
        )


def _first_and_last(parameters: list[Any]) -> list[Any]:
    """The first and the last: some gradient arrives at one of them."""
    unique = list({id(p): p for p in parameters}.values())
    return unique if len(unique) <= N_SAMPLED_PARAMS else [unique[0], unique[-1]]


def _subsample(parameter: Any) -> Any:
    """All of a parameter, or of a very large one evenly spaced values."""
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // MAX_COMPARED_PARAM_VALUES)]
