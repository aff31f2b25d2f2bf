"""Checks of the model's own form and of its modes: layers that add nothing, that are shared, frozen or made again."""

from __future__ import annotations

from descentlab.messages import message, pluralize
from descentlab.watching.rules.observation import Observation
from descentlab.watching.rules.progress import has_learned_little
from descentlab.watching.rules.rule import Evidence, make_evidence

NARROW_WIDTH = 3  # units of a hidden layer
HIGH_DROPOUT = 0.75
FEW_ROWS = 3  # of a batch, for the statistics of batch normalization
TINY_BATCH = 2  # rows
MIN_FROZEN_SHARE = 0.3  # of the parameters
MIN_LOST_SHARE = 0.5  # of the entries that a step did not change


def detect_no_activation(observation: Observation) -> Evidence | None:
    """Several layers with nothing between them, which are one linear layer, and little learned."""
    model = observation.model
    if model.n_layers < 2 or not model.is_linear or not has_learned_little(observation):
        return None
    if len(model.hidden_widths) + 1 < model.n_layers or min(model.hidden_widths, default=9) <= 1:
        return None
    values = {"layers": model.n_layers}
    return make_evidence(
        message("watch.no_activation", **values), advice=message("watch.no_activation_advice"), **values
    )


def detect_bottleneck(observation: Observation) -> Evidence | None:
    """A hidden layer of a few units, and a loss that stays high."""
    widths = observation.model.hidden_widths
    if not widths or min(widths) > NARROW_WIDTH or not has_learned_little(observation, 0.3):
        return None
    values = {"units": min(widths)}
    return make_evidence(message("watch.bottleneck", **values), advice=message("watch.bottleneck_advice"), **values)


def detect_shared_layers(observation: Observation) -> Evidence | None:
    """One module under several names, and little learned."""
    names = observation.model.shared_layers
    if not names or not has_learned_little(observation, 0.3):
        return None
    return make_evidence(
        message("watch.shared_layers", names=names), advice=message("watch.shared_layers_advice"), names=names
    )


def detect_layers_made_in_forward(observation: Observation) -> Evidence | None:
    """Layers with new random weights in every call."""
    if not observation.model.made_in_forward:
        return None
    return make_evidence(message("watch.made_in_forward"), advice=message("watch.made_in_forward_advice"))


def detect_random_frozen(observation: Observation) -> Evidence | None:
    """Most of the model is frozen, still has the random weights that it was made with, and little is learned."""
    model = observation.model
    if model.frozen_share < MIN_FROZEN_SHARE or not observation.steps or not has_learned_little(observation, 0.3):
        return None
    values = {"part": 100 * model.frozen_share}
    if model.random_frozen:
        explanation = message("watch.random_frozen", names=model.random_frozen, **values)
        return make_evidence(explanation, advice=message("watch.random_frozen_advice"), **values)
    if not has_learned_little(observation):
        return None
    return make_evidence(
        message("watch.mostly_frozen", **values), advice=message("watch.random_frozen_advice"), **values
    )


def detect_part_in_eval_mode(observation: Observation) -> Evidence | None:
    """A part of the model that stays in evaluation mode while the rest trains."""
    names = observation.model.eval_parts
    if not names:
        return None
    return make_evidence(
        message("watch.part_in_eval", names=names), advice=message("watch.part_in_eval_advice"), names=names
    )


def detect_high_dropout(observation: Observation) -> Evidence | None:
    """Dropout that leaves next to nothing, and little learned."""
    model = observation.model
    if model.dropout < HIGH_DROPOUT or not has_learned_little(observation, 0.3):
        return None
    values = {"name": f"`{model.dropout_name}`", "part": 100 * model.dropout}
    return make_evidence(message("watch.high_dropout", **values), advice=message("watch.high_dropout_advice"), **values)


def detect_small_batches(observation: Observation) -> Evidence | None:
    """Batch normalization over two or three rows; or steps from one or two rows that lead nowhere."""
    n, names = observation.batch.n_rows, observation.model.batch_norms
    if not 0 < n <= FEW_ROWS or observation.steps < 20:
        return None
    if names and n > 1 and has_learned_little(observation, 0.1):
        explanation = message("watch.batch_norm_rows", names=names, rows=pluralize(n, "row"))
        return make_evidence(explanation, advice=message("watch.batch_norm_rows_advice"), rows=n)
    if n > TINY_BATCH or not has_learned_little(observation, 0.7):
        return None
    moved = max((each.update_ratio for each in observation.params if each.is_weight), default=0.0)
    if not moved > 0.01:
        return None
    explanation = message("watch.small_batches", rows=pluralize(n, "row"), part=100 * moved)
    return make_evidence(explanation, advice=message("watch.small_batches_advice"), rows=n)


def detect_half_precision(observation: Observation) -> Evidence | None:
    """Parameters kept in float16, and numbers beyond its range, or steps that its digits lose."""
    model = observation.model
    if not model.n_half:
        return None
    lost = max((each.lost_share for each in observation.params), default=0.0)
    is_beyond = observation.nonfinite is not None or has_learned_little(observation, 1.5)
    if not (is_beyond or (lost > MIN_LOST_SHARE and has_learned_little(observation))):
        return None
    key = "watch.half_range" if is_beyond else "watch.half_digits"
    values = {"count": pluralize(model.n_half, "parameter")} if is_beyond else {"part": 100 * lost}
    return make_evidence(message(key, **values), advice=message("watch.half_advice"), lost=lost)
