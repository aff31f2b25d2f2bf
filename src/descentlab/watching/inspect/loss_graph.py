"""What the graph of a loss tells without being run: whether it squares a residual, with which target, in which shape.

Functions such as ``F.mse_loss`` or ``((pred - y) ** 2).mean()`` cannot be hooked, but each leaves its nodes behind, and
nodes keep the tensors that a derivative needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from descentlab.watching.inspect.output_format import form_of

MOST_NODES = 400  # between a loss and a model's output there are a handful


class Found(NamedTuple):
    """What a loss's graph says.

    Attributes:
        reached: whether the model's output is in it.
        target: what the output is compared with, in the output's shape; None where that is not seen.
        squared: whether a residual is squared in it.
        classes: whether it is the mean cross entropy of classes, unweighted.
        form: what is wrong with the form of the outputs, see :func:`descentlab.watching.inspect.output_format.form_of`.
        wide: (n, n) where n outputs were compared with n targets, each with every one.
    """

    reached: bool = False
    target: Any = None
    squared: bool = False
    classes: bool = False
    wide: tuple[int, int] | None = None
    form: str | None = None


def read(loss: Any, output: Any, output_node: Any) -> Found:
    """Look through the graph between a loss and the model's output.

    Args:
        loss: a tensor with its graph.
        output: the model's output, without its graph.
        output_node: the ``grad_fn`` that the output has.
    """
    found = Found()
    for node in _nodes(loss.grad_fn, output_node):
        kind = type(node).__name__
        found = found._replace(form=found.form or form_of(kind, node, loss))
        if node is output_node:
            found = found._replace(reached=True)
            continue
        if found.wide is None:
            found = found._replace(wide=_wide(kind, node, tuple(output.shape)))
        if found.target is None:
            target, classes = _target(kind, node, output, loss.grad_fn)
            found = found._replace(target=target, classes=classes, squared=target is not None and not classes)
    return found


def _nodes(first: Any, last: Any) -> Iterator[Any]:
    """Breadth first, not past the model's output."""
    waiting, seen = [first], {first}
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop(0)
        if node is None:
            continue
        yield node
        if node is not last:
            fresh = [each for each, _ in node.next_functions if each is not None and each not in seen]
            seen.update(fresh)
            waiting += fresh


def _wide(kind: str, node: Any, shape: tuple[int, ...]) -> tuple[int, int] | None:
    n = shape[0] if shape else 0
    if n < 2 or shape not in ((n,), (n, 1)):
        return None
    if kind in ("MseLossBackward0", "L1LossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0"):
        return (n, n) if tuple(node._saved_self.shape) == (n, n) else None
    if kind != "SubBackward0" or sum(each is not None for each, _ in node.next_functions) != 1:
        return None  # differences of outputs with one another are meant, as ranking losses have them
    return (n, n) if tuple(node._input_metadata[0].shape) == (n, n) else None


def _target(kind: str, node: Any, output: Any, first: Any) -> tuple[Any, bool]:
    if kind == "MseLossBackward0":
        return _shaped(node._saved_target, output), False
    if kind == "NllLossBackward0" and node is first and node._saved_weight is None and node._saved_reduction == 1:
        return node._saved_target, True
    residual = _squared(kind, node)
    if residual is None or residual.numel() != output.numel():
        return None, False
    minus = _edge(node, "SubBackward0")
    if minus is None:
        return None, False
    residual = residual.detach().reshape(output.shape)
    left = minus.next_functions[0][0] is not None  # pred - y, and not y - pred
    return (output - residual if left else output + residual), False


def _squared(kind: str, node: Any) -> Any:
    """The tensor whose square this node took, or None."""
    if kind == "PowBackward0" and node._saved_exponent == 2:
        return node._saved_self
    if kind == "MulBackward0":
        one, other = node._saved_self, node._saved_other
        if one is not None and other is not None and one.data_ptr() == other.data_ptr() and one.shape == other.shape:
            return one
    return None


def _edge(node: Any, kind: str) -> Any:
    """The node before this one, past changes of shape, if it is of that kind and only one of its sides has a graph."""
    for _ in range(4):
        node = node.next_functions[0][0]
        name = type(node).__name__
        if name == kind:
            return node if sum(each is not None for each, _ in node.next_functions) == 1 else None
        if name not in ("SqueezeBackward0", "SqueezeBackward1", "ViewBackward0", "ReshapeAliasBackward0"):
            return None
    return None


def _shaped(target: Any, output: Any) -> Any:
    return target.reshape(output.shape) if target.numel() == output.numel() else None
