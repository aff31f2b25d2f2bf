"""Outputs in a form that their loss does not take, as graph and arguments tell: a softmax twice, the sides swapped."""

from __future__ import annotations

from typing import Any

SQUASHING = ("SoftmaxBackward0", "SigmoidBackward0")
LIKELIHOODS = ("NllLossBackward0", "NllLoss2DBackward0")
LOSSES = (*LIKELIHOODS, "MseLossBackward0", "L1LossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0",
          "BinaryCrossEntropyBackward0", "BinaryCrossEntropyWithLogitsBackward0")  # fmt: skip
ONE_SIDED = ("CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss", "KLDivLoss", "PoissonNLLLoss")
RESHAPING = ("ViewBackward0", "SqueezeBackward0", "SqueezeBackward1", "UnsqueezeBackward0", "ReshapeAliasBackward0")


def form_of(kind: str, node: Any, loss: Any) -> str | None:
    """What is wrong with the form of what this node of the loss's graph is given; None where nothing is.

    ``softmax_twice``, ``sigmoid_twice``: the loss takes logits, and is given what has been squashed already.
    ``not_logarithms``: a negative log likelihood below 0, so that the outputs are no logarithms of probabilities.
    ``softmax_of_one``, ``softmax_over_rows``: a softmax over a single number, or over the rows of the batch.
    ``negated``: minus a loss that has to become small.
    ``swapped``: the gradient goes to the targets' side.
    """
    first = node is loss.grad_fn
    before = _before(node)
    if kind in ("LogSoftmaxBackward0", "BinaryCrossEntropyWithLogitsBackward0") and before in SQUASHING:
        return "softmax_twice" if before == "SoftmaxBackward0" else "sigmoid_twice"
    if kind in LIKELIHOODS and first and node._saved_weight is None and float(loss.detach().min()) < 0:
        return "not_logarithms"
    if kind == "NegBackward0" and first and before in LOSSES:
        return "negated"
    if kind in ("BinaryCrossEntropyBackward0", "BinaryCrossEntropyWithLogitsBackward0"):
        sides = [each is not None for each, _ in node.next_functions[:2]]
        return "swapped" if sides == [False, True] else None
    return _softmax(node._saved_dim, node._saved_result) if kind == "SoftmaxBackward0" else None


def swapped(module: Any, args: tuple[Any, ...]) -> bool:
    """Whether a loss module that is not symmetric is called as ``loss(targets, outputs)``."""
    if type(module).__name__ not in ONE_SIDED or len(args) < 2:
        return False
    given, targets = (bool(getattr(each, "requires_grad", False)) for each in args[:2])
    return targets and not given


def _softmax(dim: int, result: Any) -> str | None:
    if result.ndim != 2:
        return None
    dim = dim if dim in (0, 1) else 1  # -1 is saved as an unsigned number
    if result.shape[dim] == 1:
        return "softmax_of_one"
    return "softmax_over_rows" if dim == 0 else None


def _before(node: Any) -> str:
    """The kind of the node before this one, past changes of shape."""
    for _ in range(4):
        node = node.next_functions[0][0] if node.next_functions else None
        name = type(node).__name__
        if name not in RESHAPING:
            return name
    return ""
