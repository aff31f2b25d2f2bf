"""Printed losses with the settings they came from, and the largest stable rate that a pace implies under these.

Where one direction outweighs the others and an epoch multiplies its error by a root r of the recursion of
:mod:`descentlab.descent.recursion`, ``x = lr * curvature`` follows from r, and the largest stable rate is
``lr * limit / |x|``:

    plain        x = 1 - r
    heavy ball   x = (1 + mu - r - mu / r) / (1 - tau)
    Nesterov     x = 1 - r^2 / ((1 + mu) r - mu)

A growing error has the root -g in a descent, and g in an ascent, whose x is negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from descentlab.descent.descent import Descent
from descentlab.descent.recursion import stability_limit
from descentlab.doctor.finding import Finding, caution_finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.losses.diagnosis import LossDiagnosis
from descentlab.doctor.losses.findings import nonfinite_finding
from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.messages import message

NEGLIGIBLE_BOUND_RATIO = 1e-3  # a range that begins this far below its end begins at 0


@dataclass(frozen=True)
class LossSeries:
    """The losses and the settings they came from.

    Attributes:
        losses: the finite ones, two or more.
        n_nonfinite: how many entries after them are nan or infinite.
        descent: the settings, with lr = 1 if the rate is not known: then every bound is a multiple of it.
        every: epochs from one print to the next.
        lr_is_known: whether the rate is known.
    """

    losses: PrintedLosses
    n_nonfinite: int
    descent: Descent
    every: int
    lr_is_known: bool

    @property
    def lr(self) -> float | None:
        """The rate, if it is known."""
        return self.descent.lr if self.lr_is_known else None

    @property
    def has_no_momentum(self) -> bool:
        """Whether there is no momentum: then losses are sums of powers."""
        return self.descent.momentum == 0

    @property
    def limit(self) -> float:
        """The largest stable lr * curvature."""
        return stability_limit(**self.descent.momentum_settings)

    @property
    def rises(self) -> bool:
        """Whether the last loss is above the one before it."""
        return bool(self.losses.values[-1] > self.losses.values[-2])

    def error_factor(self, ratio: float) -> float:
        """What an epoch multiplies the error by, from what a print multiplies the loss by."""
        return float(ratio ** (0.5 / self.every))

    def lr_times_curvature(self, root: float) -> float:
        """The x whose recursion has this root; nan if none has."""
        mu, tau = self.descent.momentum, self.descent.dampening
        if self.has_no_momentum:
            return 1 - root
        if self.descent.nesterov:
            return 1 - root * root / ((1 + mu) * root - mu) if (1 + mu) * abs(root) > mu else math.nan
        return (1 + mu - root - mu / root) / (1 - tau) if tau < 1 and root else math.nan

    def lr_bound_for(self, factor: float, overshooting: bool = True, ascent: bool = False) -> float:
        """The largest stable rate of a direction whose error this factor multiplies; inf if it is not determined."""
        if factor == math.inf:
            return 0.0 if overshooting else math.inf
        x = self.lr_times_curvature(-factor if overshooting and not ascent else factor)
        x = -x if ascent else x
        return self.descent.lr * self.limit / x if x > 0 else math.inf

    def bound_interval(self, max_growth: float, min_growth: float, ascent: bool = False) -> tuple[float, float]:
        """The bound where P is between these; from 0 where the first is far beyond the second."""
        low, high = (self.lr_bound_for(self.error_factor(growth), ascent=ascent) for growth in (max_growth, min_growth))
        return (low if low > NEGLIGIBLE_BOUND_RATIO * min(high, 1e300) else 0.0), high

    def make_diagnosis(
        self, verdict: Verdict, conclusions: list[Finding], growth: float = 1.0, **numbers: Any
    ) -> LossDiagnosis:
        """The diagnosis, with what the entries that are not finite and the distance of the prints add to it."""
        if self.n_nonfinite:
            last, count = float(self.losses.values[-1]), len(self.losses.values)
            nonfinite = nonfinite_finding(self.n_nonfinite, last * growth, is_minimum=self.rises and count == 2)
            # nan that no growth explains comes first, unless the losses diverge anyway
            conclusions = [*conclusions, nonfinite] if verdict is Verdict.DIVERGES else [nonfinite, *conclusions]
            verdict = verdict if verdict is Verdict.DIVERGES else Verdict.UNKNOWN
        if self.every > 1 and not self.has_no_momentum:
            conclusions = [
                *conclusions,
                caution_finding("losses_every", message("losses.every", every=self.every), every=self.every),
            ]
        unchecked = [message("unchecked.data")]
        checked = [message("checked.finite")] * (not self.n_nonfinite)
        if len(self.losses.values) == 2:
            unchecked.append(message("unchecked.full_batch_two"))
        elif not self.has_no_momentum:
            unchecked.append(message("unchecked.full_batch"))
        elif all(each.name != "losses_not_plain" for each in conclusions):
            checked.append(message("checked.full_batch"))
        lr_bound = numbers.pop("lr_bound", None)
        if not self.lr_is_known:
            numbers |= dict.fromkeys(("lr_bound_range", "curvature", "lr_bound_if_ascent"))
        return LossDiagnosis(
            verdict,
            self.lr,
            lr_bound=lr_bound if self.lr_is_known else None,
            lr_over_bound=self.descent.lr / lr_bound if lr_bound else None,
            findings=tuple(conclusions),
            checked=tuple(checked),
            unchecked=tuple(unchecked),
            **numbers,
        )
