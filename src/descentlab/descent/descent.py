"""The settings of a descent, checked once and frozen."""

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

MAX_RECORDED_EPOCHS = 100_000  # rows of the history if `every` is not given


@dataclass(frozen=True, kw_only=True, eq=False)
class Descent:
    """The settings of one descent, with the names and the meaning they have in ``torch.optim.SGD``.

    One step with g the gradient of the step's rows, m the momentum buffer (at first g), mu the momentum, tau the
    dampening and f(k) the schedule in epoch k, counted from 0:

        g <- g + weight_decay * p,    m <- mu m + (1 - tau) g,    p <- p - lr f(k) m    (Nesterov: g + mu m for m)

    Attributes:
        lr: the learning rate, positive.
        reduction: the cost whose gradient g is: ``mean`` of squares, ``half_mean``, ``sum`` or ``half_sum``.
        epochs: passes over the data, at least 1.
        momentum, dampening, nesterov, weight_decay: as in ``torch.optim.SGD``; weight decay acts on every
            parameter, the bias too.
        schedule: the factor of lr by epoch: a function of the epochs done, one of
            :mod:`descentlab.descent.schedules`, or its text, such as ``"step:30:0.1"``.
        batch_size: rows a step; None is all rows. The last batch of an epoch may be shorter; a mean is then
            over its own rows, as in torch.
        shuffle, seed: whether each epoch draws a new order of the rows, and from which seed.
        replacement: whether each batch is drawn from all rows, so that a row may occur twice in an epoch or not at all
            (torch's ``RandomSampler(replacement=True)``). The number and size of the batches stay the same.
        average: the number of epochs after which averaging begins (B. Polyak and A. Juditsky, *Acceleration of
            stochastic approximation by averaging*, SIAM J. Control Optim. 30, 1992). After the last update of the
            last epoch the parameters are then the mean of the parameters after each update since; None does not
            average. Earlier epochs, a run that ends early, and all theory are about the steps themselves.
        start: (p,) parameters before the first update, in the data's units; None is zero.
        optimizer, options: another optimizer of ``torch.optim`` by name, and its own keyword arguments;
            engines ``autograd`` and ``replay`` only.
        dtype, device: of the rows; ``float64`` or ``float32``, and a device as torch names it.
        zero_grad: False does not clear the gradient, so that every step adds to it.
        every: record one epoch in ``every``. None: all, or evenly spaced ones if there are more than 100,000.
        tolerance: stop as soon as the gradient's norm is below this times its norm at zero parameters. None
            never stops early, and calls a run converged by a tolerance of 1e-6.
        growth_limit: stop once the cost is this many times the larger of its initial value and its value at zero
            parameters; inf lets a diverging run overflow.

    Raises:
        SettingError: names the setting, its value and what is allowed.

    >>> import descentlab as dl
    >>> descent = Descent(lr=0.1, momentum=0.5, reduction="half_sum", epochs=2)
    >>> run = dl.descend(dl.Problem([1.0], [1.0], bias=False), descent)  # the gradient is W - 1
    >>> W1 = 0 - 0.1 * (0 - 1)
    >>> bool(abs(run.params[0] - (W1 - 0.1 * (0.5 * (0 - 1) + (W1 - 1)))) < 1e-15)
    True
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
        """Check every setting that can be checked without the data."""
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
            checked["start"] = copy(self.start)  # a copy, so that the caller may change the original
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
        """Whether the optimizer is SGD, which theory covers."""
        return self.optimizer.lower() == "sgd"

    @property
    def effective_momentum(self) -> float:
        """The momentum; never clearing the gradient in plain descent is exactly momentum 1."""
        return self.momentum if self.zero_grad else 1.0

    @property
    def has_closed_form(self) -> bool:
        """Whether full-batch theory describes this descent exactly."""
        accumulates = not self.zero_grad and (self.momentum or self.weight_decay)
        return self.is_sgd and self.batch_size is None and not accumulates

    @property
    def summary(self) -> list[str]:
        """The rate, the reduction, and the settings that differ from the defaults, in words."""
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
        """Every setting as a JSON-ready value; the schedule as its text."""
        start = None if self.start is None else [float(value) for value in np.atleast_1d(np.asarray(self.start))]
        settings = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "growth_limit"}
        return settings | {
            "schedule": None if self.schedule is None else str(self.schedule),
            "start": start,
            "options": dict(self.options),
        }

    @property
    def momentum_settings(self) -> MomentumSettings:
        """The arguments of the functions in :mod:`descentlab.descent.recursion`."""
        dampening = self.dampening if self.momentum else 0.0  # without momentum torch ignores dampening
        return {"momentum": self.effective_momentum, "dampening": dampening, "nesterov": self.nesterov}

    def learning_rates(self, epochs_done: IntArray) -> FloatArray:
        """(k,) learning rates after (k,) numbers of epochs."""
        assert not isinstance(self.schedule, str)
        return learning_rates(self.lr, self.schedule, epochs_done)

    def recorded_epochs(self) -> range:
        """The epochs in the history: the first, and evenly spaced ones after it."""
        every = self.every or -(-self.epochs // MAX_RECORDED_EPOCHS)
        return range(1, self.epochs + 1, every)
