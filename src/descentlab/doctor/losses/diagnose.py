"""What printed losses alone say, without the data: growth gives the curvature, and the curvature the bound.

Near the end of a diverging run one direction outweighs the others, and the losses are ``c + k g^(2t)`` with g the
factor by which an epoch multiplies its error. Their differences do not know the floor c:

    g = sqrt((L3 - L2) / (L2 - L1))

A growing error changes sides every epoch, so the recursion of :mod:`descentlab.descent.recursion` has the root r =
-g, which gives x = lr * curvature, and the largest stable rate is ``lr * limit / x``:

    plain        x = 1 + g
    heavy ball   x = (1 + mu + g + mu / g) / (1 - tau)
    Nesterov     x = 1 + g^2 / ((1 + mu) g + mu)

That takes one direction alone to grow. What holds without it, of plain descent, is proved by
:mod:`descentlab.doctor.losses.moment_bounds`. Under momentum only this is certain: losses that diverge had a rate
above the bound, and a heavy ball that was started at rest swings only where lr times a curvature is above
``(1 - sqrt(mu))^2``. All of this is about descent: where the gradient is added, losses grow in the same way, by
``g = 1 + lr * curvature``, and no rate is stable.

Of losses that fall, g and -g are both possible, and only the limit and the pace are determined. They prove no rate
stable: a steep direction may grow from an error too small to show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.recursion import stability_limit
from descentlab.doctor.finding import Finding, caution_finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.losses.diagnosis import LossDiagnosis
from descentlab.doctor.losses.findings import (
    PRINT_MORE,
    decay_finding,
    divergence_finding,
    no_bound_finding,
    nonfinite_finding,
    not_full_batch_finding,
    oscillation_finding,
    two_explanations_finding,
    unsettled_findings,
)
from descentlab.doctor.losses.growth_rate import (
    GrowthEstimate,
    aitken_limits,
    estimate_growth,
    fastest_decay_bound,
    first_convexity_violation,
)
from descentlab.doctor.losses.moment_bounds import VISIBLE_SHARE, growth_upper_bound
from descentlab.doctor.losses.parsing import PrintedLosses, parse_losses
from descentlab.errors import SettingError, check_float, check_int
from descentlab.messages import message
from descentlab.theory.full_batch import DEFAULT_WITHIN

__all__ = ["LossDiagnosis", "diagnose_losses"]

MAX_BOUND_RATIO = 1.25  # a bound is not given as one number where the ends of its range are this many times apart
SLOW_EPOCHS, SLOW_RATIO = 1000, 10  # too slow: more epochs to come than this, and this many times those printed
NEGLIGIBLE_BOUND_RATIO = 1e-3  # a range that begins this far below its end begins at 0
LIMIT_RTOL = 0.2  # a limit is given where the ends of its range are within this part of it
# Under momentum, losses grow if this many have one pace, known to this part of the growth.
MIN_GROWING_LOSSES, GROWTH_RTOL = 5, 0.25
ALLOWED_LR_RANGE = (1e-100, 1e100)  # rates that leave room for a bound in float64
DIVERGED_LOSS_RATIO = 100.0  # losses that rose this many times have diverged, however unevenly


@dataclass(frozen=True)
class LossSeries:
    """The losses and the settings they came from.

    Attributes:
        losses: the finite ones, three or more, not all equal.
        n_nonfinite: how many entries after them are nan or infinite.
        descent: the settings; every: epochs from one print to the next.
    """

    losses: PrintedLosses
    n_nonfinite: int
    descent: Descent
    every: int

    @property
    def has_no_momentum(self) -> bool:
        """Whether there is no momentum: then losses are sums of powers."""
        return self.descent.momentum == 0

    def error_factor(self, ratio: float) -> float:
        """What an epoch multiplies the error by, from what a print multiplies the loss by."""
        return float(ratio ** (0.5 / self.every))

    def lr_bound_for(self, factor: float, overshooting: bool = True) -> float:
        """The largest stable rate of a direction whose error this factor multiplies; inf if it is not determined."""
        mu, tau, g = self.descent.momentum, self.descent.dampening, factor if overshooting else -factor
        if g == math.inf:
            return 0.0
        if self.has_no_momentum:
            x = 1 + g
        elif self.descent.nesterov:
            x = 1 + g * g / ((1 + mu) * g + mu) if (1 + mu) * abs(g) > mu else math.nan
        else:
            x = (1 + mu + g + mu / g) / (1 - tau) if tau < 1 and g else math.nan
        return self.descent.lr * stability_limit(**self.descent.momentum_settings) / x if x > 0 else math.inf

    def bound_interval(self, max_growth: float, min_growth: float) -> tuple[float, float]:
        """The bound where P is between these; from 0 where the first is far beyond the second."""
        low, high = self.lr_bound_for(self.error_factor(max_growth)), self.lr_bound_for(self.error_factor(min_growth))
        return (low if low > NEGLIGIBLE_BOUND_RATIO * high else 0.0), high

    def make_diagnosis(
        self, verdict: Verdict, conclusions: list[Finding], growth: float = 1.0, **numbers: Any
    ) -> LossDiagnosis:
        """The diagnosis, with what the entries that are not finite and the distance of the prints add to it."""
        if self.n_nonfinite:
            conclusions = [
                *conclusions,
                nonfinite_finding(self.n_nonfinite, float(self.losses.values[-1]) * growth),
            ]
        if self.every > 1 and not self.has_no_momentum:
            conclusions = [
                *conclusions,
                caution_finding("losses_every", message("losses.every", every=self.every), every=self.every),
            ]
        unchecked = [message("unchecked.data")]
        checked = [message("checked.finite")] * (not self.n_nonfinite)
        if not self.has_no_momentum:
            unchecked.append(message("unchecked.full_batch"))
        elif all(each.name != "losses_not_plain" for each in conclusions):
            checked.append(message("checked.full_batch"))
        return LossDiagnosis(
            verdict,
            self.descent.lr,
            findings=tuple(conclusions),
            checked=tuple(checked),
            unchecked=tuple(unchecked),
            **numbers,
        )


def diagnose_losses(
    losses: object,
    lr: float | None,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    every: int = 1,
) -> LossDiagnosis:
    """Read printed losses: whether they diverge, the largest stable rate, the pace, the limit.

    Args:
        losses: three or more in the order printed, as numbers, texts, or one text such as ``"36.4, 43.9, 53.0"``.
            Texts say how precisely they were printed; ``nan`` and ``inf`` may stand at the end.
        lr: the learning rate that gave them.
        momentum, dampening, nesterov: as in ``torch.optim.SGD``.
        every: how many epochs lie between two of them.

    Raises:
        SettingError: an entry is not a number, or is negative; nan or infinity stands before a number; fewer than three
            finite losses; all equal; no rate, or a setting outside what it may be.

    >>> found = diagnose_losses("36.4, 43.9, 53.0", 0.01)
    >>> found.verdict.value, round(found.lr_bound, 5), round(found.lr_over_bound, 2)
    ('diverges', 0.00952, 1.05)
    """
    if lr is None:
        raise SettingError("losses_no_lr")
    descent = Descent(lr=lr, momentum=momentum, dampening=dampening, nesterov=nesterov)
    check_float("lr", descent.lr, *ALLOWED_LR_RANGE)
    every = check_int("every", every, 1)
    parsed = parse_losses(losses)
    count = parsed.n_finite
    later_numbers = np.flatnonzero(np.isfinite(parsed.values[count:]))
    if later_numbers.size:
        raise SettingError("losses_gap", entry=count + 1, given=str(parsed.values[count]))
    if count < 3:
        raise SettingError("losses_few", count=count)
    finite_losses = PrintedLosses(parsed.values[:count], parsed.half_ulps[:count])
    if (finite_losses.values == finite_losses.values[0]).all():
        raise SettingError("losses_equal", count=count, value=float(finite_losses.values[0]))
    with np.errstate(all="ignore"):  # losses may lie 10^600 apart; infinite results are reported as unknown
        return _classify(LossSeries(finite_losses, len(parsed.values) - count, descent, every))


def _classify(series: LossSeries) -> LossDiagnosis:
    """Which of the ways losses go this is: they rise, fall, level off, swing, or do what one descent cannot."""
    v, h = series.losses
    steps = np.diff(v)
    is_significant = np.abs(steps) > h[1:] + h[:-1]
    signs = np.sign(steps[is_significant])
    turns = int(np.count_nonzero(signs[1:] != signs[:-1]))
    rises = bool(steps[-1] > 0)
    limit = stability_limit(**series.descent.momentum_settings)
    violation = first_convexity_violation(series.losses) if series.has_no_momentum else None
    if violation is not None:
        diverged = rises and bool(v[-1] > DIVERGED_LOSS_RATIO * v[0])
        finding = not_full_batch_finding(series.losses, violation, diverged)
        return series.make_diagnosis(Verdict.DIVERGES if diverged else Verdict.UNKNOWN, [finding])
    if not is_significant[-1] and (rises or steps[-1] == 0):
        level = float(v[-1])
        main_message, advice = message("losses.level", value=level), message("advice.losses_level")
        finding = caution_finding("losses_level", main_message, advice=advice, value=level)
        return series.make_diagnosis(Verdict.UNKNOWN, [finding])
    if series.descent.momentum > 1 or math.isinf(limit):
        verdict = Verdict.DIVERGES if limit == 0 and rises else Verdict.UNKNOWN
        return series.make_diagnosis(verdict, [no_bound_finding(series.descent)])
    estimate = estimate_growth(series.losses, series.has_no_momentum)
    is_lasting = estimate.n_used >= MIN_GROWING_LOSSES or (turns == 0 and len(v) >= MIN_GROWING_LOSSES)
    grows = rises and (
        series.has_no_momentum or (is_lasting and estimate.high - estimate.low < GROWTH_RTOL * (estimate.low - 1))
    )
    if grows or (rises and turns == 0):
        return _diagnose_growth(series, estimate, grows)
    return _diagnose_decay(series, estimate) if series.has_no_momentum or turns == 0 else _diagnose_oscillation(series)


def _diagnose_growth(series: LossSeries, estimate: GrowthEstimate, is_certain: bool) -> LossDiagnosis:
    """Growth: the bound from its pace. Not sure where momentum may only be swinging up."""
    single_mode_interval = series.bound_interval(estimate.high, max(estimate.low, 1.0))
    full_interval, visible_interval = (0.0, series.descent.lr), (0.0, math.inf)
    if series.has_no_momentum:
        full_interval, visible_interval = (
            series.bound_interval(growth_upper_bound(series.losses, share), estimate.low)
            for share in (0.0, VISIBLE_SHARE)
        )
    narrow_intervals = [
        interval
        for interval in (full_interval, single_mode_interval, visible_interval)
        if 0 < interval[0] <= interval[1] <= MAX_BOUND_RATIO * interval[0]
    ]
    shown_interval = narrow_intervals[0] if narrow_intervals and estimate.ratio >= 1 else None
    factor = lr_bound = None
    if shown_interval is not None:
        factor = series.error_factor(estimate.ratio)
        lr_bound = min(max(series.lr_bound_for(factor), shown_interval[0]), shown_interval[1])
    low, high = single_mode_interval
    conclusions = unsettled_findings(
        divergence_finding(
            series.descent.lr,
            lr_bound,
            shown_interval=shown_interval or full_interval,
            full_interval=full_interval,
            factor=factor,
            is_certain=is_certain,
            is_single_mode=shown_interval is single_mode_interval,
        ),
        series.losses,
        estimate,
        high / low if 0 < low <= high else math.inf,
    )
    if not is_certain:
        return series.make_diagnosis(Verdict.UNKNOWN, conclusions, estimate.high)
    return series.make_diagnosis(
        Verdict.DIVERGES,
        conclusions,
        estimate.ratio,
        lr_bound=lr_bound,
        lr_bound_range=full_interval,
        curvature=stability_limit(**series.descent.momentum_settings) / lr_bound if lr_bound else None,
        factor=None if factor is None else -factor,
    )


def _diagnose_decay(series: LossSeries, estimate: GrowthEstimate) -> LossDiagnosis:
    """A pace and a limit: two readings of the first, and the second only from above while slower ones may show up."""
    last = float(series.losses.values[-1])
    if not 0 < estimate.ratio < 1:
        return series.make_diagnosis(
            Verdict.UNKNOWN, [caution_finding("losses_steady", message("losses.steady"), advice=PRINT_MORE, last=last)]
        )
    factor = series.error_factor(estimate.ratio)
    min_limit, limit, max_limit = aitken_limits(series.losses, estimate.stride)
    reaches_zero = min_limit == 0 and max_limit <= DEFAULT_WITHIN * last
    limit_is_known = (reaches_zero or max_limit - min_limit <= LIMIT_RTOL * max_limit) and (
        series.has_no_momentum or estimate.is_settled
    )
    epochs = None
    if limit_is_known:
        remaining = (
            DEFAULT_WITHIN if reaches_zero else DEFAULT_WITHIN * limit / (last - limit) if last > limit else math.inf
        )
        epochs = (
            max(math.ceil(series.every * math.log(remaining) / math.log(estimate.ratio)), 0) if remaining < 1 else 0
        )
    epochs_printed = (len(series.losses.values) - 1) * series.every
    is_slow = epochs is not None and epochs > max(SLOW_EPOCHS, SLOW_RATIO * epochs_printed)
    shown_limit = None if not limit_is_known else 0.0 if reaches_zero else limit
    # Some direction seen fades no slower than this; under momentum, only what is settled tells.
    fastest_factor = series.error_factor(
        fastest_decay_bound(series.losses) if series.has_no_momentum else estimate.high
    )
    monotone_lr_bound, oscillating_lr_bound = (
        series.lr_bound_for(fastest_factor, overshooting=False),
        series.lr_bound_for(factor),
    )
    first, *unsettled = unsettled_findings(
        decay_finding(series.descent.lr, factor, shown_limit, epochs, is_slow), series.losses, estimate, math.inf
    )
    explanations = two_explanations_finding(series.descent.lr, monotone_lr_bound, oscillating_lr_bound)
    conclusions = [first, explanations, *unsettled]
    return series.make_diagnosis(
        Verdict.TOO_SLOW if is_slow else Verdict.MONOTONE if estimate.is_settled else Verdict.UNKNOWN,
        conclusions,
        lr_bound_range=(0.0, monotone_lr_bound)
        if series.has_no_momentum and math.isfinite(monotone_lr_bound)
        else None,
        factor=factor,
        limit=shown_limit,
        epochs_to_tolerance=epochs,
    )


def _diagnose_oscillation(series: LossSeries) -> LossDiagnosis:
    """Losses that momentum lets swing, beyond their rounding: they converge where their peaks fall."""
    v, mu = series.losses.values, series.descent.momentum
    peaks = v[1:-1][(v[1:-1] > v[:-2]) & (v[1:-1] >= v[2:])]
    if len(peaks) < 2 or not (np.diff(peaks) < 0).all() or not v[-1] < peaks[0]:
        return series.make_diagnosis(
            Verdict.UNKNOWN,
            [
                caution_finding(
                    "losses_swing_unclear", message("losses.swing_unclear", momentum=mu), advice=PRINT_MORE, momentum=mu
                )
            ],
        )
    tau = series.descent.dampening
    is_heavy_ball = not series.descent.nesterov and mu < 1
    # From rest and undampened, an error whose roots are real and positive only shrinks: a rise needs a curvature from
    # (1 - sqrt(mu))^2 / lr on. Dampening spares the first step, whose push can take any error to the other side.
    bound_is_proved = is_heavy_ball and tau == 0
    max_lr_bound = (
        series.descent.lr * stability_limit(**series.descent.momentum_settings) / (1 - math.sqrt(mu)) ** 2
        if bound_is_proved
        else None
    )
    return series.make_diagnosis(
        Verdict.OSCILLATING,
        [oscillation_finding(series.descent, peaks, math.sqrt(mu) if is_heavy_ball else None)],
        factor=math.sqrt(mu) if is_heavy_ball else None,
        lr_bound_range=None if max_lr_bound is None else (0.0, max_lr_bound),
    )
