"""Reads the graph of a loss without running it: whether it squares a residual, with which target, in which shape.

Functions such as ``F.mse_loss`` or ``((pred - y) ** 2).mean()`` cannot be hooked, but each leaves its nodes behind, and
nodes keep the tensors that a derivative needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from descentlab.watching.inspect.output_format import find_output_defect

BINARY_NODES = ("BinaryCrossEntropyBackward0", "BinaryCrossEntropyWithLogitsBackward0")
PAIRED_NODES = ("MseLossBackward0", "L1LossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0")
ELEMENTWISE_NODES = ("SubBackward0", "MulBackward0", "AddBackward0", "DivBackward0")
MAX_TARGET_NODES = 8  # from the loss on, before its targets are found
MAX_GRAPH_NODES = 400  # between a loss and a model's output there are a handful


class LossGraphInfo(NamedTuple):
    """The content of a loss's graph.

    Attributes:
        includes_output: whether the model's output is in it.
        target: the tensor that the output is compared with, in the output's shape; None if it is not seen.
        is_squared_error: whether a residual is squared in it.
        is_cross_entropy: whether it is the mean cross entropy of classes, unweighted, or of 0 and 1.
        is_binary: whether it is that of 0 and 1.
        output_defect: the defect in the form of the outputs, see
        :func:`descentlab.watching.inspect.output_format.find_output_defect`.
        expanded_shapes: the shapes of numbers made from the output before and after another tensor has expanded them in
            an elementwise operation, where that is a mistake.
        broadcast_shape: (n, n) where n outputs were compared with n targets, each with every one.
    """

    includes_output: bool = False
    target: Any = None
    is_squared_error: bool = False
    is_cross_entropy: bool = False
    is_binary: bool = False
    broadcast_shape: tuple[int, int] | None = None
    expanded_shapes: tuple[str, str] | None = None
    output_defect: str | None = None


def inspect_loss_graph(loss: Any, output: Any, output_node: Any) -> LossGraphInfo:
    """Look through the graph between a loss and the model's output.

    Args:
        loss: a tensor with its graph.
        output: the model's output, without its graph.
        output_node: the ``grad_fn`` that the output has.
    """
    info = LossGraphInfo()
    for node in iter_nodes_to(loss.grad_fn, output_node):
        kind = type(node).__name__
        info = info._replace(output_defect=info.output_defect or find_output_defect(kind, node, loss))
        if node is output_node:
            info = info._replace(includes_output=True)
            continue
        if info.broadcast_shape is None:
            info = info._replace(broadcast_shape=_broadcast_shape(kind, node, tuple(output.shape)))
        if info.broadcast_shape is None and info.expanded_shapes is None:
            info = info._replace(expanded_shapes=_expanded_shapes(kind, node))
        if info.target is None:
            target, is_cross_entropy = _find_target(kind, node, output, loss.grad_fn)
            info = info._replace(
                target=target,
                is_cross_entropy=is_cross_entropy,
                is_binary=is_cross_entropy and kind in BINARY_NODES,
                is_squared_error=target is not None and not is_cross_entropy,
            )
    return info


def find_saved_target(loss: Any) -> Any:
    """The targets that a loss of ``torch.nn.functional`` keeps for its derivative; None if none does."""
    nodes = (node for node in islice(iter_nodes_to(loss.grad_fn, None), MAX_TARGET_NODES))
    return next((node._saved_target for node in nodes if hasattr(node, "_saved_target")), None)


def iter_nodes_to(start: Any, stop_node: Any) -> Iterator[Any]:
    """Breadth first, not past the model's output."""
    queue, visited = [start], {start}
    while queue and len(visited) < MAX_GRAPH_NODES:
        node = queue.pop(0)
        if node is None:
            continue
        yield node
        if node is not stop_node:
            new_nodes = [each for each, _ in node.next_functions if each is not None and each not in visited]
            visited.update(new_nodes)
            queue += new_nodes


def _broadcast_shape(kind: str, node: Any, shape: tuple[int, ...]) -> tuple[int, int] | None:
    n = shape[0] if shape else 0
    if n < 2 or shape not in ((n,), (n, 1)):
        return None
    if kind in PAIRED_NODES:
        return (n, n) if tuple(node._saved_self.shape) == (n, n) else None
    if kind != "SubBackward0" or sum(each is not None for each, _ in node.next_functions) != 1:
        return None  # differences of outputs with one another are meant, as ranking losses have them
    return (n, n) if tuple(node._input_metadata[0].shape) == (n, n) else None


def _expanded_shapes(kind: str, node: Any) -> tuple[str, str] | None:
    """The shapes of one side with a graph and of the result, if a constant of the other shape has expanded it.

    Losses that pair numbers never expand on purpose. Elsewhere (n, 1) against (n,) is a mistake, as with weights of
    rows; other expansions are meant, as by quantiles.
    """
    if kind in PAIRED_NODES:
        inner = node.next_functions[0][0]
        if type(inner).__name__ != "ExpandBackward0":
            return None
        before, after = tuple(inner._saved_self_sym_sizes), tuple(node._saved_self.shape)
        return (str(before), str(after)) if math.prod(after) > math.prod(before) else None
    edges = [(each, at) for each, at in node.next_functions if each is not None]
    if kind not in ELEMENTWISE_NODES or len(edges) != 1:
        return None
    side, at = edges[0]
    before, after = tuple(side._input_metadata[at].shape), tuple(node._input_metadata[0].shape)
    n = before[0] if before else 0
    is_column = n > 1 and (len(before) == 1 or before[1] == 1)
    return (str(before), str(after)) if is_column and len(after) > 1 and after[:2] == (n, n) else None


def _find_target(kind: str, node: Any, output: Any, root: Any) -> tuple[Any, bool]:
    if kind == "MseLossBackward0":
        return _reshape_like(node._saved_target, output), False
    if kind in BINARY_NODES and _is_plain_mean(node, root) and getattr(node, "_saved_pos_weight", None) is None:
        return _reshape_like(node._saved_target, output), True
    if kind in ("NllLossBackward0", "NllLoss2DBackward0") and _is_plain_mean(node, root):
        target = node._saved_target.reshape(-1)
        return target[target != node._saved_ignore_index], True
    return (None if kind == "AbsBackward0" else subtracted_target(kind, node, output)), False


def _is_plain_mean(node: Any, root: Any) -> bool:
    """Whether a cross entropy is the whole loss, an unweighted mean."""
    return node is root and node._saved_weight is None and node._saved_reduction == 1


def subtracted_target(kind: str, node: Any, output: Any) -> Any:
    """The target of which the residual of a square or an absolute value was made, in the output's shape; else None."""
    residual = node._saved_self if kind == "AbsBackward0" else _squared_tensor(kind, node)
    if residual is None or residual.numel() != output.numel():
        return None
    subtraction = _previous_node(node, "SubBackward0")
    if subtraction is None:
        return None
    residual = residual.detach().reshape(output.shape)
    target_is_subtracted = subtraction.next_functions[0][0] is not None  # pred - y, and not y - pred
    return output - residual if target_is_subtracted else output + residual


def _squared_tensor(kind: str, node: Any) -> Any:
    """The tensor whose square this node took, or None."""
    if kind == "PowBackward0" and node._saved_exponent == 2:
        return node._saved_self
    if kind == "MulBackward0":
        first, second = node._saved_self, node._saved_other
        if first is None or second is None or first.shape != second.shape:
            return None
        return first if first.data_ptr() == second.data_ptr() else None
    return None


def _previous_node(node: Any, kind: str) -> Any:
    """The node before this one, past changes of shape, if it is of that kind and only one of its sides has a graph."""
    for _ in range(4):
        node = node.next_functions[0][0]
        name = type(node).__name__
        if name == kind:
            return node if sum(each is not None for each, _ in node.next_functions) == 1 else None
        if name not in ("SqueezeBackward0", "SqueezeBackward1", "ViewBackward0", "ReshapeAliasBackward0"):
            return None
    return None


def _reshape_like(target: Any, output: Any) -> Any:
    return target.reshape(output.shape) if target.numel() == output.numel() else None
