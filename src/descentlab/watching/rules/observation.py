"""One watched loop in plain numbers: rules read nothing else, and a test can write one without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from descentlab.typing import FloatArray
from descentlab.watching.history import CurvatureMeasurement
from descentlab.watching.inspect.nonfinite import NonfiniteOrigin
from descentlab.watching.inspect.raising_module import RaisingModule
from descentlab.watching.rules.records import BatchRecord, LayerRecord, ModelRecord, ParamRecord, SettingsRecord

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis

CERTAIN_PASSES = 20  # passes without a step that leave no doubt while a loop is still running
CERTAIN_STEPS = 3  # steps with the same mistake
FLAT_LOSS_RTOL = 0.01  # of the loss


@dataclass(frozen=True, kw_only=True, eq=False)
class Observation:
    """One watched loop. The defaults describe a loop of which nothing has been seen yet.

    Attributes:
        model_class, optimizer_class: the names of the two classes.
        updates_by_hand: whether the loop has no optimizer and moves the parameters itself.
        ended, error: whether the loop has ended, and the class name of the exception that ended it.
        runtime_error: the text of that exception if it is a ``RuntimeError``, which torch raises.
        error_text: the first line of the text of any exception, without a full stop.
        raising_module: the module in which it was raised.
        replaced_parameter: the name of a parameter whose variable held another tensor then.
        steps, forward_passes, backward_passes, backward_calls: steps of the optimizer, calls of the model with
            gradients enabled, backward passes that reached it, and calls of ``backward`` on any loss.
        train_passes, eval_passes, consecutive_eval_passes: backward passes in either mode, and the last ones in
            evaluation mode, in a row.
        has_mode_dependent_layers: whether the model contains dropout or batch normalization.
        loss, lr: (k,) each, the loss before every ``stride``-th step and the rate of that step.
        last_loss: the loss of the last backward pass.
        current_lrs: the rate of each parameter group now.
        measurements, lr_ratios: measured curvatures, and lr over its limit where that is meaningful.
        curvature_error: why curvature cannot be measured.
        loss_is_detached: whether no gradient can be taken of the last loss.
        any_gradient, optimizer_gradient: whether a gradient has ever arrived at a parameter at all, and at a parameter
            of the optimizer when it stepped.
        has_unused_gradient: whether a gradient has arrived since the last step.
        sampled_params_unchanged: whether the first and the last parameter are where they were at the start.
        n_trainable, n_optimized: parameters that require gradients; parameters in the optimizer.
        frozen_params, unmoved_params, unregistered_params, params_without_gradient: names of parameters that require no
            gradient; that the optimizer does not contain and that have not changed, registered in the model or not; and
            of those in the optimizer, those that no gradient has reached.
        checked_steps, stale_steps, cleared_too_early_steps: steps checked for ``zero_grad``, those with the gradient of
            the step before, and those whose gradient was gone.
        arrived_steps: those for which a gradient was seen to arrive.
        compared_steps, modified_steps: gradients compared with what ``backward`` made, and those that differed.
        consecutive_zero_steps: the last checked steps, in a row, at which every gradient was exactly 0.
        gradient_norm, param_norm: norms in the coordinates in which curvature is measured; nan if none is measured.
        nonfinite: the first tensor that was not finite.
        loss_graph_seen, broadcast_shape, output_defect: what the loss's graph says.
        expanded_shapes: the shapes of numbers made from the output before and after another tensor has expanded them.
        baseline_loss: the loss of predicting the targets' mean, or their frequencies.
        always_same_batch: whether every backward pass was on the same batch.
        input_rms, output_rms, target_rms: root mean squares; the first two of the first batch.
        weight_decay, weight_decay_lr, weight_decay_decoupled: of the group with the largest weight decay.
        is_exact, exact_lr_ratio, exact_lr_bound: whether theory covers the loop exactly, with lr over the largest
            stable rate, and that rate.
        diagnosis: the doctor's diagnosis where it is exact; rules do not read it.
        uses_randomness: whether the model draws random numbers.
        fixed_batch_rows, fixed_batch_in_eval_mode: of the probe, if there is one.
        internal_error: the first error of the watch itself.
        layers, params: the layers, and the parameters of the optimizer, that were sampled.
        batch, model, settings: the sampled batches, the form of the model, the settings of the optimizer.
        overwrite_checks, overwrites, undone_overwrites, first_overwrite: steps after which the largest parameter was
            compared with its values at the next pass; those after which something else had moved it further than the
            step, or had taken back half of its way from the start; the updates before the first of them.
        random_passes, same_random_passes: sampled passes in which the model drew random numbers, without the first, and
            those that drew the same as the first.
        loader_rows: rows of the largest data set in a ``DataLoader`` that the loop holds; 0 if there is none.
        loss_scale: the power of two by which the last loss was multiplied, as by a ``GradScaler``.
        kept_shares: the norms of gradients at steps over those that arrived, where there was one pass.
        used_norms: the norm of the whole gradient at each sampled step.
        discarded_passes, counted_passes: passes between steps whose gradient was cleared before the next one, and all
            passes that were checked for it.
        discarding_steps: steps of three passes or more, before each of which gradients were cleared.
        steps_without_pass: the last steps, in a row, before which no gradient arrived from this model.
        has_log_of_softmax, has_learned_loss: whether a loss takes the logarithm of a softmax, or depends on parameters
            of another model, as one of adversaries does.
        validation: pairs of updates and loss on rows that are not trained on.

    >>> observation = Observation(steps=60, checked_steps=59, stale_steps=59)
    >>> observation.gradients_accumulate, observation.one_backward_per_step, observation.lr_over_limit
    (True, True, None)
    """

    model_class: str = ""
    optimizer_class: str = ""
    updates_by_hand: bool = False
    ended: bool = False
    error: str | None = None
    runtime_error: str = ""
    error_text: str = ""
    raising_module: RaisingModule | None = None
    replaced_parameter: str | None = None
    steps: int = 0
    forward_passes: int = 0
    backward_passes: int = 0
    backward_calls: int = 0
    train_passes: int = 0
    eval_passes: int = 0
    consecutive_eval_passes: int = 0
    has_mode_dependent_layers: bool = False
    loss: FloatArray = field(default_factory=lambda: np.empty(0))
    lr: FloatArray = field(default_factory=lambda: np.empty(0))
    stride: int = 1
    last_loss: float = math.nan
    current_lrs: tuple[float, ...] = ()
    measurements: tuple[CurvatureMeasurement, ...] = ()
    lr_ratios: tuple[float, ...] = ()
    curvature_error: str | None = None
    loss_is_detached: bool = False
    any_gradient: bool = False
    optimizer_gradient: bool = False
    has_unused_gradient: bool = False
    sampled_params_unchanged: bool = False
    n_trainable: int = 0
    n_optimized: int = 0
    frozen_params: tuple[str, ...] = ()
    unmoved_params: tuple[str, ...] = ()
    unregistered_params: tuple[str, ...] = ()
    params_without_gradient: tuple[str, ...] = ()
    checked_steps: int = 0
    stale_steps: int = 0
    cleared_too_early_steps: int = 0
    arrived_steps: int = 0
    compared_steps: int = 0
    modified_steps: int = 0
    consecutive_zero_steps: int = 0
    gradient_norm: float = math.nan
    param_norm: float = math.nan
    nonfinite: NonfiniteOrigin | None = None
    loss_graph_seen: bool = False
    broadcast_shape: tuple[int, int] | None = None
    expanded_shapes: tuple[str, str] | None = None
    output_defect: str | None = None
    baseline_loss: float | None = None
    always_same_batch: bool = True
    input_rms: float = math.nan
    output_rms: float = math.nan
    target_rms: float = math.nan
    weight_decay: float = 0.0
    weight_decay_lr: float = 0.0
    weight_decay_decoupled: bool = False
    is_exact: bool = False
    exact_lr_ratio: float | None = None
    exact_lr_bound: float | None = None
    diagnosis: Diagnosis | None = None
    uses_randomness: bool = False
    fixed_batch_rows: int | None = None
    fixed_batch_in_eval_mode: bool = False
    internal_error: str | None = None
    layers: tuple[LayerRecord, ...] = ()
    params: tuple[ParamRecord, ...] = ()
    batch: BatchRecord = field(default_factory=BatchRecord)
    model: ModelRecord = field(default_factory=ModelRecord)
    settings: SettingsRecord = field(default_factory=SettingsRecord)
    overwrite_checks: int = 0
    overwrites: int = 0
    undone_overwrites: int = 0
    first_overwrite: int = 0
    random_passes: int = 0
    same_random_passes: int = 0
    loader_rows: int = 0
    loss_scale: float = 1.0
    kept_shares: tuple[float, ...] = ()
    used_norms: tuple[float, ...] = ()
    discarded_passes: int = 0
    counted_passes: int = 0
    discarding_steps: int = 0
    steps_without_pass: int = 0
    has_log_of_softmax: bool = False
    has_learned_loss: bool = False
    validation: tuple[tuple[int, float], ...] = ()

    @property
    def lr_over_limit(self) -> float | None:
        """The rate over its limit: the exact ratio, else the median of those measured; None if unknown.

        Where several backward passes add up to one step, the curvature of one pass is only a part, and the ratio is
        unknown; likewise where gradients are modified before the step.
        """
        if self.exact_lr_ratio is not None:
            return self.exact_lr_ratio
        if not self.lr_ratios or not self.one_backward_per_step or not self.gradients_unmodified:
            return None
        return float(np.median(self.lr_ratios))

    @property
    def one_backward_per_step(self) -> bool:
        """Whether each step follows from one backward pass."""
        return self.backward_passes <= self.steps + 1

    @property
    def gradients_unmodified(self) -> bool:
        """Whether most steps use the gradients as ``backward`` made them: neither clipped nor scaled."""
        return 2 * self.modified_steps <= self.compared_steps

    @property
    def gradients_accumulate(self) -> bool:
        """Whether gradients are never cleared between steps."""
        return self.checked_steps >= CERTAIN_STEPS and self.stale_steps >= 0.9 * self.checked_steps

    @property
    def loss_over_minimum(self) -> float:
        """The last finite loss over the lowest so far, or 1."""
        loss = self.loss[np.isfinite(self.loss)]
        return float(loss[-1] / loss.min()) if len(loss) and loss.min() > 0 else 1.0

    @property
    def is_on_plateau(self) -> bool | None:
        """Whether the loss hardly depends on the parameters where they are, as where outputs are saturated.

        There a curvature a is next to nothing: moving every parameter p to 0 would change ``a |p|^2 / 2`` of the loss.
        None where that is not measured. Where theory is exact, a small curvature does not mean saturation.
        """
        if self.is_exact:
            return False
        if not self.measurements or not math.isfinite(self.measurements[-1].sharpness):
            return None
        removable_loss = self.measurements[-1].sharpness * self.param_norm**2 / 2
        return removable_loss < FLAT_LOSS_RTOL * abs(float(self.loss[-1]))

    @property
    def ended_without_error(self) -> bool:
        return self.ended and self.error is None
