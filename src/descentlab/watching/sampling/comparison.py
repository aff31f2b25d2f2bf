"""What a loss compares with what, read from the nodes between the loss and the model's output."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple

from descentlab.watching.inspect.loss_graph import iter_nodes_to, subtracted_target

PAIRED_LOSSES = {
    "MseLossBackward0": "squared",
    "L1LossBackward0": "absolute",
    "SmoothL1LossBackward0": "absolute",
    "HuberLossBackward0": "absolute",
    "BinaryCrossEntropyBackward0": "binary",
    "BinaryCrossEntropyWithLogitsBackward0": "binary",
}
KEEPING_NODES = (
    "MeanBackward0", "MeanBackward1", "SumBackward0", "SumBackward1", "ViewBackward0", "SqueezeBackward0",
    "SqueezeBackward1", "SelectBackward0", "IndexBackward0", "GatherBackward0", "AddBackward0", "UnsqueezeBackward0",
    "MaskedFillBackward0", "NanToNumBackward0",
)  # fmt: skip
ACCUMULATE = "AccumulateGrad"
ENDS = (*PAIRED_LOSSES, "NllLossBackward0", "NllLoss2DBackward0")
MIN_LOSS_SCALE = 16.0  # of a factor of 2^k before the loss: smaller ones weigh a term


class Comparison(NamedTuple):
    """A loss's sort and its targets.

    Attributes:
        kind: ``squared``, ``absolute``, ``binary`` (cross entropy), or ``classes``.
        target: the tensor.
        is_given: whether it is the loop's own, and not computed from the residual and the output.
    """

    kind: str
    target: Any
    is_given: bool = True


def find_comparison(loss: Any, output: Any, output_node: Any) -> Comparison | None:
    """The first node that compares the output with a target."""
    for node in iter_nodes_to(loss.grad_fn, output_node):
        kind = type(node).__name__
        if kind in PAIRED_LOSSES:
            return Comparison(PAIRED_LOSSES[kind], node._saved_target)
        if kind in ("NllLossBackward0", "NllLoss2DBackward0"):
            target = node._saved_target.reshape(-1)
            return Comparison("classes", target[target != node._saved_ignore_index])
        target = None if node is output_node else subtracted_target(kind, node, output)
        if target is not None:
            return Comparison("absolute" if kind == "AbsBackward0" else "squared", target, False)
    return None


def find_loss_scale(loss: Any) -> float:
    """The factor of ``GradScaler.scale``: a power of two by which the whole loss is multiplied, or 1."""
    if type(loss.grad_fn).__name__ != "MulBackward0":
        return 1.0
    factor = loss.grad_fn._saved_other
    if factor is None or factor.numel() != 1 or factor.requires_grad:
        return 1.0
    value = float(factor)
    return value if value >= MIN_LOSS_SCALE and value == 2.0 ** round(math.log2(value)) else 1.0


def is_negated(loss: Any, output_node: Any) -> bool:
    """Whether every known loss in the graph enters with a minus sign, so that a step makes it larger.

    A log-probability of classes that is minimized counts as well; the log of a sigmoid does not, since adversaries
    minimize it.
    """
    signs: list[int] = []
    visited: set[Any] = set()
    stack = [(loss.grad_fn, 1)]
    while stack and len(visited) < 200:
        node, sign = stack.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        kind = type(node).__name__
        if kind in ENDS or kind == "AbsBackward0" or (kind == "PowBackward0" and node._saved_exponent == 2):
            signs.append(sign)
        elif kind == "LogSoftmaxBackward0" or (kind == "LogBackward0" and _is_of_softmax(node)):
            signs.append(-sign)
        elif node is not output_node:
            stack += _signed_edges(kind, node, sign)
    return bool(signs) and max(signs) < 0


def has_learned_loss(loss: Any, output_node: Any, known_ids: Collection[int]) -> bool:
    """Whether parameters of another model lie between the output and the loss, as those of a critic do."""
    leaves = (node.variable for node in iter_nodes_to(loss.grad_fn, output_node) if type(node).__name__ == ACCUMULATE)
    return any(type(each).__name__ == "Parameter" and id(each) not in known_ids for each in leaves)


def has_log_of_softmax(loss: Any, output_node: Any) -> bool:
    """Whether a loss takes the logarithm of a softmax, which is 0 where float32 underflows."""
    nodes = iter_nodes_to(loss.grad_fn, output_node)
    return any(type(node).__name__ == "LogBackward0" and _is_of_softmax(node) for node in nodes)


def _is_of_softmax(node: Any) -> bool:
    before = node.next_functions[0][0]
    for _ in range(3):
        if before is None or type(before).__name__ == "SoftmaxBackward0":
            break
        before = before.next_functions[0][0] if before.next_functions else None
    return type(before).__name__ == "SoftmaxBackward0"


def _signed_edges(kind: str, node: Any, sign: int) -> list[tuple[Any, int]]:
    """The nodes before this one with the sign that they have in the loss; those of unknown sign are left out."""
    edges = [each for each, _ in node.next_functions]
    if kind in ("NegBackward0", "RsubBackward1"):
        return [(edges[0], -sign)]
    if kind == "SubBackward0":
        return [(edges[0], sign), *((each, -sign) for each in edges[1:])]
    if kind in ("MulBackward0", "DivBackward0", "MulBackward1", "DivBackward1"):
        factor_sign = _factor_sign(node, edges)
        return [(each, sign * factor_sign) for each in edges if each is not None and factor_sign]
    return [(each, sign) for each in edges] if kind in KEEPING_NODES else []


def _factor_sign(node: Any, edges: list[Any]) -> int:
    """The sign of a constant factor whose entries are 0 or equal; 0 for any other, as for advantages."""
    if sum(each is not None for each in edges) != 1:
        return 0
    factor = node._saved_other if edges[0] is not None else node._saved_self
    if factor is None:
        return 0
    if not hasattr(factor, "numel"):
        return int(factor > 0) - int(factor < 0)
    nonzero = factor.detach()[factor != 0].reshape(-1)
    if not nonzero.numel() or bool((nonzero != nonzero[0]).any()):
        return 0
    return 1 if bool(nonzero[0] > 0) else -1
