"""What is known of layers, parameters, batches, model and settings, in plain numbers. A test can write them by hand."""

from __future__ import annotations

import math
from typing import NamedTuple


class LayerRecord(NamedTuple):
    """One layer's output.

    Attributes:
        name, kind: in the model; the activation that it goes through: ``relu``, ``tanh``, ``sigmoid``, or nothing.
        n_units: features or channels.
        dead_share, start_dead_share: the share of units that are 0 for a whole batch behind a ReLU, at the last and at
            the first sampled step.
        saturated_share, start_saturated_share: the share of values on the flat parts of tanh or sigmoid.
        growth: the rms of the last call, or of the last time of a sequence, over that of the first, at the first step.
        start_rms: of its output at the first step.
    """

    name: str
    kind: str = ""
    n_units: int = 1
    dead_share: float = 0.0
    start_dead_share: float = 0.0
    saturated_share: float = 0.0
    start_saturated_share: float = 0.0
    growth: float = 1.0
    start_rms: float = 1.0


class ParamRecord(NamedTuple):
    """One parameter of the optimizer that gradients reach.

    Attributes:
        name, is_weight: in the model; whether it is the weight of a linear layer or a convolution.
        start_scale: rms at the start times the root of its inputs; about 0.6 to 1.5 as PyTorch draws them.
        start_rms, rms: root mean square at the first and at the last sampled step.
        gradient_rms: median over the sampled steps.
        update_ratio: rms of a step over that of the parameter, the median without the first sampled step.
        start_update_ratio: that of the first sampled step.
        lost_share: of the entries with a gradient, the share that a step did not change; at the last one.
        has_equal_rows: whether every row of a matrix was the same at the last one.
    """

    name: str
    is_weight: bool = True
    start_scale: float = 1.0
    start_rms: float = 1.0
    rms: float = 1.0
    gradient_rms: float = 1.0
    update_ratio: float = 1e-3
    start_update_ratio: float = 1e-3
    lost_share: float = 0.0
    has_equal_rows: bool = False


class BatchRecord(NamedTuple):
    """The sampled batches together.

    Attributes:
        n_rows: of the inputs; the median.
        input_mean, input_std: of all inputs.
        column_ratio: the largest deviation of a column over the smallest that is not 0; 1 if there are no columns.
        n_columns, constant_columns: of inputs in columns.
        identical_rows: whether every row of every sampled batch was the same as the first of its batch.
        comparison: ``squared``, ``absolute``, ``binary`` or ``classes``; empty if it was not seen.
        target_min, target_max: of the targets.
        whole: whether they are whole numbers.
        label_shares: the share of each whole number from 0 on.
        one_hot: whether each row of targets has one 1 and zeros.
        outside_share: the share of targets that the last operation cannot reach.
        predicted_share: the share of the class that is predicted most, in the last two sampled batches.
        output_rms: at the last sampled step.
    """

    n_rows: int = 0
    input_mean: float = math.nan
    input_std: float = math.nan
    column_ratio: float = 1.0
    n_columns: int = 0
    constant_columns: int = 0
    identical_rows: bool = False
    comparison: str = ""
    target_min: float = math.nan
    target_max: float = math.nan
    whole: bool = False
    label_shares: tuple[float, ...] = ()
    one_hot: bool = False
    outside_share: float = 0.0
    predicted_share: float = math.nan
    output_rms: float = math.nan


class ModelRecord(NamedTuple):
    """The model's own form.

    Attributes:
        n_layers, is_linear: matrix products and convolutions; whether nothing between them bends.
        last_operation, lowest, highest: the name of the operation that makes the output, and the range it can reach.
        dropout: the largest probability, and its module.
        batch_norms: names of modules of batch normalization in training mode that act on single numbers per row.
        shared_layers: names of one and the same module.
        hidden_widths: of the layers between the first and the last.
        frozen_share: of the numbers in parameters, those that require no gradient.
        random_frozen: names of frozen layers that still have the random weights that PyTorch draws.
        eval_parts: names of modules in evaluation mode since some step of a model that is in training mode.
        made_in_forward: whether layers are made again in every call.
        n_half: parameters in float16.
    """

    n_layers: int = 0
    is_linear: bool = False
    last_operation: str = ""
    lowest: float = -math.inf
    highest: float = math.inf
    dropout: float = 0.0
    dropout_name: str = ""
    batch_norms: tuple[str, ...] = ()
    shared_layers: tuple[str, ...] = ()
    hidden_widths: tuple[int, ...] = ()
    frozen_share: float = 0.0
    random_frozen: tuple[str, ...] = ()
    eval_parts: tuple[str, ...] = ()
    made_in_forward: bool = False
    n_half: int = 0


class SettingsRecord(NamedTuple):
    """The optimizer's settings.

    Attributes:
        momentum: of SGD and RMSprop.
        betas: of Adam and its kind.
        eps, root_mean_v: the term in Adam's denominator, and the root of its mean second moment.
        group_lrs: the rate of each group that has parameters, now.
        peak_lr: the largest rate that a schedule announces for the first group; nan without a schedule.
        maximize: whether it climbs.
    """

    momentum: float = 0.0
    betas: tuple[float, float] | None = None
    eps: float = 0.0
    root_mean_v: float = math.nan
    group_lrs: tuple[float, ...] = ()
    peak_lr: float = math.nan
    maximize: bool = False
