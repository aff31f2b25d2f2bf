"""Checks of the layers: units that are dead or saturated, gradients that vanish, numbers that explode, bad starts."""

from __future__ import annotations

import math

from descentlab.messages import Message, message
from descentlab.watching.rules.observation import Observation
from descentlab.watching.rules.progress import has_learned_little
from descentlab.watching.rules.records import ParamRecord
from descentlab.watching.rules.rule import Evidence, make_evidence

MIN_DEAD_ROWS = 8  # of a batch: a unit may be 0 for a few rows
MOSTLY_DEAD = 0.7  # of a layer's units
MOSTLY_SATURATED = 0.8  # of a layer's values
VANISHING_RATIO = 1e-3  # of the gradients of the first layer to those of the last
MIN_VANISHING_LAYERS = 4
EXPLODING_RATIO = 100.0  # of the last time of a sequence, or layer, to the first
LARGE_START, SMALL_START = 3.0, 0.02  # times the root of the inputs; PyTorch draws 0.58, He 1.41
LARGE_INPUT = 10.0  # rms of inputs that saturate units
NOTHING_LEARNED = 0.8  # of the loss of a constant prediction


def why_layers_unchecked(observation: Observation) -> Message | None:
    """Layers are seen only when the model is called."""
    return None if observation.layers else message("watch.no_layers")


def detect_dead_units(observation: Observation) -> Evidence | None:
    """ReLU units that are 0 for every row: of a whole layer, or most of one in a loop that learns little."""
    layers = [each for each in observation.layers if each.kind == "relu" and each.n_units > 1]
    if not layers or observation.batch.n_rows < MIN_DEAD_ROWS:
        return None
    worst = max(layers, key=lambda each: each.dead_share)
    if worst.dead_share < 1 and not (worst.dead_share >= MOSTLY_DEAD and has_learned_little(observation)):
        return None
    values = {"name": worst.name, "part": 100 * worst.dead_share, "start": 100 * worst.start_dead_share}
    at_start = worst.start_dead_share >= 0.9 * worst.dead_share
    key = "watch.dead_units_at_start" if at_start else "watch.dead_units_later"
    advice = message("watch.dead_units_start_advice" if at_start else "watch.dead_units_later_advice")
    return make_evidence(message(key, units=worst.n_units, **values), advice=advice, **values)


def detect_saturated_units(observation: Observation) -> Evidence | None:
    """Units of tanh or the sigmoid on their flat parts, in a loop that learns little."""
    layers = [each for each in observation.layers if each.kind in ("tanh", "sigmoid")]
    worst = max(layers, key=lambda each: each.saturated_share, default=None)
    if worst is None or worst.saturated_share < MOSTLY_SATURATED or not has_learned_little(observation):
        return None
    values = {"name": worst.name, "kind": worst.kind, "part": 100 * worst.saturated_share}
    size = _input_size(observation)
    messages = [message("watch.saturated", **values)]
    if size > LARGE_INPUT:
        messages.append(message("watch.saturated_by_inputs", size=size))
        return make_evidence(*messages, advice=message("watch.standardize_advice"), **values)
    return make_evidence(*messages, advice=message("watch.saturated_advice"), **values)


def _input_size(observation: Observation) -> float:
    mean, deviation = observation.batch.input_mean, observation.batch.input_std
    return math.hypot(mean, deviation)


def detect_vanishing_gradient(observation: Observation) -> Evidence | None:
    """A gradient that shrinks from the last layer to the first by a thousand and more, and little learned."""
    weights = [each for each in observation.params if each.is_weight and each.gradient_rms > 0]
    if len(weights) < MIN_VANISHING_LAYERS or not has_learned_little(observation, NOTHING_LEARNED):
        return None
    ratio = min(weights[0].gradient_rms, weights[1].gradient_rms) / weights[-1].gradient_rms
    if ratio >= VANISHING_RATIO:
        return None
    values = {"first": weights[0].name, "last": weights[-1].name, "times": 1 / ratio, "layers": len(weights)}
    kinds = {each.kind for each in observation.layers} & {"tanh", "sigmoid"}
    advice = message("watch.vanishing_bent_advice" if kinds else "watch.vanishing_advice")
    return make_evidence(message("watch.vanishing", **values), advice=advice, **values)


def detect_exploding_states(observation: Observation) -> Evidence | None:
    """States of a recurrent layer, or outputs of a stack, that grow a hundredfold on the way."""
    if not (has_learned_little(observation, 1.0) or observation.nonfinite is not None):
        return None
    growing = max(observation.layers, key=lambda each: each.growth, default=None)
    if growing is not None and growing.growth > EXPLODING_RATIO:
        values = {"name": growing.name, "times": growing.growth}
        return make_evidence(
            message("watch.exploding_states", **values), advice=message("watch.exploding_states_advice"), **values
        )
    if len(observation.layers) < 3 or not observation.layers[0].start_rms > 0:
        return None
    largest = max(observation.layers, key=lambda each: each.start_rms)
    ratio = largest.start_rms / max(observation.layers[0].start_rms, _input_size(observation) or 0.0)
    if not ratio > EXPLODING_RATIO:
        return None
    values = {"name": largest.name, "times": ratio}
    return make_evidence(message("watch.exploding_layers", **values), advice=message("watch.start_advice"), **values)


def detect_symmetric_start(observation: Observation) -> Evidence | None:
    """A hidden layer whose units have the same weights, before and after the steps: they stay copies of one."""
    weights = [each for each in observation.params if each.is_weight]
    equal = [each for each in weights[:-1] if each.has_equal_rows]
    if not equal:
        return None
    is_zero = equal[0].rms == 0
    values = {"name": equal[0].name}
    key = "watch.zero_start" if is_zero else "watch.symmetric_start"
    return make_evidence(message(key, **values), advice=message("watch.start_advice"), **values)


def detect_start_of_wrong_size(observation: Observation) -> Evidence | None:
    """Weights that start several times too large, or next to 0, in a loop that learns little."""
    weights = [each for each in observation.params if each.is_weight]
    if not weights or not has_learned_little(observation):
        return None
    largest = max(weights, key=lambda each: each.start_scale)
    smallest = min(weights[:-1], key=lambda each: each.start_scale, default=None)
    if largest.start_scale > LARGE_START:
        return _start_evidence("watch.large_start", largest)
    if smallest is not None and 0 < smallest.start_scale < SMALL_START:
        return _start_evidence("watch.small_start", smallest)
    return None


def _start_evidence(key: str, weight: ParamRecord) -> Evidence:
    values = {"name": weight.name, "size": weight.start_rms, "usual": weight.start_rms / weight.start_scale}
    return make_evidence(message(key, **values), advice=message("watch.start_advice"), **values)
