"""Verdicts on pace: the rate against its limit, losses that do not fall, and rates that die too soon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from descentlab.messages import counted, rounded, sentence
from descentlab.typing import Array
from descentlab.watching.verdict import Verdict, caution, problem

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Case

CLEARLY = 1.02  # times its limit: what Lanczos leaves open is less
FAR_UNDER = 1e-3
HARDLY = 0.01  # of the loss
GROWN = 1000.0  # times its least: a loss that a mistake elsewhere has broken is not that large before
WIDE = 30.0  # of inputs: standardized ones have 1
FEW, SOME = 3, 20  # steps from which a fast, or a slow, thing can be told


def ratio_of(case: Case) -> float | None:
    """The rate over its limit, over the whole run: the exact one, else the middle of those measured; None if unknown.

    Where several backward passes add up to one step, one pass's curvature is only a part, and nothing is known.
    """
    sight = case.sight
    if case.diagnosis is not None and case.diagnosis.lr_ratio is not None:
        return case.diagnosis.lr_ratio
    ratios = sight.record.ratios
    if not ratios or not one_pass_each(case) or not as_they_came(case):
        return None
    return float(np.median(ratios))


def one_pass_each(case: Case) -> bool:
    """Whether each step follows from one backward pass."""
    return case.sight.backwards <= case.sight.steps + 1


def as_they_came(case: Case) -> bool:
    """Whether steps use the gradients that backward passes made, and not some that were clipped or scaled since."""
    return 2 * case.sight.gradients.altered <= case.sight.gradients.compared


def above_limit(case: Case) -> Verdict | None:
    """A rate above its limit, and a loss that shows it. Networks at the edge of stability are quiet: theirs falls."""
    sight = case.sight
    ratio = ratio_of(case)
    ratios = sight.record.ratios
    if ratio is None or sight.steps < FEW:
        return None
    ratio = max(ratio, ratios[0] if ratios and case.diagnosis is None else ratio)
    loss = sight.record.loss
    late = median(loss[len(loss) * 3 // 4 :])
    overflown = sight.trouble is not None and sight.trouble.kind in ("gradient", "parameter", "output", "loss")
    grew = float(np.nanmax(loss)) > loss[0] if np.isfinite(loss[0]) else False
    risen = late >= loss[0] or not math.isfinite(late) or (late >= 0.9 * loss[0] and ratio >= 2)
    if ratio < CLEARLY and overflown and grew:
        return _outgrown(case)
    if ratio < CLEARLY or not (risen or (overflown and grew)):
        return None
    lr = float(sight.record.lr[0]) or float(sight.record.lr.max())
    values = {"lr": lr, "ratio": rounded(ratio), "most": _largest(case, ratio, lr)}
    advice = sentence("watch.take_less", half=_short(_largest(case, ratio, lr) / 2))
    said = sentence("watch.above_limit", **values | {"most": _short(values["most"])})  # type: ignore[arg-type]
    said_of_inputs = (
        [sentence("watch.input_scale", size=rounded(sight.study.input_size))] if sight.study.input_size > WIDE else []
    )
    return problem("above_limit", said, *said_of_inputs, advice, lr=lr, ratio=ratio, largest=values["most"])


def _outgrown(case: Case) -> Verdict | None:
    """A rate that was below its limit at first, until curvature grew."""
    late = [probe for probe in case.sight.record.probes if probe.ratio is not None and probe.ratio > CLEARLY]
    if not late:
        return None
    first = late[0]
    values = {"step": first.step + 1, "lr": first.lr}
    said = sentence("watch.outgrown", ratio=rounded(first.ratio or math.nan), **values)
    return problem("above_limit", said, sentence("watch.take_less_later"), ratio=first.ratio, **values)


def growth(case: Case) -> float:
    """The last finite loss over the least one so far, or 1."""
    loss = case.sight.record.loss
    loss = loss[np.isfinite(loss)]
    return float(loss[-1] / loss.min()) if len(loss) and loss.min() > 0 else 1.0


def plateau(case: Case) -> bool | None:
    """Whether the loss hardly depends on the parameters where they are, as where outputs are saturated.

    There a curvature a is next to nothing: moving every parameter p to 0 would change ``a |p|^2 / 2`` of the loss.
    None where that is not measured; where theory is exact, a curvature says what it says.
    """
    sight = case.sight
    probe = sight.record.probes[-1] if sight.record.probes else None
    if probe is None or not math.isfinite(probe.sharpness) or case.diagnosis is not None:
        return None if case.diagnosis is None else False
    loss = float(sight.record.loss[-1])
    return probe.sharpness * sight.gradients.norms()[1] ** 2 < 2 * HARDLY * abs(loss)


def lr_far_under(case: Case) -> Verdict | None:
    """A rate so far below its limit that nothing moves."""
    sight = case.sight
    ratio, loss = ratio_of(case), sight.record.loss
    if ratio is None or not 0 < ratio < FAR_UNDER or len(loss) < SOME or plateau(case):
        return None
    part = max(len(loss) // 10, 1)
    early, late = median(loss[:part]), median(loss[-part:])
    if not late > (1 - HARDLY) * early:
        return None
    lr = float(sight.record.lr[-1])
    fall = 1 - late / early
    values = {
        "lr": lr,
        "part": rounded(100 * ratio),
        "fall": rounded(100 * fall) if abs(fall) > 1e-9 else "0",
        "updates": counted(sight.steps, "update"),
    }
    advice = sentence("watch.take_more", larger=_short(lr / ratio / 10))
    return problem("lr_far_under", sentence("watch.lr_far_under", **values), advice, lr=lr, ratio=ratio, fall=fall)


def heavy_decay(case: Case) -> Verdict | None:
    """A weight decay that forgets within ten steps what was learned, and a loss that stays high.

    SGD and AdamW take ``lr * weight_decay`` of every parameter at each step; Adam and its kind take as much as of a
    gradient, of which 1 is large for a parameter of 1.
    """
    sight, loss = case.sight, case.sight.record.loss
    group = max(sight.optimizer.param_groups, key=lambda each: float(each.get("weight_decay", 0.0)))
    decay, lr = float(group.get("weight_decay", 0.0)), float(group.get("lr", 0.0))
    adapts = any(probe.adapts for probe in sight.record.probes) and not group.get("decoupled_weight_decay", False)
    heavy = decay >= 1 if adapts else lr * decay >= 0.1
    if not heavy or len(loss) < SOME or not median(loss[len(loss) * 3 // 4 :]) > 0.5 * abs(float(loss[0])):
        return None
    return caution("weight_decay", sentence("watch.heavy_decay", decay=decay), weight_decay=decay)


def lr_zero(case: Case) -> Verdict | None:
    """A rate of 0 at every step."""
    sight = case.sight
    groups = [float(group.get("lr", math.nan)) for group in sight.optimizer.param_groups]
    if sight.steps < FEW or any(groups) or sight.record.lr.any():
        return None
    return problem("lr_zero", sentence("watch.lr_zero", updates=counted(sight.steps, "update")), steps=sight.steps)


def dead_schedule(case: Case) -> Verdict | None:
    """A schedule that has taken the rate below a thousandth while the loss was still falling.

    What the loss lost in the steps before that, over the sum of their rates, says what the first rate would still gain.
    """
    record = case.sight.record
    loss, lr = record.loss, record.lr
    if len(lr) < SOME or not lr.max() > 0:
        return None
    alive = np.flatnonzero(lr >= lr.max() / 1000)
    died = int(alive[-1]) + 1
    if len(lr) - died < max(10, 0.3 * len(lr)):
        return None
    w = min(50, died // 3)
    if w < 2 or not np.isfinite(loss[died - 2 * w : died]).all():
        return None
    before, after = median(loss[died - 2 * w : died - w]), median(loss[died - w : died])
    noise = float(np.std(np.diff(loss[died - 2 * w : died]))) / math.sqrt(2 * w)
    still = (before - after) / abs(before) * lr.max() * w / lr[died - w : died].sum() if before else 0.0
    if before - after <= 4 * noise or still < 0.1:
        return None
    values = {"step": died * record.stride + 1, "first": float(lr.max()), "last": float(lr[-1]), "loss": after}
    words = values | {"last": rounded(values["last"]), "steps": record.steps}
    return problem("dead_schedule", sentence("watch.dead_schedule", **words), **values)


def no_signal(case: Case) -> Verdict | None:
    """A loss that settles where that of the targets' mean is: inputs and targets do not belong together."""
    sight = case.sight
    loss = sight.record.loss
    baseline = sight.study.targets.baseline(sight.study.scale or 1.0)
    if baseline is None or not baseline > 0 or len(loss) < 50:
        return None
    quarter = len(loss) // 4
    third, last = median(loss[2 * quarter : 3 * quarter]), median(loss[3 * quarter :])
    near = 0.02 if sight.sameness.always else 0.05
    if not (abs(third / baseline - 1) < near and abs(last / baseline - 1) < near):
        return None
    values = {"loss": last, "baseline": baseline}
    return caution("no_signal", sentence("watch.no_signal", **values), sentence("watch.check_pairs"), **values)


def _largest(case: Case, ratio: float, lr: float) -> float:
    bound = case.diagnosis.lr_bound if case.diagnosis is not None else None
    return bound if bound else lr / ratio


def _short(value: float) -> str:
    """Three digits, rounded down: a rate must not pass its limit by being printed."""
    if not value > 0 or not math.isfinite(value):
        return str(value)
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.floor(value / unit) * unit:.3g}"


def median(values: Array) -> float:
    """The middle of some losses; not a number where there are none."""
    return float(np.median(values)) if len(values) else math.nan
