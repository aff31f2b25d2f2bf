"""What printed losses alone say, without the data: growth gives the curvature, and the curvature the bound.

Near the end of a diverging run one direction outweighs the others, and the losses are ``c + k g^(2t)`` with g the
factor by which an epoch multiplies its error. Their differences do not know the floor c:

    g = sqrt((L3 - L2) / (L2 - L1))

and :mod:`descentlab.doctor.losses.series` has the bound that follows from g.

That takes one direction alone to grow. What holds without it, of plain descent, is proved by
:mod:`descentlab.doctor.losses.moment_bounds`. Under momentum only this is certain: losses that diverge had a rate
above the bound, and a heavy ball that was started at rest swings only where lr times a curvature is above
``(1 - sqrt(mu))^2``. All of this is about descent. Where the gradient is added, losses grow in the same way, by
``g = 1 + lr * curvature``, at every rate; :mod:`descentlab.doctor.losses.ascent` says when that is ruled out.

Of losses that fall, g and -g are both possible, and only the limit and the pace are determined. They prove no rate
stable: a steep direction may grow from an error too small to show.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.finding import caution_finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.losses.ascent import ascent_refutation
from descentlab.doctor.losses.diagnosis import LossDiagnosis
from descentlab.doctor.losses.divergence import PRINT_MORE, BoundEstimate, divergence_findings, upswing_finding
from descentlab.doctor.losses.findings import (
    decay_finding,
    no_bound_finding,
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
    largest_ratio_of_differences,
)
from descentlab.doctor.losses.moment_bounds import VISIBLE_SHARE, growth_upper_bound
from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.doctor.losses.reading import read_losses
from descentlab.doctor.losses.series import LossSeries
from descentlab.errors import SettingError, check_float, check_int
from descentlab.messages import message
from descentlab.theory.full_batch import DEFAULT_WITHIN

__all__ = ["LossDiagnosis", "diagnose_losses"]

MAX_BOUND_RATIO = 1.25  # a bound is not given as one number where the ends of its range are this many times apart
SLOW_EPOCHS, SLOW_RATIO = 1000, 10  # too slow: more epochs to come than this, and this many times those printed
LIMIT_RTOL = 0.2  # a limit is given where the ends of its range are within this part of it
# Under momentum, losses grow if this many have one pace, known to this part of the growth.
MIN_GROWING_LOSSES, GROWTH_RTOL = 5, 0.25
ALLOWED_LR_RANGE = (1e-100, 1e100)  # rates that leave room for a bound in float64
DIVERGED_LOSS_RATIO = 100.0  # losses that rose this many times have diverged, however unevenly


def diagnose_losses(
    losses: object,
    lr: float | None = None,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    every: int | None = None,
) -> LossDiagnosis:
    """Read printed losses: whether they diverge, the largest stable rate, the pace, the limit.

    Args:
        losses: three or more (two if they rise, or nan follows) in the order printed, as numbers, texts, one text such
            as ``"36.4, 43.9, 53.0"`` or the lines of a log, or a file; see
            :func:`descentlab.doctor.losses.reading.read_losses`.
            Texts say how precisely they were printed; ``nan`` and ``inf`` may stand at the end.
        lr: the learning rate that gave them; None if it is not known: then bounds are multiples of it.
        momentum, dampening, nesterov: as in ``torch.optim.SGD``.
        every: how many epochs lie between two of them; None for what the text says, or 1.

    Raises:
        SettingError: an entry is not a number, or is negative; nan or infinity stands before a number; too few finite
            losses; all equal; a setting outside what it may be.

    >>> found = diagnose_losses("36.4, 43.9, 53.0", 0.01)
    >>> found.verdict.value, round(found.lr_bound, 5), round(found.lr_over_bound, 2)
    ('diverges', 0.00952, 1.05)
    """
    descent = Descent(lr=1.0 if lr is None else lr, momentum=momentum, dampening=dampening, nesterov=nesterov)
    check_float("lr", descent.lr, *ALLOWED_LR_RANGE)
    reading, every = read_losses(losses).evenly_spaced(None if every is None else check_int("every", every, 1))
    parsed = reading.losses
    count = parsed.n_finite
    _check_enough(parsed, count)
    finite_losses = PrintedLosses(parsed.values[:count], parsed.half_ulps[:count])
    series = LossSeries(finite_losses, len(parsed.values) - count, descent, every, lr_is_known=lr is not None)
    with np.errstate(all="ignore"):  # losses may lie 10^600 apart; infinite results are reported as unknown
        return replace(_classify(series), reading=reading.message(every))


def _check_enough(parsed: PrintedLosses, count: int) -> None:
    """Raise unless the first ``count`` losses, finite ones, say something."""
    later_numbers = np.flatnonzero(np.isfinite(parsed.values[count:]))
    if later_numbers.size:
        raise SettingError("losses_gap", entry=count + 1, given=str(parsed.values[count]))
    n_nonfinite = len(parsed.values) - count
    if count == 0 and n_nonfinite:
        raise SettingError("losses_all_nan")
    rises = count == 2 and parsed.values[1] - parsed.half_ulps[1] > parsed.values[0] + parsed.half_ulps[0]
    if count < 2 or (count == 2 and not rises and not n_nonfinite):
        raise SettingError("losses_few", count=count)
    if not n_nonfinite and (parsed.values == parsed.values[0]).all():
        raise SettingError("losses_equal", count=count, value=float(parsed.values[0]))


def _classify(series: LossSeries) -> LossDiagnosis:
    """Which of the ways losses go this is: they rise, fall, level off, swing, or do what one descent cannot."""
    v, h = series.losses
    steps = np.diff(v)
    is_significant = np.abs(steps) > h[1:] + h[:-1]
    signs = np.sign(steps[is_significant])
    turns = int(np.count_nonzero(signs[1:] != signs[:-1]))
    violation = first_convexity_violation(series.losses) if series.has_no_momentum and len(v) > 2 else None
    if violation is not None:
        diverged = series.rises and bool(v[-1] > DIVERGED_LOSS_RATIO * v[0])
        finding = not_full_batch_finding(series.losses, violation, diverged)
        return series.make_diagnosis(Verdict.DIVERGES if diverged else Verdict.UNKNOWN, [finding])
    if len(v) == 2 and not (is_significant[-1] and series.rises):
        return series.make_diagnosis(Verdict.UNKNOWN, [])
    if 0 <= steps[-1] < 0.999 * (h[-1] + h[-2]):
        level = float(v[-1])
        main_message, advice = message("losses.level", value=level), message("advice.losses_level")
        finding = caution_finding("losses_level", main_message, advice=advice, value=level)
        return series.make_diagnosis(Verdict.UNKNOWN, [finding])
    if series.descent.momentum > 1 or math.isinf(series.limit):
        verdict = Verdict.DIVERGES if series.limit == 0 and series.rises else Verdict.UNKNOWN
        return series.make_diagnosis(verdict, [no_bound_finding(series.descent)])
    estimate = estimate_growth(series.losses, series.has_no_momentum)
    if series.rises and (turns == 0 or _grows(series, estimate, turns)):
        return _diagnose_growth(series, estimate, _grows(series, estimate, turns))
    return _diagnose_decay(series, estimate) if series.has_no_momentum or turns == 0 else _diagnose_oscillation(series)


def _grows(series: LossSeries, estimate: GrowthEstimate, turns: int) -> bool:
    """Whether losses that rise diverge: without momentum always, with it if that is more than an upswing."""
    v = series.losses.values
    if series.has_no_momentum or (series.n_nonfinite and v[-1] > DIVERGED_LOSS_RATIO * v[0]):
        return True
    is_lasting = estimate.n_used >= MIN_GROWING_LOSSES or (turns == 0 and len(v) >= MIN_GROWING_LOSSES)
    return is_lasting and estimate.high - estimate.low < GROWTH_RTOL * (estimate.low - 1)


def _diagnose_growth(series: LossSeries, estimate: GrowthEstimate, is_certain: bool) -> LossDiagnosis:
    """Growth: the bound from its pace. Not sure where momentum may only be swinging up."""
    descent, ascent = _descent_bound(series, estimate), None
    low, high = series.bound_interval(estimate.high, max(estimate.low, 1.0))
    add_unsettled = partial(
        unsettled_findings,
        losses=series.losses,
        estimate=estimate,
        range_ratio=high / low if 0 < low <= high else math.inf,
    )
    if not is_certain:
        return series.make_diagnosis(Verdict.UNKNOWN, add_unsettled(upswing_finding(descent)), estimate.high)
    refutation = ascent_refutation(series.losses, series.has_no_momentum)
    if refutation is None:
        ascent = _ascent_bound(series, estimate)
    first, *others = divergence_findings(descent, ascent, refutation)
    first, *unsettled = add_unsettled(first)
    return series.make_diagnosis(
        Verdict.DIVERGES,
        [first, *others, *unsettled],
        estimate.low if math.isnan(estimate.ratio) else estimate.ratio,
        lr_bound=descent.lr_bound,
        lr_bound_range=descent.full,
        may_be_ascent=ascent is not None,
        lr_bound_if_ascent=None if ascent is None else ascent.lr_bound,
        curvature=series.limit / descent.lr_bound if descent.lr_bound else None,
        factor=None if descent.factor is None else -descent.factor,
    )


def _descent_bound(series: LossSeries, estimate: GrowthEstimate) -> BoundEstimate:
    """The bound if the rate is too large: by one growing direction, or by all that are visible."""
    single_mode = series.bound_interval(estimate.high, max(estimate.low, 1.0))
    full, visible = (0.0, series.descent.lr), (0.0, math.inf)
    if series.has_no_momentum:
        full, visible = (
            series.bound_interval(growth_upper_bound(series.losses, share), estimate.low)
            for share in (0.0, VISIBLE_SHARE)
        )
    shown = next(filter(_is_narrow, (full, single_mode, visible)), None)
    if shown is None or not estimate.ratio >= 1:
        return BoundEstimate(series.lr, None, full, full, None)
    factor = series.error_factor(estimate.ratio)
    lr_bound = min(max(series.lr_bound_for(factor), shown[0]), shown[1])
    return BoundEstimate(series.lr, lr_bound, shown, full, factor, is_single_mode=shown is single_mode)


def _ascent_bound(series: LossSeries, estimate: GrowthEstimate) -> BoundEstimate:
    """The bound of the right sign if the gradient was added: then the ratios of differences only rise, up to P."""
    if not series.has_no_momentum:
        single_mode = series.bound_interval(estimate.high, max(estimate.low, 1.0), ascent=True)
        if not _is_narrow(single_mode) or not estimate.ratio >= 1:
            return BoundEstimate(series.lr, None, (0.0, math.inf), (0.0, math.inf), None)
        factor = series.error_factor(estimate.ratio)
        lr_bound = min(max(series.lr_bound_for(factor, ascent=True), single_mode[0]), single_mode[1])
        return BoundEstimate(series.lr, lr_bound, single_mode, (0.0, math.inf), factor, is_single_mode=True)
    least = max(estimate.low, largest_ratio_of_differences(series.losses))
    full, visible = (
        series.bound_interval(growth_upper_bound(series.losses, share), least, ascent=True)
        for share in (0.0, VISIBLE_SHARE)
    )
    shown = next(filter(_is_narrow, (full, visible)), None)
    if shown is None:
        return BoundEstimate(series.lr, None, full, full, None)
    factor = series.error_factor(max(least, 0.0 if math.isnan(estimate.ratio) else estimate.ratio))
    lr_bound = min(max(series.lr_bound_for(factor, ascent=True), shown[0]), shown[1])
    return BoundEstimate(series.lr, lr_bound, shown, full, factor)


def _is_narrow(interval: tuple[float, float]) -> bool:
    """Whether a range is narrow enough to be given as one number."""
    return 0 < interval[0] <= interval[1] <= MAX_BOUND_RATIO * interval[0]


def _drops_shrink(losses: PrintedLosses) -> bool:
    """Whether the losses fall more in the first half than in the second, by more than their rounding."""
    half = (len(losses.values) - 1) // 2
    first, middle, last = losses.values[[0, half, 2 * half]]
    return bool((first - middle) - (middle - last) > losses.half_ulps[[0, half, half, 2 * half]].sum())


def _diagnose_decay(series: LossSeries, estimate: GrowthEstimate) -> LossDiagnosis:
    """A pace and a limit: two readings of the first, and the second only from above while slower ones may show up."""
    last = float(series.losses.values[-1])
    if not 0 < estimate.ratio < 1 or not _drops_shrink(series.losses):
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
        decay_finding(series.lr, factor, shown_limit, epochs, is_slow), series.losses, estimate, math.inf
    )
    explanations = two_explanations_finding(series.lr, monotone_lr_bound, oscillating_lr_bound)
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
    max_lr_bound = series.descent.lr * series.limit / (1 - math.sqrt(mu)) ** 2 if bound_is_proved else None
    return series.make_diagnosis(
        Verdict.OSCILLATING,
        [oscillation_finding(series.descent, peaks, math.sqrt(mu) if is_heavy_ball else None)],
        factor=math.sqrt(mu) if is_heavy_ball else None,
        lr_bound_range=None if max_lr_bound is None else (0.0, max_lr_bound),
    )
