"""Whether the gradient may have been added: of losses that diverge, what an ascent cannot have printed.

Where the gradient is added, an epoch multiplies every error by ``1 + lr * curvature``, so in
``L(t) = sum_i k_i P_i^t`` with k_i >= 0 no P_i is below 1, and no loss is below an earlier one. Without momentum more
follows: every difference ``D(t) = L(t + s) - L(t) = sum_i k_i (P_i^s - 1) P_i^t`` is a sum of powers with weights >= 0,
hence log-convex: the ratios ``D(t + s) / D(t)`` never fall. With momentum from rest, every step of an ascent has the
sign of the first, so its losses never fall either.

A descent above its bound breaks both while a fading direction is visible. One without such a direction breaks neither:
``|1 - lr * curvature|`` and ``1 + lr * curvature`` take the same values. So losses can refute an ascent and never prove
one; a step at a small rate decides, because it lowers the loss of a descent and raises that of an ascent.

Both are judged beyond the rounding that is printed and that of a loop in float32. The exception is a float32 loop that
starts so near an exact fit that its first losses are rounding.
"""

from __future__ import annotations

import numpy as np

from descentlab.doctor.losses.growth_rate import LOOP_NOISE_RTOL, MAX_LOSSES, ratio_intervals
from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.messages import Message, message

MIN_SLOWDOWN = 1.01  # ratios that fall by less may come from the rounding of weights


def ascent_refutation(losses: PrintedLosses, has_no_momentum: bool) -> Message | None:
    """Why an ascent cannot have these finite losses, whatever its rate; None if it may.

    >>> from descentlab.doctor.losses.parsing import parse_losses
    >>> str(ascent_refutation(parse_losses("5.0, 4.0, 6.0, 9.0"), has_no_momentum=True))
    'The gradient is subtracted: the losses fall from 5 to 4, and where it is added they never fall.'
    >>> ascent_refutation(parse_losses("4, 5, 6.25"), has_no_momentum=True) is None
    True
    """
    v, h = losses
    widened = PrintedLosses(v, np.maximum(h, LOOP_NOISE_RTOL * v))
    return _fall(widened) or (_slowdown(widened) if has_no_momentum else None)


def _fall(losses: PrintedLosses) -> Message | None:
    v, h = losses
    least = v - h
    highest = np.maximum.accumulate(least)
    lower = np.flatnonzero(v[1:] + h[1:] < highest[:-1]) + 1
    if not lower.size:
        return None
    last = int(lower[np.argmin(v[lower])])
    return message("losses.not_ascent_fall", before=float(v[np.argmax(least[:last])]), after=float(v[last]))


def _slowdown(losses: PrintedLosses) -> Message | None:
    """The growth of the differences falls, at some stride, among the first losses or the last ones."""
    for part in (slice(None, MAX_LOSSES), slice(-MAX_LOSSES, None)):
        v, h = losses.values[part], losses.half_ulps[part]
        for stride in range(1, (len(v) - 1) // 2 + 1):
            low, high, _ = ratio_intervals(v, h, stride)
            low = np.where(np.isfinite(low), low, 0.0)
            slower = np.flatnonzero(high[1:] * MIN_SLOWDOWN < np.maximum.accumulate(low)[:-1]) + 1
            if slower.size:
                last = int(slower[np.argmin(high[slower])])
                return message("losses.not_ascent_slowdown", before=float(low[:last].max()), after=float(high[last]))
    return None
