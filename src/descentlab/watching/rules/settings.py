"""Checks of the optimizer's settings, of gradients on their way to it, and of what else moves weights."""

from __future__ import annotations

import math
from statistics import median

import numpy as np

from descentlab.messages import message, pluralize
from descentlab.watching.rules.observation import CERTAIN_STEPS, Observation
from descentlab.watching.rules.progress import has_learned_little
from descentlab.watching.rules.rule import Evidence, make_evidence

HIGH_MOMENTUM = 0.98
LARGE_EPS = 1e-3  # of Adam; its usual value is 1e-8
DEAD_GROUP_RATIO = 1e-6  # of the largest rate of any group
UNMOVED_SHARE = 0.5  # of the rate that a schedule announces
TINY_KEPT_SHARE = 0.02  # of a gradient
CLIPPED_RTOL = 1e-3  # of the norms at several steps: clipping makes them equal
SMALL_SCALED_NORM = 0.01  # of a gradient that was clipped before it was unscaled
MIN_UNUSED_STEPS = 10  # in a row
OFTEN = 0.5  # of the steps


def detect_schedule_unmoved(observation: Observation) -> Evidence | None:
    """A schedule that begins far below the rate it announces, and never moves."""
    lr, peak = observation.lr, observation.settings.peak_lr
    if len(lr) < 20 or not peak > 0 or (lr != lr[0]).any() or not lr[0] <= UNMOVED_SHARE * peak:
        return None
    values = {"lr": float(lr[0]), "peak": peak, "steps": observation.steps}
    return make_evidence(
        message("watch.schedule_unmoved", **values), advice=message("watch.schedule_unmoved_advice"), **values
    )


def detect_dead_group(observation: Observation) -> Evidence | None:
    """A group of parameters whose rate is next to nothing beside that of another."""
    rates = observation.settings.group_lrs
    if len(rates) < 2 or not max(rates) > 0 or observation.steps < CERTAIN_STEPS:
        return None
    least = min(rates)
    if not least <= DEAD_GROUP_RATIO * max(rates):
        return None
    values = {"group": rates.index(least), "lr": least, "most": max(rates)}
    return make_evidence(message("watch.dead_group", **values), advice=message("watch.dead_group_advice"), **values)


def detect_unusual_setting(observation: Observation) -> Evidence | None:
    """A momentum near 1, betas in the wrong order, or an eps that is larger than what Adam divides by."""
    settings = observation.settings
    if not has_learned_little(observation, 0.3):
        return None
    if settings.momentum > HIGH_MOMENTUM:
        values = {
            "momentum": settings.momentum,
            "steps": 1 / (1 - settings.momentum) if settings.momentum < 1 else math.inf,
        }
        return make_evidence(
            message("watch.high_momentum", **values), advice=message("watch.high_momentum_advice"), **values
        )
    if settings.betas is not None and (settings.betas[1] < settings.betas[0] or settings.betas[0] > HIGH_MOMENTUM):
        values = {"first": settings.betas[0], "second": settings.betas[1]}
        key = "watch.betas_swapped" if settings.betas[1] < settings.betas[0] else "watch.high_beta"
        return make_evidence(message(key, **values), advice=message("watch.betas_advice"), **values)
    if settings.eps > LARGE_EPS and settings.eps > settings.root_mean_v:
        values = {"eps": settings.eps, "size": settings.root_mean_v}
        return make_evidence(message("watch.large_eps", **values), advice=message("watch.large_eps_advice"), **values)
    return None


def detect_gradient_scale(observation: Observation) -> Evidence | None:
    """Gradients that are clipped while a GradScaler's factor is on them, that keep it, or that are cut to nothing."""
    scale, shares = observation.loss_scale, observation.kept_shares
    if len(shares) < CERTAIN_STEPS:
        return None
    kept, norms = median(shares), np.array(observation.used_norms[1:])
    is_clipped = len(norms) >= CERTAIN_STEPS and bool(np.ptp(norms) <= CLIPPED_RTOL * norms.max())
    if scale > 1 and is_clipped and norms.max() < SMALL_SCALED_NORM and norms.max() * scale > SMALL_SCALED_NORM:
        values = {"scale": scale, "norm": float(norms.max())}
        return make_evidence(
            message("watch.clipped_while_scaled", **values),
            advice=message("watch.clipped_while_scaled_advice"),
            **values,
        )
    if scale > 1 and abs(kept - 1) < CLIPPED_RTOL:
        return make_evidence(
            message("watch.never_unscaled", scale=scale), advice=message("watch.never_unscaled_advice"), scale=scale
        )
    if scale == 1 and kept < TINY_KEPT_SHARE and has_learned_little(observation):
        values = {"part": 100 * kept}
        return make_evidence(
            message("watch.clipped_to_nothing", **values), advice=message("watch.clipped_to_nothing_advice"), **values
        )
    return None


def detect_discarded_gradients(observation: Observation) -> Evidence | None:
    """Gradients cleared before every one of several passes, of which only the last counts."""
    discarded, counted = observation.discarded_passes, observation.counted_passes
    if observation.discarding_steps < max(CERTAIN_STEPS, 0.9 * observation.steps):
        return None
    values = {"discarded": discarded, "counted": counted}
    return make_evidence(message("watch.discarded", **values), advice=message("watch.discarded_advice"), **values)


def detect_overwritten(observation: Observation) -> Evidence | None:
    """Something other than the optimizer writes into the parameters, and undoes what it does."""
    checks, changed = observation.overwrite_checks, observation.overwrites
    undone = observation.undone_overwrites
    if checks < CERTAIN_STEPS or not changed or not has_learned_little(observation, 0.3):
        return None
    if undone < 2 and changed < OFTEN * checks:
        return None
    values = {"changed": changed, "checks": checks, "step": observation.first_overwrite}
    return make_evidence(message("watch.overwritten", **values), advice=message("watch.overwritten_advice"), **values)


def detect_model_replaced(observation: Observation) -> Evidence | None:
    """Steps go on while no gradient of this model arrives any more."""
    missing = observation.steps_without_pass
    if (
        missing < MIN_UNUSED_STEPS
        or not observation.forward_passes
        or (observation.ended and observation.error is not None)
    ):
        return None
    values = {
        "missing": missing,
        "step": observation.steps - missing,
        "updates": pluralize(observation.steps, "update"),
    }
    return make_evidence(
        message("watch.model_replaced", **values), advice=message("watch.model_replaced_advice"), **values
    )
