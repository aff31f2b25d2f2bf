"""What a watch sees at each step, and what it keeps of it. It looks; :mod:`descentlab.watching.judge` concludes."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

from descentlab.errors import EngineError
from descentlab.watching import curvature
from descentlab.watching.finite import Trouble, locate, tensors
from descentlab.watching.graph import Found, read
from descentlab.watching.habits import Clearing, Modes, Sameness
from descentlab.watching.limits import scaling
from descentlab.watching.linear import Linear, recognise
from descentlab.watching.quiet import hooked, random_states, same_states, untouched
from descentlab.watching.record import SETTLED, Probe, Record
from descentlab.watching.targets import Targets

EARLY = 64  # steps that are looked at closely: mistakes in a loop are there from its first step
SELDOM = 16  # of later steps, every so many
LARGE = 4_000_000  # numbers: of smaller models the last gradients are kept, of larger ones only their norms
SAMPLE = 1_000_000  # numbers of a parameter that are compared with its start
MARKED = 2  # parameters at which the arrival of gradients is noticed


class Sight:
    """One loop, seen through the hooks of :class:`descentlab.watching.hooks.Grip`.

    Attributes:
        model, optimizer: what is watched; nothing here writes to them.
        record: losses, rates and curvatures by step.
        forwards, backwards: how many times the model was called with a graph, and a gradient came back to it.
        value: the last loss; ``first`` the first one.
        trouble: the first tensor that was not finite.
        found: what the first loss's graph says.
        refused: why curvature cannot be measured; None where it can.
        failure: the first mistake of the watch itself.
        moved: called after each step, for the live line.
    """

    def __init__(self, model: Any, optimizer: Any, every: int | None, share: float, strict: bool) -> None:
        import torch

        self.torch, self.model, self.optimizer = torch, model, optimizer
        self.every, self.share, self.strict = every, share, strict
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._find_held()
        held = self._held
        self.marked = _spread([p for p in (*model.parameters(), *held) if p.requires_grad and p.is_leaf])
        self.holds_marked = set(map(id, self.marked)) <= set(map(id, held))
        self.at_start = {id(p): _sample(p).clone() for p in (*self.marked, *self.strangers(held))}
        self.own: frozenset[int] = frozenset()
        self.record, self.targets, self.clearing = Record(), Targets(), Clearing()
        self.modes, self.sameness = Modes(), Sameness()
        self.forwards = self.backwards = self.losses = 0
        self.value = self.first = math.nan
        self.trouble: Trouble | None = None
        self.found = Found()
        self.linear: Linear | None = None
        self.scale: float | None = None
        self.pair: tuple[Any, ...] = ()
        self.random = self.detached = False
        self.refused: Exception | None = None
        self.failure: Exception | None = None
        self.got: set[int] = set()
        self.zero_steps = 0
        self.moved: Callable[[], None] | None = None
        self._busy = self._arrived = self._ever_arrived = False
        self._args: tuple[Any, ...] = ()
        self._kwargs: dict[str, Any] = {}
        self._node: Any = None
        self._output: Any = None
        self._states: Any = None
        self._vector: Any = None
        self._grads: list[Any] = []
        self._norms: Any = None
        self._candidate: Trouble | None = None
        self._next_probe, self._probed = 0.0, -1

    @property
    def steps(self) -> int:
        return self.record.steps

    def strangers(self, held: list[Any] | None = None) -> list[Any]:
        """Parameters of the model that require a gradient and that the optimizer does not hold."""
        if held is None:
            held = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        ids = set(map(id, held))
        return [p for p in self.model.parameters() if p.requires_grad and id(p) not in ids]

    def unmoved(self, parameter: Any) -> bool:
        """Whether a parameter that was marked, or that is none of the optimizer's, is where it was at the start."""
        return bool(_sample(parameter).equal(self.at_start[id(parameter)]))

    def fails(self, error: Exception) -> None:
        self.failure = self.failure or error

    def enters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._busy or not self.torch.is_grad_enabled():
            return
        self._args, self._kwargs = args, kwargs
        if self.forwards == 0:
            self._states = random_states(self.torch)

    def leaves(self, output: Any) -> None:
        if self._busy or not self.torch.is_grad_enabled():
            return
        if self.forwards == 0:
            self.random = not same_states(self.torch, self._states or [], random_states(self.torch))
            self._states = None
        self.forwards += 1
        if self.backwards >= EARLY:
            return
        tensor = next(tensors(output), None)
        self._node = None if tensor is None else tensor.grad_fn
        self._output = None if tensor is None else tensor.detach()

    def compares(self, args: tuple[Any, ...]) -> None:
        if not self._busy and self.torch.is_grad_enabled():
            self.pair = args

    def arrives(self, gradient: Any) -> None:
        if not self._busy:
            self._arrived = self._ever_arrived = True
            if self.steps < EARLY and self.holds_marked:
                self.clearing.fresh = self.clearing.fresh or bool(gradient.any())

    def before_backward(self, losses: Any) -> None:
        if self._busy:
            return
        loss = losses if hasattr(losses, "detach") else losses[0]
        self._arrived, self._candidate = False, None
        self.losses += 1
        self.detached = not loss.requires_grad
        value = float(loss.item()) if loss.numel() == 1 else math.nan
        if loss.numel() == 1 and not math.isfinite(value) and self.trouble is None:
            self._candidate = self._locate()
        if self.steps < EARLY or self.steps % SELDOM == 0:
            self.clearing.look()
        if self.backwards < EARLY and loss.grad_fn is not None:
            self._study(loss, value)
        if self.sameness.always:
            self.sameness.look(self._batch(), self.backwards)
        self._value = value
        if loss.requires_grad and math.isfinite(value) and self._due():
            self._probe(loss)

    def after_backward(self) -> None:
        if self._busy or not (self._arrived or (self.forwards and not self._ever_arrived)):
            return  # somebody else's loss
        self.backwards += 1
        self.value = self._value
        if self.backwards == 1:
            self.first = self._value
        self.trouble = self.trouble or self._candidate
        self.modes.look(self.model.training)
        self._node = self._output = None
        self._args, self._kwargs, self.pair = (), {}, ()

    def stepped(self) -> None:
        if len(self.optimizer.param_groups) != self._groups:
            self._find_held()
        self._grads = [p.grad for p in self._held]
        self._norms = self.torch._foreach_norm(_dense(self._grads)) if self._large else None
        self.record.add(self.value, self._rate())
        if self.steps <= EARLY or self.steps % SELDOM == 0:
            self._look_closely()
        if self.strict and self.trouble is None:
            self.check_gradients()
        if self.moved is not None:
            self.moved()

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0].get("lr", math.nan))

    def _find_held(self) -> None:
        """What the optimizer holds: a group may be added at any time."""
        self._groups = len(self.optimizer.param_groups)
        self._held = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self._large = sum(parameter.numel() for parameter in self._held) > LARGE

    def _look_closely(self) -> None:
        having = [p for p, gradient in zip(self._held, self._grads, strict=True) if gradient is not None]
        self.got.update(map(id, having))
        dense = [p for p in having if not p.grad.is_sparse]
        nothing = bool(dense) and not any(bool(p.grad.any()) for p in dense)
        self.zero_steps = self.zero_steps + 1 if nothing else 0
        self.clearing.stepped(dense)

    def check_gradients(self) -> None:
        """Notice a gradient of the last update that is not finite, though no loss has told so yet."""
        name = self._broken_gradient()
        if self.trouble is None and name is not None:
            self.trouble = Trouble("gradient", name, self.steps)

    def _broken_gradient(self) -> str | None:
        """The parameter whose gradient was not finite at the last update: the one nearest to the loss."""
        dense = _dense(self._grads)
        if not dense:
            return None
        norms = self._norms if self._norms is not None else [gradient.norm() for gradient in dense]
        names = [
            self.names.get(id(p), "?")
            for p, gradient in zip(self._held, self._grads, strict=False)
            if gradient is not None and not gradient.is_sparse
        ]
        found = [name for name, norm in zip(names, norms, strict=True) if not bool(norm.isfinite())]
        return found[-1] if found else None  # backward passes go from the last layer to the first

    def _locate(self) -> Trouble:
        self._busy = True
        try:
            target = self.pair[1] if len(self.pair) > 1 else None
            gradient = self._broken_gradient()
            return locate(self.model, self._args, self._kwargs, target, gradient, self.steps)
        finally:
            self._busy = False

    def _batch(self) -> Any:
        """The first tensor that the model was called with."""
        if self._args and isinstance(self._args[0], self.torch.Tensor):
            return self._args[0]
        return next(tensors((self._args, self._kwargs)), None)

    def _study(self, loss: Any, value: float) -> None:
        """Read the graph of an early loss, and keep what its targets are like."""
        if self._node is None or self._output is None:
            return
        found = read(loss, self._output, self._node)
        if not found.reached:
            return
        first = self.found.target is None and not self.found.reached
        if first or found.wide is not None:
            self.found = found._replace(target=None)
        target = found.target
        if target is None or found.wide is not None:
            return
        if found.squared:
            mean = float(((self._output - target) ** 2).mean())
            self.scale = value / mean if mean else None
        X = self._batch()
        if first and found.squared and X is not None and not hooked(self.model, self._held, self.own):
            self.linear = recognise(self.model, X, self._output, target, value)
        self.targets.add(target, found.classes)

    def _due(self) -> bool:
        if self.refused is not None or self._probed == self.steps or self.every == 0:
            return False
        return self.steps % self.every == 0 if self.every else perf_counter() >= self._next_probe

    def _probe(self, loss: Any) -> None:
        """Measure the curvature of this very loss, on its own graph: nothing is evaluated again."""
        seen = scaling(self.optimizer)
        if seen is None or (seen.adapts and self.every is None and self.steps < SETTLED):
            return  # how the optimizer scales gradients is not known yet
        if hooked(self.model, seen.parameters, self.own):
            self.refused = EngineError("watch_hooks")
            return
        began, self._busy = perf_counter(), True
        try:
            with untouched(self.model), self.torch.enable_grad():
                product = curvature.curved(loss, seen.parameters, seen.scale, seen.decay)
                found = curvature.lanczos(product, curvature.start_vector(seen.parameters, self._vector))
        except LookupError:
            return  # somebody else's loss
        except Exception as error:  # an operation without a second derivative, or no memory left for one
            self.refused = error.with_traceback(None)  # its frames would keep the graph
            return
        finally:
            self._busy = False
        self._vector, self._probed = found.vector, self.steps
        limit = None if seen.most is None else seen.most / seen.lr if seen.lr else math.inf
        self.record.probes.append(
            Probe(self.steps, found.value, found.error, limit, seen.lr, found.products, seen.adapts)
        )
        now = perf_counter()
        self._next_probe = now + (now - began) * (1 / self.share - 1)


def _spread(parameters: list[Any]) -> list[Any]:
    """The last and the first: some gradient arrives at one of them."""
    unique = list({id(p): p for p in parameters}.values())
    return unique if len(unique) <= MARKED else [unique[0], unique[-1]]


def _sample(parameter: Any) -> Any:
    """All of a parameter, or of a very large one every so many numbers."""
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLE)]


def _dense(gradients: list[Any]) -> list[Any]:
    return [gradient for gradient in gradients if gradient is not None and not gradient.is_sparse]
