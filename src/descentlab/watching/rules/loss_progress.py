"""Whether a watched loop learns: a loss that falls, one that had nowhere left to fall, and one that does neither."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from descentlab.messages import Sentence, counted, rounded, sentence
from descentlab.typing import Array
from descentlab.watching.rules.learning_rate import CLEARLY, HARDLY, SOME, as_they_came, median, plateau, ratio_of
from descentlab.watching.verdict import Verdict, caution, fact

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Case

NOTHING = 1e-8  # of any loss: what float32 leaves of residuals
LEARNED = 0.5  # of the loss of predicting the mean
LARGER = 100.0  # times the outputs: targets that take long to reach
EVIDENT, MANY = 1e-3, 50  # what a loss has to lose in so many steps to be called falling
GAIN = 1e-3  # of a loss: what is left to gain where it is as good as fitted


def healthy(case: Case) -> Verdict:
    """Nothing found, with what was looked at; ``not_learning`` where the loss does not fall all the same."""
    sight = case.sight
    loss = sight.record.loss
    if len(loss) == 0:
        return fact("healthy", sentence("watch.too_early"), steps=0)
    values = {"updates": counted(sight.steps, "update"), "first": float(loss[0]), "last": sight.value}
    ratio = ratio_of(case)
    numbers = {"steps": sight.steps, "first": values["first"], "last": values["last"], "ratio": ratio}
    told = len(loss) >= SOME and math.isfinite(loss[0]) and math.isfinite(sight.value)
    flat = told and not fallen(loss)
    if flat and not fitted(case):
        return caution("not_learning", *_not_learning(case, ratio), **numbers)
    said = [sentence("watch.healthy", **values)]
    if flat:
        said.append(sentence("watch.fitted"))
    elif ratio is not None and ratio > CLEARLY:
        said.append(sentence("watch.healthy_edge", part=rounded(100 * ratio)))
    return fact("healthy", *said, **numbers)


def _not_learning(case: Case, ratio: float | None) -> list[Sentence]:
    """What was looked at, the reason where one is known, and where to look."""
    sight, loss = case.sight, case.sight.record.loss
    first, last = float(loss[0]), sight.value
    if not sight.sameness.always:
        first, last = median(loss[: max(len(loss) // 10, 1)]), median(loss[len(loss) * 3 // 4 :])
    said = [sentence("watch.not_learning", updates=counted(sight.steps, "update"), first=first, last=last)]
    spread = float(np.std(loss))
    if not sight.sameness.always and spread > abs(first - last):
        said.append(sentence("watch.spread", spread=rounded(spread)))
    times = sight.study.targets.size() / sight.study.output_size if sight.study.output_size else math.nan
    if times > LARGER:
        return [*said, sentence("watch.target_scale", times=rounded(times))]
    if plateau(case):
        return [*said, sentence("watch.plateau")]
    unknown = sentence("watch.rate_unknown")
    why = unknown if ratio is None else sentence("watch.rate_known", part=rounded(100 * ratio))
    return [*said, why, sentence("watch.not_learning_advice")]


def fallen(loss: Array) -> bool:
    """Whether a loss has come below where it began: one step, or, where batches vary about it, the first tenth."""
    first, late = float(loss[0]), median(loss[len(loss) * 3 // 4 :])
    late += EVIDENT * abs(first) if len(loss) >= MANY else 0.0
    return late < first or (late < median(loss[: max(len(loss) // 10, 1)]) and late <= first + 0.5 * abs(first))


def fitted(case: Case) -> bool:
    """Whether little was left to gain from the first step on: then a loss that stays where it is is as it should be.

    Either the loss is far below that of a model that has learned nothing, or the gradient is small for the curvature:
    a quadratic of curvature a, at a slope g, has g^2 / 2a to gain. Where there is no curvature either, as where
    outputs are saturated, a small gradient says nothing.
    """
    sight = case.sight
    loss = sight.record.loss
    first, late = float(loss[0]), median(loss[len(loss) * 3 // 4 :])
    if abs(late) < NOTHING:
        return True
    baseline = sight.study.targets.baseline(sight.study.scale or 1.0)
    if baseline is not None and baseline > 0 and late < LEARNED * baseline and late <= 1.1 * first:
        return True
    if late > (1 + HARDLY) * first or not as_they_came(case):
        return False
    if not sight.record.probes or plateau(case) is not False:
        return False
    slope = sight.gradients.norms()[0]
    cleared = slope == 0 and not sight.gradients.zero_steps  # in place, after the last step
    return not cleared and slope**2 < 2 * GAIN * abs(late) * sight.record.probes[-1].sharpness
