"""How to step: the settings of a descent, checked once and frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields

import numpy as np

from descentlab.descent.recursion import MomentumSettings
from descentlab.descent.reductions import REDUCTIONS
from descentlab.descent.schedules import Schedule, learning_rates, parse_schedule
from descentlab.errors import SettingError, check_choice, check_float, check_int
from descentlab.messages import format_number, pluralize
from descentlab.typing import FloatArray, IntArray

MAX_RECORDED_EPOCHS = 100_000  # rows of history kept where `every` is not given


@dataclass(frozen=True, kw_only=True, eq=False)
class Descent:
    """The settings of one descent, with the words and the meaning they have in ``torch.optim.SGD``.

    Attributes:
        lr: the learning rate, positive.
        reduction: whose gradient is descended: ``mean``, ``half_mean``, ``sum``, ``half_sum``.
        epochs: passes over the data, at least 1.
        momentum, dampening, nesterov, weight_decay: as in ``torch.optim.SGD``; weight decay acts on every
            parameter, the bias too.
        schedule: what multiplies lr by epoch: a function of the epochs done, one of
            :mod:`descentlab.descent.schedules`, or its text, such as ``"step:30:0.1"``.
        batch_size: rows a step; None is all rows. The last batch of an epoch may be shorter; a mean is then
            over the rows it has, as in torch.
        shuffle, seed: whether each epoch draws a new order of the rows, and from which seed.
        replacement: whether each batch draws its rows anew, so that one may come twice in an epoch and another never
            (torch's ``RandomSampler(replacement=True)``); the batches are as many and as large as without it.
        average: the epochs after which averaging begins (B. Polyak and A. Juditsky, *Acceleration of stochastic
            approximation by averaging*, SIAM J. Control Optim. 30, 1992). The last update of the last epoch then
            ends at the mean of the parameters after each update since; None ends where the last step led. The
            epochs before it, a run that ends early, and all theory are about the steps themselves.
        start: parameters before the first update, in the data's units; None is zero.
        optimizer, options: another optimizer of ``torch.optim`` by name, and its own keyword arguments;
            engines ``autograd`` and ``replay`` only.
        dtype, device: where the rows live; ``float64`` or ``float32``, and a device as torch names it.
        zero_grad: False forgets to clear the gradient, so that every step adds to it.
        every: record every so many epochs. None: each one, or evenly spaced ones where there are more than
            100,000.
        tolerance: stop as soon as the gradient's norm is below this times its norm at zero parameters. None
            never stops early, and calls a run converged by a tolerance of 1e-6.
        growth_limit: stop once the cost is this many times the larger of its start and its value at zero
            parameters; inf lets a diverging run overflow.
    """

    lr: float
    reduction: str = "mean"
    epochs: int = 100
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: Schedule | str | None = None
    batch_size: int | None = None
    shuffle: bool = True
    seed: int = 0
    replacement: bool = False
    average: int | None = None
    start: Sequence[float] | FloatArray | None = None
    optimizer: str = "SGD"
    options: Mapping[str, object] = field(default_factory=dict)
    dtype: str = "float64"
    device: str = "cpu"
    zero_grad: bool = True
    every: int | None = None
    tolerance: float | None = None
    growth_limit: float = 1e12

    def __post_init__(self) -> None:
        """Check every setting that can be checked without the data.

        Raises:
            SettingError: names the setting, what was given and what is allowed.
        """
        checked: dict[str, object] = {
            "lr": check_float("lr", self.lr, positive=True),
            "reduction": check_choice("reduction", self.reduction, REDUCTIONS),
            "epochs": check_int("epochs", self.epochs, 1),
            "momentum": check_float("momentum", self.momentum, 0.0, 1e6),
            "dampening": check_float("dampening", self.dampening, 0.0, 1.0),
            "weight_decay": check_float("weight_decay", self.weight_decay, 0.0),
            "seed": check_int("seed", self.seed, 0),
            "dtype": check_choice("dtype", str(self.dtype).removeprefix("torch."), ("float64", "float32")),
            "schedule": parse_schedule(self.schedule) if isinstance(self.schedule, str) else self.schedule,
        }
        if not isinstance(self.optimizer, str):
            raise SettingError("optimizer_name", given=repr(self.optimizer))
        if not isinstance(self.options, Mapping):
            raise SettingError("options_form", given=repr(self.options))
        if self.start is not None:
            checked["start"] = copy(self.start)  # a copy: later changes to the caller's own stay out
        if self.batch_size is not None:
            checked["batch_size"] = check_int("batch_size", self.batch_size, 1)
        if self.every is not None:
            checked["every"] = check_int("every", self.every, 1)
        if self.tolerance is not None:
            checked["tolerance"] = check_float("tolerance", self.tolerance, 0.0)
        if not isinstance(self.growth_limit, int | float) or not self.growth_limit > 1:
            raise SettingError("growth_limit", given=repr(self.growth_limit))
        if self.average is not None:
            checked["average"] = check_int("average", self.average, 0)
            if self.average >= self.epochs:
                raise SettingError("average_too_late", given=self.average, epochs=pluralize(self.epochs))
        if self.replacement and (self.batch_size is None or not self.shuffle):
            raise SettingError("replacement")
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise SettingError("nesterov")
        if not (self.schedule is None or isinstance(self.schedule, str) or callable(self.schedule)):
            raise SettingError("schedule", given=repr(self.schedule), forms=("step:30:0.1",))
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def is_sgd(self) -> bool:
        """Whether plain SGD steps, which theory covers exactly, are asked for."""
        return self.optimizer.lower() == "sgd"

    @property
    def effective_momentum(self) -> float:
        """The momentum that acts: forgetting ``zero_grad`` in plain descent is momentum 1, exactly."""
        return self.momentum if self.zero_grad else 1.0

    @property
    def has_closed_form(self) -> bool:
        """Whether full-batch theory says exactly what this descent does."""
        accumulates = not self.zero_grad and (self.momentum or self.weight_decay)
        return self.is_sgd and self.batch_size is None and not accumulates

    @property
    def summary(self) -> list[str]:
        """The settings in words: those that always matter, and those that differ from the defaults."""
        parts = [f"lr {format_number(self.lr)}", f"reduction {self.reduction}"]
        parts += [
            f"{name} {format_number(value)}"
            for name, value in (
                ("momentum", self.momentum),
                ("dampening", self.dampening),
                ("weight decay", self.weight_decay),
                ("batch size", self.batch_size or 0),
            )
            if value
        ]
        parts += ["with replacement"] * self.replacement
        parts += [f"averaged after {self.average}"] * (self.average is not None)
        parts += ["nesterov"] * self.nesterov + [f"schedule {self.schedule}"] * (self.schedule is not None)
        parts += [f"optimizer {self.optimizer}"] * (not self.is_sgd)
        parts += ["zero_grad forgotten"] * (not self.zero_grad)
        return parts + [self.dtype] * (self.dtype != "float64")

    def to_dict(self) -> dict[str, object]:
        """Every setting for a machine; the schedule as its text."""
        start = None if self.start is None else [float(value) for value in np.atleast_1d(np.asarray(self.start))]
        settings = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "growth_limit"}
        return settings | {
            "schedule": None if self.schedule is None else str(self.schedule),
            "start": start,
            "options": dict(self.options),
        }

    @property
    def momentum_settings(self) -> MomentumSettings:
        """The settings that decide what a step does to one direction; see :mod:`descentlab.descent.recursion`."""
        dampening = self.dampening if self.momentum else 0.0  # torch dampens only a momentum that is asked for
        return {"momentum": self.effective_momentum, "dampening": dampening, "nesterov": self.nesterov}

    def learning_rates(self, epochs_done: IntArray) -> FloatArray:
        """The learning rates after these many epochs, as an array."""
        assert not isinstance(self.schedule, str)
        return learning_rates(self.lr, self.schedule, epochs_done)

    def recorded_epochs(self) -> range:
        """The epochs that the history keeps, the first and evenly spaced ones after it."""
        every = self.every or -(-self.epochs // MAX_RECORDED_EPOCHS)
        return range(1, self.epochs + 1, every)
