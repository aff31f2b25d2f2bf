"""What a watch sees at each step, and what it keeps of it.

It only records; :mod:`descentlab.watching.rules` concludes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from descentlab.watching.curvature.probe import Prober
from descentlab.watching.history import Record
from descentlab.watching.hooks import nothing
from descentlab.watching.inspect.early_losses import Study
from descentlab.watching.inspect.gradients import Gradients
from descentlab.watching.inspect.loop_checks import Clearing, Modes, Sameness
from descentlab.watching.inspect.nonfinite import Trouble, locate, tensors
from descentlab.watching.inspect.output_format import swapped
from descentlab.watching.inspect.unregistered_parameters import hidden_parameters
from descentlab.watching.state_guard import hooked, random_states, same_states

EARLY = 64  # steps that are looked at closely: mistakes in a loop are there from its first step
SELDOM = 16  # of later steps, every so many
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
        hidden: parameters that the model uses and that are none of its own, by name.
        prober, gradients, clearing, modes, sameness, study: what looks at one thing each.
        failure: the first mistake of the watch itself.
        deaf: called when the random numbers of the first call have been seen.
        moved: called after each step, for the live line.
    """

    def __init__(self, model: Any, optimizer: Any, prober: Prober, strict: bool) -> None:
        import torch

        self.torch, self.model, self.optimizer = torch, model, optimizer
        self.strict, self.prober = strict, prober
        self.hidden = hidden_parameters(model)
        named = (*self.hidden.items(), *model.named_parameters())
        self.names = {id(parameter): name for name, parameter in named}
        self.gradients = Gradients(optimizer, self.names)
        held = self.gradients.held
        self.marked = _spread([p for p in (*model.parameters(), *held) if p.requires_grad and p.is_leaf])
        self.holds_marked = set(map(id, self.marked)) <= set(map(id, held))
        self.at_start = {id(p): _sample(p).clone() for p in (*self.marked, *self.strangers())}
        self.record, self.study, self.clearing = Record(), Study(), Clearing()
        self.modes, self.sameness = Modes(), Sameness()
        self.forwards = self.backwards = self.losses = 0
        self.value = self.first = math.nan
        self.trouble: Trouble | None = None
        self.pair: tuple[Any, ...] = ()
        self.random = self.detached = False
        self.failure: Exception | None = None
        self.moved: Callable[[], None] | None = None
        self.deaf: Callable[[], None] = nothing
        self._busy = self._arrived = self._ever_arrived = False
        self._args: tuple[Any, ...] = ()
        self._kwargs: dict[str, Any] = {}
        self._node: Any = None
        self._output: Any = None
        self._states: Any = None
        self._vector: Any = None
        self._candidate: Trouble | None = None
        self._value = math.nan

    @property
    def steps(self) -> int:
        return self.record.steps

    @property
    def reached(self) -> bool:
        """Whether any backward pass has come as far as a parameter that is marked."""
        return self._ever_arrived

    def strangers(self) -> list[Any]:
        """Parameters of the model, or hidden in it, that require a gradient and that the optimizer does not hold."""
        ids = set(map(id, self.gradients.held))
        every = (*self.model.parameters(), *self.hidden.values())
        return [p for p in every if p.requires_grad and id(p) not in ids]

    def unmoved(self, parameter: Any) -> bool:
        """Whether a parameter that was marked, or that is none of the optimizer's, is where it was at the start."""
        return bool(_sample(parameter).equal(self.at_start[id(parameter)]))

    def fails(self, error: Exception) -> None:
        self.failure = self.failure or error

    def enters(self, module: Any, args: tuple[Any, ...]) -> None:
        if not self._busy and self.torch.is_grad_enabled():
            self._states = random_states(self.torch)

    def leaves(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if self._busy or not self.torch.is_grad_enabled():
            return
        if self.forwards == 0:
            self.random = not same_states(self.torch, self._states, random_states(self.torch))
            self._states = None
            self.deaf()
        self.forwards += 1
        self._args, self._kwargs = args, kwargs
        if self.backwards >= EARLY:
            return
        tensor = next(tensors(output), None)
        self._node = None if tensor is None else tensor.grad_fn
        self._output = None if tensor is None else tensor.detach()

    def compares(self, module: Any, args: tuple[Any, ...]) -> None:
        if not self._busy and self.torch.is_grad_enabled():
            self.pair = args
            self.study.form = "swapped" if swapped(module, args) else self.study.form

    def arrives(self, parameter: Any, gradient: Any) -> None:
        if self._busy:
            return
        self._arrived = self._ever_arrived = True
        if self.steps < EARLY or self.steps % SELDOM == SELDOM - 1:
            self.gradients.arrives(parameter, gradient)
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
        if loss.requires_grad and math.isfinite(value) and self.prober.due(self.steps):
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
        self.gradients.stepped(self.torch)
        self.record.add(self.value, float(self.optimizer.param_groups[0].get("lr", math.nan)))
        if self.steps <= EARLY or self.steps % SELDOM == 0:
            dense = self.gradients.dense()
            self.gradients.look(dense)
            self.clearing.stepped([parameter for parameter, _ in dense])
        if self.strict and self.trouble is None:
            self.check_gradients()
        if self.moved is not None:
            self.moved()

    def check_gradients(self) -> None:
        """Notice a gradient of the last update that is not finite, though no loss has told so yet."""
        name = self.gradients.broken()
        if self.trouble is None and name is not None:
            self.trouble = Trouble("gradient", name, self.steps)

    def _locate(self) -> Trouble:
        self._busy = True
        try:
            target = self.pair[1] if len(self.pair) > 1 else None
            gradient = self.gradients.broken()
            return locate(self.model, self._args, self._kwargs, target, gradient, self.steps)
        finally:
            self._busy = False

    def _probe(self, loss: Any) -> None:
        self._busy = True
        try:
            probe = self.prober.measure(loss, self.steps)
        finally:
            self._busy = False
        if probe is not None:
            self.record.probes.append(probe)

    def _batch(self) -> Any:
        """The first tensor that the model was called with."""
        if self._args and isinstance(self._args[0], self.torch.Tensor):
            return self._args[0]
        return next(tensors((self._args, self._kwargs)), None)

    def _study(self, loss: Any, value: float) -> None:
        """Read the graph of an early loss, and keep what its targets are like."""
        if self._node is None or self._output is None:
            return
        exact = not self.study.found.reached and not hooked(self.model, self.gradients.held, self.prober.own)
        self.study.look(self.model, self._batch(), self._output, self._node, loss, value, exact)


def _spread(parameters: list[Any]) -> list[Any]:
    """The last and the first: some gradient arrives at one of them."""
    unique = list({id(p): p for p in parameters}.values())
    return unique if len(unique) <= MARKED else [unique[0], unique[-1]]


def _sample(parameter: Any) -> Any:
    """All of a parameter, or of a very large one every so many numbers."""
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLE)]
