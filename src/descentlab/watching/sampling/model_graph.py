"""Reads, by the names of its nodes only, what a model is made of; no saved tensor is touched.

Saved tensors of a part under ``torch.utils.checkpoint`` would be computed again if they were read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from descentlab.watching.sampling.activations import ACTIVATION_NODES

MAX_MODEL_NODES = 3_000
LAYER_NODES = ("AddmmBackward0", "MmBackward0", "ConvolutionBackward0", "BmmBackward0", "LinearBackward0")
# These keep a chain of layers linear in its inputs, if only one side of them has a graph.
LINEAR_NODES = (
    *LAYER_NODES, "AccumulateGrad", "TBackward0", "TransposeBackward0", "PermuteBackward0", "AddBackward0",
    "SubBackward0", "ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "SqueezeBackward0",
    "SqueezeBackward1", "UnsqueezeBackward0", "ExpandBackward0", "CloneBackward0", "SelectBackward0", "SliceBackward0",
    "CatBackward0", "MeanBackward0", "MeanBackward1", "SumBackward0", "SumBackward1", "ToCopyBackward0",
    "NativeBatchNormBackward0", "NativeDropoutBackward0", "AvgPool2DBackward0", "AsStridedBackward0",
)  # fmt: skip
ONE_SIDED_NODES = ("MulBackward0", "DivBackward0")  # dropout multiplies by a mask, which has no graph
RESHAPING_NODES = ("ViewBackward0", "SqueezeBackward0", "SqueezeBackward1", "UnsqueezeBackward0", "SelectBackward0",
                   "ReshapeAliasBackward0", "UnsafeViewBackward0", "TransposeBackward0", "ToCopyBackward0",
                   "PermuteBackward0", "CloneBackward0")  # fmt: skip
NORMALIZATION_NODES = ("NativeBatchNormBackward0", "NativeLayerNormBackward0", "NativeGroupNormBackward0")
OUTPUT_RANGES = {
    "ReluBackward0": ("ReLU", 0.0, float("inf")),
    "SigmoidBackward0": ("sigmoid", 0.0, 1.0),
    "TanhBackward0": ("tanh", -1.0, 1.0),
    "SoftmaxBackward0": ("softmax", 0.0, 1.0),
    "SoftplusBackward0": ("softplus", 0.0, float("inf")),
    "ExpBackward0": ("exp", 0.0, float("inf")),
    "AbsBackward0": ("abs", 0.0, float("inf")),
    "EluBackward0": ("ELU", -1.0, float("inf")),
    "LogSoftmaxBackward0": ("log_softmax", float("-inf"), 0.0),
    "LogSigmoidBackward0": ("logsigmoid", float("-inf"), 0.0),
}


@dataclass
class ModelGraph:
    """What is between a model's output and its inputs.

    Attributes:
        kind_by_node: the activation that a layer's output goes through, by the id of that output's node.
        last_operation: the kind of the node that makes the output, past changes of shape.
        n_layers: matrix products and convolutions.
        is_linear: whether nothing between them bends.
        foreign_params: parameters in the graph that neither model nor optimizer know.
    """

    kind_by_node: dict[int, str] = field(default_factory=dict)
    last_operation: str = ""
    n_layers: int = 0
    is_linear: bool = True
    foreign_params: list[Any] = field(default_factory=list)


def read_model_graph(output_node: Any, known_ids: Collection[int]) -> ModelGraph:
    """Walk from the node of a model's output to its leaves."""
    import torch

    graph = ModelGraph(last_operation=type(_skip(output_node, RESHAPING_NODES)).__name__)
    for node in _iter_all_nodes(output_node):
        kind = type(node).__name__
        graph.n_layers += kind in LAYER_NODES
        if kind in ACTIVATION_NODES and node.next_functions:
            layer = _skip(node.next_functions[0][0], RESHAPING_NODES + NORMALIZATION_NODES)
            graph.kind_by_node |= {id(each): ACTIVATION_NODES[kind] for each in (layer, node.next_functions[0][0])}
        if kind == "AccumulateGrad":
            leaf = node.variable
            if isinstance(leaf, torch.nn.Parameter) and id(leaf) not in known_ids:
                graph.foreign_params.append(leaf)
        graph.is_linear = graph.is_linear and _is_linear(kind, node)
    return graph


def _is_linear(kind: str, node: Any) -> bool:
    if kind in ONE_SIDED_NODES or kind == "BmmBackward0":
        return sum(each is not None for each, _ in node.next_functions) <= 1
    return kind in LINEAR_NODES


def _skip(node: Any, kinds: tuple[str, ...]) -> Any:
    """The first node, from this one on, that is of none of these kinds."""
    while node is not None and type(node).__name__ in kinds and node.next_functions:
        node = node.next_functions[0][0]
    return node


def _iter_all_nodes(start: Any) -> Iterator[Any]:
    stack, visited = [start], {start}
    while stack and len(visited) < MAX_MODEL_NODES:
        node = stack.pop()
        if node is None:
            continue
        yield node
        new_nodes = [each for each, _ in node.next_functions if each is not None and each not in visited]
        visited.update(new_nodes)
        stack += new_nodes
