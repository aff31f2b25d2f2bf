"""Decides which steps are sampled, and calls what measures them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from descentlab.watching.hooks import UncopiedHook
from descentlab.watching.sampling.activations import ActivationSampler
from descentlab.watching.sampling.batches import BatchSample, sample_batch
from descentlab.watching.sampling.comparison import (
    find_comparison,
    has_learned_loss,
    has_log_of_softmax,
    is_negated,
)
from descentlab.watching.sampling.model_graph import ModelGraph, read_model_graph
from descentlab.watching.sampling.overwrites import OverwriteCheck
from descentlab.watching.sampling.parameters import ParameterSampler
from descentlab.watching.sampling.validation import ValidationLosses
from descentlab.watching.state_guard import get_rng_states, same_rng_states

MAX_FRAMES = 40  # between a module's hook and the loop


def is_sampled_step(step: int) -> bool:
    """Whether the step after this many updates is sampled: 0, 1, 2, 4, 8 and so on."""
    return step & (step - 1) == 0


class LoopSampler:
    """Measures a loop at sampled steps.

    Args:
        model, optimizer: the watched objects.
        known_ids: of the parameters of either.
        validation: measured at the sampled steps, and at the end.
        on_error: called with an error of the watch itself.

    Attributes:
        activations, parameters, overwrites: what they have measured.
        batches, graphs: one for each sampled step.
        negated_passes: sampled losses that enter with a minus sign.
        has_log_of_softmax, has_learned_loss: whether a loss takes the logarithm of a softmax, or is a critic's.
        made_in_forward: parameters that were others at each sampled step.
        same_random_passes: sampled passes, after the first, that drew the random numbers of the first.
        loader_rows: the rows of the largest data set in a loader that the loop's own functions hold.
        eval_parts: names of modules in evaluation mode inside a model in training mode, by sampled step.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        known_ids: set[int],
        validation: ValidationLosses,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.model, self.optimizer, self.known_ids = model, optimizer, known_ids
        self._make_hook = partial(_make_hook, on_error)
        self.validation = validation
        self.activations = ActivationSampler(model, self._make_hook)
        self.parameters, self.overwrites = ParameterSampler(), OverwriteCheck()
        self.batches: list[BatchSample] = []
        self.graphs: list[ModelGraph] = []
        self.negated_passes = self.same_random_passes = self.random_passes = self.loader_rows = 0
        self.made_in_forward = 0
        self.has_log_of_softmax = self.has_learned_loss = False
        self.has_one_output = True  # of several outputs the loss may compare any
        self.eval_parts: list[frozenset[str]] = []
        self._is_armed = self._awaits_step = False
        self._start_handle: Any = None
        self._rng_states: Any = None
        self._first_rng_states: Any = None

    @property
    def is_armed(self) -> bool:
        """Whether the next pass with a graph is sampled."""
        return self._is_armed

    def arm(self, step: int) -> None:
        """Prepare for the next forward pass, if its step is sampled."""
        if is_sampled_step(step) and not self._is_armed:
            self._is_armed = True
            self.activations.arm()
            self._start_handle = self.model.register_forward_pre_hook(self._make_hook(self._on_forward_start))

    def disarm(self) -> None:
        """Remove every hook."""
        self._is_armed = False
        self.activations.disarm()
        if self._start_handle is not None:
            self._start_handle.remove()
            self._start_handle = None

    def finish(self, step: int) -> None:
        """The loop has ended."""
        self.disarm()
        self.validation.measure(step)

    def before_backward(self, loss: Any, X: Any, output: Any, output_node: Any) -> None:
        """Measure the pass that is about to go backward; ``output`` is without its graph and may be None."""
        if not self._is_armed:
            return
        self.disarm()
        if output is not None and output_node is not None and loss.grad_fn is not None:
            self._sample_pass(loss, X, output, output_node)
        self.parameters.before_step([each for group in self.optimizer.param_groups for each in group["params"]])
        self._awaits_step = True

    def after_step(self, step: int) -> None:
        """Compare the parameters with what they were; prepare for the next step."""
        if self._awaits_step:
            self._awaits_step = False
            self.parameters.after_step(step)
            self.validation.measure(step + 1)
        self.overwrites.after_step()
        self.arm(step + 1)

    def _on_forward_start(self, module: Any, args: tuple[Any, ...]) -> None:
        import torch

        self._rng_states = get_rng_states(torch) if torch.is_grad_enabled() else None
        if not self.loader_rows:
            self.loader_rows = _find_loader_rows() or -1

    def _sample_pass(self, loss: Any, X: Any, output: Any, output_node: Any) -> None:
        graph = read_model_graph(output_node, self.known_ids)
        if not self.has_one_output:
            graph.last_operation = ""
        self.activations.resolve(graph.kind_by_node)
        if self.graphs and self.graphs[-1].foreign_params and graph.foreign_params:
            earlier = set(map(id, self.graphs[-1].foreign_params))
            self.made_in_forward += not earlier & set(map(id, graph.foreign_params))
        self.graphs.append(graph)
        self.has_log_of_softmax = self.has_log_of_softmax or has_log_of_softmax(loss, output_node)
        self.has_learned_loss = self.has_learned_loss or has_learned_loss(loss, output_node, self.known_ids)
        self.negated_passes += is_negated(loss, output_node)
        comparison = find_comparison(loss, output, output_node)
        self.batches.append(sample_batch(X, output, comparison, graph.last_operation))
        self._compare_random_numbers()
        self.eval_parts.append(_parts_in_eval_mode(self.model))

    def _compare_random_numbers(self) -> None:
        import torch

        states = self._rng_states
        if states is None or same_rng_states(torch, states, get_rng_states(torch)):
            return  # the model draws none
        if self._first_rng_states is None:
            self._first_rng_states = states
            return
        self.random_passes += 1
        self.same_random_passes += same_rng_states(torch, states, self._first_rng_states)


def _make_hook(on_error: Callable[[Exception], None], call: Callable[..., None]) -> UncopiedHook:
    return UncopiedHook(call, on_error)


def _parts_in_eval_mode(model: Any) -> frozenset[str]:
    """Names of the outermost modules in evaluation mode that act differently there."""
    if not model.training:
        return frozenset()
    return frozenset(
        name
        for name, each in model.named_modules()
        if not each.training and ("BatchNorm" in type(each).__name__ or "Dropout" in type(each).__name__)
    )


def _find_loader_rows() -> int:
    """The rows of the largest data set among the loaders that the calling functions hold."""
    import torch

    frame: FrameType | None = sys._getframe(1)
    n_rows = 0
    for _ in range(MAX_FRAMES):
        if frame is None:
            break
        if not frame.f_globals.get("__name__", "").startswith(("torch", "descentlab")):
            for value in frame.f_locals.values():
                if isinstance(value, torch.utils.data.DataLoader):
                    n_rows = max(n_rows, _dataset_length(value))
        frame = frame.f_back
    return n_rows


def _dataset_length(loader: Any) -> int:
    try:
        return len(loader.dataset)
    except TypeError:  # an iterable data set has no length
        return 0
