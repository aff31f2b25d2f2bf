"""What comes out of each layer at a sampled step: dead and saturated units, and how large the numbers are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

MAX_SAMPLED_VALUES = 65_536  # of one output; of a larger one, evenly spaced rows
MAX_SAMPLED_MODULES = 150
FLAT_TANH = 2.18  # beyond it the slope of tanh is below 5% of its largest
FLAT_SIGMOID = 4.37  # likewise for the sigmoid, whose slope at 0 is a quarter
SATURATED_OUTPUT = {"tanh": (-0.975, 0.975), "sigmoid": (0.0125, 0.9875)}
ACTIVATION_MODULES = {"ReLU": "relu", "ReLU6": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
RECURRENT_MODULES = ("RNN", "LSTM", "GRU")
ACTIVATION_NODES = {"ReluBackward0": "relu", "TanhBackward0": "tanh", "SigmoidBackward0": "sigmoid"}


class OutputSample(NamedTuple):
    """One module's output at one step; every number is a tensor until it is read.

    Attributes:
        kind: of the activation that it went through: ``relu``, ``tanh``, ``sigmoid``, or nothing.
        n_units: features or channels.
        max_by_unit: the largest value of each unit over the batch.
        saturated: the share of values on the flat parts of tanh and of the sigmoid, by kind.
        rms: root mean square; of the first and of the last call, or of the first and the last time.
        node: the id of the output's ``grad_fn``.
    """

    kind: str
    n_units: int
    max_by_unit: Any
    saturated: dict[str, Any]
    rms: tuple[Any, Any]
    node: int


class ActivationSampler:
    """Hooks on every module without children, for the length of one forward pass.

    Attributes:
        samples: by the name of the module, those of the pass that was sampled last.
        first_samples: those of the first.
    """

    def __init__(self, model: Any, make_hook: Callable[[Callable[..., None]], Any]) -> None:
        self.model, self._make_hook = model, make_hook
        self.samples: dict[str, OutputSample] = {}
        self.first_samples: dict[str, OutputSample] = {}
        self._handles: list[Any] = []

    def arm(self) -> None:
        """Register the hooks; a compiled or scripted model gets none."""
        names = [type(each).__name__ for each in self.model.modules()]
        if self._handles or any(name in ("OptimizedModule", "RecursiveScriptModule") for name in names):
            return
        leaves = [(name, each) for name, each in self.model.named_modules() if not any(True for _ in each.children())]
        self.samples = {}
        self._handles = [
            each.register_forward_hook(self._make_hook(partial(self._on_output, name)))
            for name, each in leaves[:MAX_SAMPLED_MODULES]
        ]

    def disarm(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.first_samples = self.first_samples or self.samples

    def resolve(self, kind_by_node: dict[int, str]) -> None:
        """Name the activation after each layer, which functions such as ``torch.relu`` leave in the graph only."""
        self.samples = {
            name: each._replace(kind=each.kind or kind_by_node.get(each.node, ""))
            for name, each in self.samples.items()
        }

    def _on_output(self, name: str, module: Any, args: tuple[Any, ...], output: Any) -> None:
        import torch

        class_name = type(module).__name__
        tensor = output[0] if isinstance(output, tuple) and output else output
        if not hasattr(tensor, "is_floating_point") or not tensor.is_floating_point() or tensor.ndim < 2:
            return
        if tensor.is_sparse or not tensor.numel() or not torch.is_grad_enabled():
            return
        sample = _sample_output(ACTIVATION_MODULES.get(class_name, ""), class_name, tensor)
        earlier = self.samples.get(name)
        self.samples[name] = sample if earlier is None else sample._replace(rms=(earlier.rms[0], sample.rms[1]))


def _sample_output(kind: str, class_name: str, tensor: Any) -> OutputSample:
    values = tensor.detach()
    unit_dim = 1 if values.ndim >= 4 or class_name.startswith(("Conv", "BatchNorm")) else values.ndim - 1
    rows = values.movedim(unit_dim, -1).reshape(-1, values.shape[unit_dim])
    rows = rows[:: max(1, rows.numel() // MAX_SAMPLED_VALUES)].float()
    first = last = rows.square().mean().sqrt()
    if class_name in RECURRENT_MODULES and values.ndim == 3 and values.shape[1] > 1:
        first, last = (values[:, at].float().square().mean().sqrt() for at in (0, -1))
    node = id(tensor.grad_fn) if tensor.grad_fn is not None else 0
    return OutputSample(kind, rows.shape[1], rows.amax(0), _saturated_shares(kind, rows), (first, last), node)


def _saturated_shares(kind: str, rows: Any) -> dict[str, Any]:
    if kind in SATURATED_OUTPUT:
        low, high = SATURATED_OUTPUT[kind]
        return {kind: ((rows < low) | (rows > high)).float().mean()}
    size = rows.abs()
    return {"tanh": (size > FLAT_TANH).float().mean(), "sigmoid": (size > FLAT_SIGMOID).float().mean()}
