"""The findings about losses that diverge: too large a rate, or a gradient that is added, each with its bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from descentlab.doctor.finding import Finding, caution_finding, problem_finding
from descentlab.doctor.references import POLYAK_REFERENCE
from descentlab.messages import Message, format_bound, message

Interval = tuple[float, float]

SMALL_STEP_FRACTION = 0.01  # a step that decides between descent and ascent, as a part of the largest stable rate
PRINT_MORE = message("advice.losses_print_more")


@dataclass(frozen=True)
class BoundEstimate:
    """What losses say about the largest stable rate, if the gradient has one sign.

    Attributes:
        lr: the rate they came from; None if it is not known, and then all rates are multiples of it.
        lr_bound: the likely bound; None where its range is too wide for one number.
        shown: the range given with it.
        full: the range without further assumptions.
        factor: what an epoch multiplies the error by, without its sign; None where it is not known.
        is_single_mode: whether ``shown`` assumes that a single direction grows; else it assumes that no direction
            grows that is too small to matter.
    """

    lr: float | None
    lr_bound: float | None
    shown: Interval
    full: Interval
    factor: float | None
    is_single_mode: bool = False

    @property
    def lr_over_bound(self) -> float | None:
        return (1.0 if self.lr is None else self.lr) / self.lr_bound if self.lr_bound else None

    @property
    def digits(self) -> int:
        """How many digits of the bound its range leaves."""
        return _justified_digits(self.lr_bound, *self.shown) if self.lr_bound else 3

    def rate(self, value: float) -> Message | str:
        """A rate in words."""
        return rate_in_words(self.lr, value)

    def claim(self) -> Message:
        """The bound and where the rate stands: a clause."""
        relative = "" if self.lr is not None else "_relative"
        if self.lr_bound is None:
            key = f"losses.bound_{'between' if self.full[0] > 0 else 'below'}{relative}"
            values = _format_interval(self.full if self.lr is not None else _reciprocal(self.full), 4)
            if relative and values["low"] == "1":
                return message("losses.bound_exceeded")
            return message(key, lr=self.lr, **values)
        times = self.lr_over_bound
        assert times is not None
        shown = _format_interval(self.shown if self.lr is not None else _reciprocal(self.shown), self.digits + 1)
        values = {
            "lr_bound": f"{self.lr_bound:.{self.digits + 1}g}",
            "times": _format_times(times, self.digits + bool(relative)),
        }
        return message(f"losses.bound{relative}", lr=self.lr, **shown, **values)

    def caveats(self) -> list[Message]:
        """What the claim assumes, and what holds without it."""
        if not self.is_single_mode:
            return [message("losses.hidden")] * (self.lr_bound is not None or self.full[0] > 0)
        if self.lr is None:
            return [message("losses.single_direction")]
        values = {
            "low": _format_interval(self.full, 3)["low"],
            "high": _format_interval(self.full, self.digits + 1)["high"],
        }
        return [
            message("losses.single_direction"),
            message("losses.bound_anyway" if self.full[0] > 0 else "losses.bound_at_most", **values),
        ]

    def small_rate(self) -> float:
        """A rate at which one step lowers the loss, unless an unseen direction is a hundred times as steep."""
        return SMALL_STEP_FRACTION * (self.lr_bound or self.full[0] or SMALL_STEP_FRACTION * self.full[1])


def rate_in_words(lr: float | None, value: float) -> Message | str:
    """A rate rounded down to three digits; where lr is None, as a multiple of it."""
    text = format_bound(value, 1.0 if lr is None else lr)
    return text if lr is not None else message("losses.times_yours", multiple=text)


def divergence_findings(
    descent: BoundEstimate, ascent: BoundEstimate | None, refutation: Message | None
) -> list[Finding]:
    """That losses diverge, why, and the bound of each explanation.

    Args:
        descent: the bound if the rate is too large.
        ascent: the bound if the gradient is added; None if that is refuted.
        refutation: why the gradient cannot have been added.
    """
    claim, caveats = descent.claim(), descent.caveats()
    messages = [message("losses.diverge", claim=claim)]
    if ascent is not None:
        messages = [message("losses.diverge_either")]
        messages += [message("losses.if_too_large", claim=claim)] * (claim.key != "losses.bound_exceeded")
    messages += [] if descent.factor is None else [message("losses.grow", factor=-descent.factor)]
    caveats += [] if refutation is None else [refutation]
    numbers: dict[str, Any] = {"lr": descent.lr, "lr_over_bound": descent.lr_over_bound}
    numbers |= _bound_numbers(descent) | {"factor": None if descent.factor is None else -descent.factor}
    first = problem_finding(
        "losses_diverge",
        *messages,
        advice=_divergence_advice(descent, ascent),
        reference=None if descent.lr_bound is None else POLYAK_REFERENCE,
        caveats=tuple(caveats),
        **numbers,
    )
    return [first] if ascent is None else [first, _ascent_finding(ascent)]


def upswing_finding(descent: BoundEstimate) -> Finding:
    """That losses may diverge, or only swing up under momentum."""
    caveats = [message("losses.if_growing", claim=descent.claim()), *descent.caveats()]
    numbers = {"lr": descent.lr, **_bound_numbers(descent)}
    return caution_finding(
        "losses_upswing", message("losses.upswing"), advice=PRINT_MORE, caveats=tuple(caveats), **numbers
    )


def _divergence_advice(descent: BoundEstimate, ascent: BoundEstimate | None) -> Message:
    causes, small = "diverge" if ascent is None else "either", descent.rate(descent.small_rate())
    if descent.lr_bound is None:
        return message(f"advice.losses_{causes}_halve", small=small)
    return message(f"advice.losses_{causes}", small=small, half=descent.rate(descent.lr_bound / 2))


def _ascent_finding(ascent: BoundEstimate) -> Finding:
    """What follows if the gradient is added: losses grow at every rate, and the right sign has another bound."""
    messages = [message("losses.ascent_if")]
    messages += [] if ascent.factor is None else [message("losses.ascent_grows", factor=ascent.factor)]
    messages += [message("losses.ascent_bound", claim=ascent.claim())] * math.isfinite(ascent.full[1])
    advice = message("advice.ascent")
    times = ascent.lr_over_bound
    if times is not None and times > 1 and ascent.lr_bound is not None:
        advice = message("advice.losses_ascent_and_rate", half=ascent.rate(ascent.lr_bound / 2))
    numbers = {"lr": ascent.lr, "lr_over_bound": times, "factor": ascent.factor, **_bound_numbers(ascent)}
    return caution_finding("losses_ascent", *messages, advice=advice, **numbers)


def _bound_numbers(estimate: BoundEstimate) -> dict[str, Any]:
    """The bound and its ranges; None where the rate is not known."""
    numbers = {"lr_bound": estimate.lr_bound, "lr_bound_low": estimate.full[0], "lr_bound_high": estimate.full[1]}
    if estimate.is_single_mode:
        numbers |= {"alone_low": estimate.shown[0], "alone_high": estimate.shown[1]}
    return dict.fromkeys(numbers) if estimate.lr is None else numbers


def _format_times(times: float, digits: int) -> str:
    """A multiple with the digits of its bound, or more where it is near 1."""
    decimals = max(digits, 1 + math.ceil(-math.log10(abs(times - 1)))) if times != 1 else digits
    return f"{times:.{min(decimals, 6)}g}"


def _reciprocal(interval: Interval) -> Interval:
    """The multiples of the bound that a rate of 1 is."""
    low, high = interval
    return (1 / high, 1 / low if low > 0 else math.inf)


def _format_interval(interval: Interval, digits: int) -> dict[str, str]:
    """The ends of a range with this many digits, rounded outwards."""
    low, high = _round_directed(interval[0], digits, math.floor), _round_directed(interval[1], digits, math.ceil)
    return {"low": f"{low:.{digits}g}", "high": f"{high:.{digits}g}"}


def _justified_digits(value: float, low: float, high: float) -> int:
    """How many digits of a number its range leaves it, from 2 to 6."""
    relative_width = (high - low) / value
    return min(max(math.ceil(-math.log10(relative_width)), 2), 6) if relative_width > 0 else 6


def _round_directed(value: float, digits: int, round_to_int: Callable[[Decimal], int]) -> float:
    """A number rounded down or up to this many digits."""
    if not 0 < value < math.inf:
        return value
    decimals = digits - 1 - math.floor(math.log10(value))
    return float(Decimal(round_to_int(Decimal(repr(value)).scaleb(decimals))).scaleb(-decimals))
