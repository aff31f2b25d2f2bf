"""Finds outputs in a form that their loss does not take: a softmax applied twice, arguments swapped."""

from __future__ import annotations

from typing import Any

PROBABILITY_NODES = ("SoftmaxBackward0", "SigmoidBackward0")
NLL_NODES = ("NllLossBackward0", "NllLoss2DBackward0")
LOSS_NODES = (*NLL_NODES, "MseLossBackward0", "L1LossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0",
          "BinaryCrossEntropyBackward0", "BinaryCrossEntropyWithLogitsBackward0")  # fmt: skip
ASYMMETRIC_LOSSES = ("CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss", "KLDivLoss", "PoissonNLLLoss")
UNBOUNDED_NODES = ("ReluBackward0", "TanhBackward0", "AddmmBackward0", "ConvolutionBackward0", "LeakyReluBackward0")
RESHAPE_NODES = ("ViewBackward0", "SqueezeBackward0", "SqueezeBackward1", "UnsqueezeBackward0", "ReshapeAliasBackward0")


def find_output_defect(kind: str, node: Any, loss: Any) -> str | None:
    """The defect in the form of the outputs that a node of the loss's graph is given; None if there is none.

    ``softmax_twice``, ``sigmoid_twice``: the loss takes logits and is given probabilities.
    ``not_logarithms``: a negative log likelihood below 0, so that the outputs are not logarithms of probabilities.
    ``softmax_of_one``, ``softmax_over_rows``: a softmax over a single number, or over the rows of the batch.
    ``no_sigmoid``: a binary cross entropy of numbers that are not probabilities.
    ``negated``: the negative of a loss.
    ``swapped``: the gradient goes to the targets' side.
    """
    is_root = node is loss.grad_fn
    previous_kind = _previous_node_kind(node)
    if kind in ("LogSoftmaxBackward0", "BinaryCrossEntropyWithLogitsBackward0") and previous_kind in PROBABILITY_NODES:
        return "softmax_twice" if previous_kind == "SoftmaxBackward0" else "sigmoid_twice"
    if kind in NLL_NODES and is_root and node._saved_weight is None and float(loss.detach().min()) < 0:
        return "not_logarithms"
    if kind == "NegBackward0" and is_root and previous_kind in LOSS_NODES:
        return "negated"
    if kind == "BinaryCrossEntropyBackward0" and previous_kind in UNBOUNDED_NODES:
        return "no_sigmoid"
    if kind == "LogSoftmaxBackward0" and _softmax_defect(node._saved_dim, node._saved_result) == "softmax_of_one":
        return "softmax_of_one"
    if kind in ("BinaryCrossEntropyBackward0", "BinaryCrossEntropyWithLogitsBackward0"):
        sides_with_grad = [each is not None for each, _ in node.next_functions[:2]]
        return "swapped" if sides_with_grad == [False, True] else None
    return _softmax_defect(node._saved_dim, node._saved_result) if kind == "SoftmaxBackward0" else None


def are_arguments_swapped(module: Any, args: tuple[Any, ...]) -> bool:
    """Whether a loss module that is not symmetric is called as ``loss(targets, outputs)``."""
    if type(module).__name__ not in ASYMMETRIC_LOSSES or len(args) < 2:
        return False
    outputs_need_grad, targets_need_grad = (bool(getattr(each, "requires_grad", False)) for each in args[:2])
    return targets_need_grad and not outputs_need_grad


def _softmax_defect(dim: int, result: Any) -> str | None:
    if result.ndim != 2:
        return None
    dim = dim if dim in (0, 1) else 1  # -1 is saved as an unsigned number
    if result.shape[dim] == 1:
        return "softmax_of_one"
    return "softmax_over_rows" if dim == 0 else None


def _previous_node_kind(node: Any) -> str:
    """The kind of the node before this one, past changes of shape."""
    for _ in range(4):
        node = node.next_functions[0][0] if node.next_functions else None
        name = type(node).__name__
        if name not in RESHAPE_NODES:
            return name
    return ""
