"""Every rule, on observations written by hand: one that it names, and one like it that it does not. No torch here."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descentlab.doctor.finding import Severity
from descentlab.messages import LANGUAGES, load_catalog, message
from descentlab.watching.history import CurvatureMeasurement
from descentlab.watching.inspect.nonfinite import NonfiniteOrigin
from descentlab.watching.inspect.raising_module import RaisingModule
from descentlab.watching.report import watch_blocks
from descentlab.watching.rules.evaluate import FALLBACK_RULES, RULES, evaluate_rules
from descentlab.watching.rules.learning_rate import why_limit_unchecked
from descentlab.watching.rules.observation import Observation
from descentlab.watching.rules.progress import is_still_falling, measure_fall
from descentlab.watching.rules.records import BatchRecord, LayerRecord, ModelRecord, ParamRecord, SettingsRecord

N = 60
FALLING = np.linspace(1.0, 0.1, N)
FLAT = np.full(N, 1.0)
RISING = np.linspace(1.0, 5.0, N)
PAGES = Path(__file__).parents[2] / "src" / "descentlab" / "doctor" / "pages"
RULE_NAMES = {rule.name for rule in (*RULES, *FALLBACK_RULES)}


def measured(sharpness: float, lr: float = 0.1, step: int = 0, **changes: Any) -> CurvatureMeasurement:
    """A curvature, and the limit of SGD at that rate."""
    return CurvatureMeasurement(step, sharpness, 1e-3 * sharpness, 2 / lr, lr, 9, **changes)


def rate(ratio: float) -> dict[str, Any]:
    """lr = 0.1 at so many times its limit."""
    return {"measurements": (measured(20 * ratio),), "lr_ratios": (ratio,)}


def watched(**changes: Any) -> Observation:
    """A healthy loop of 60 steps on one batch, but for the changes."""
    healthy = Observation(
        model_class="Linear", optimizer_class="SGD", ended=True, steps=N, forward_passes=N, backward_passes=N,
        backward_calls=N, train_passes=N, loss=FALLING, lr=np.full(N, 0.1), last_loss=0.1, current_lrs=(0.1,),
        any_gradient=True, optimizer_gradient=True, n_trainable=2, n_optimized=2, checked_steps=N - 1, arrived_steps=20,
        compared_steps=N, gradient_norm=0.1, param_norm=1.0, loss_graph_seen=True, baseline_loss=3.0, input_rms=1.0,
        output_rms=1.0, target_rms=1.0, weight_decay_lr=0.1, layers=(LayerRecord("`0`", "relu", 8),),
        batch=BatchRecord(n_rows=32, comparison="squared"), validation=((1, 1.0), (60, 0.5)),
        **rate(0.3) | changes.pop("rate", {}),
    )  # fmt: skip
    return replace(healthy, **changes)


UNSEEN = {"steps": 0, "forward_passes": 0, "backward_passes": 0, "backward_calls": 0, "train_passes": 0,
          "any_gradient": False, "optimizer_gradient": False, "checked_steps": 0, "compared_steps": 0,
          "loss": np.empty(0), "lr": np.empty(0)}  # fmt: skip
NO_STEP = {"steps": 0, "sampled_params_unchanged": True, "checked_steps": 0, "optimizer_gradient": False}
UNREACHED = {"any_gradient": False, "optimizer_gradient": False, "backward_passes": 0, "sampled_params_unchanged": True}
SIGMOID = {"has_mode_dependent_layers": True}
SCHEDULE = np.r_[np.full(30, 0.1), np.full(30, 1e-5)]
HALF_WAY = np.r_[np.linspace(2.0, 1.0, 30), np.full(30, 1.0)]
LOST = NonfiniteOrigin("loss", "", 50)
TOO_LATE = (measured(1.0), measured(40.0, step=40))

# It has learned nothing.
STUCK: dict[str, Any] = {"loss": np.r_[1.1, np.full(N - 1, 1.0)], "last_loss": 1.0, "baseline_loss": 1.04}
CLASSES = (0.2, 0.2, 0.2, 0.2, 0.2)
DEAD = LayerRecord("`0`", "relu", 8, dead_share=1.0, start_dead_share=1.0)
DEEP = tuple(ParamRecord(f"`{at}.weight`", gradient_rms=10.0 ** (2 * at - 8)) for at in range(5))
SHALLOW = tuple(each._replace(gradient_rms=0.1) for each in DEEP)
NARROW = ModelRecord(n_layers=2, hidden_widths=(2,))
SHORT = {"steps": 40, "backward_passes": 40, "baseline_loss": 1.0, "lr": np.full(40, 0.1)}
WIGGLE = 0.05 * np.cos(np.arange(N) * 2.4)


def batch(**changes: Any) -> dict[str, Any]:
    """A batch of 32 standardized rows under a squared error, but for the changes."""
    usual = BatchRecord(n_rows=32, input_mean=0.0, input_std=1.0, comparison="squared", target_min=-2.0, target_max=2.0)
    return {"batch": usual._replace(**changes)}


# The finding, what triggers it, and what does not.
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("integer_target", {"runtime_error": "Found dtype Long but expected Float"}, {"runtime_error": "out of memory"}),
    ("integer_target", {"runtime_error": "Subtraction, the `-` operator, with a bool tensor is not supported"}, {}),
    ("float_target", {"runtime_error": "expected scalar type Long but found Float"}, {"runtime_error": "expected 3"}),
    ("stale_graph", {"runtime_error": "Trying to backward through the graph a second time"}, {}),
    ("ascent", {"updates_by_hand": True, "lr": np.full(N, -0.1)}, {"updates_by_hand": True, "lr": np.full(N, np.nan)}),
    ("update_by_hand", {"error": "RuntimeError", "error_text": "a leaf Variable that requires grad is being used"},
     {"error": "RuntimeError", "error_text": "a leaf Variable that requires grad is being used",
      "raising_module": RaisingModule("model", "Net", ())}),
    ("update_by_hand", {"error": "TypeError", "error_text": "cannot assign 'torch.FloatTensor' as parameter 'weight'"},
     {"error": "TypeError", "error_text": "cannot assign 'list' as parameter 'weight'"}),
    ("broadcast", {"broadcast_shape": (50, 50)}, {"broadcast_shape": None}),
    *[
        ("output_form", {"output_defect": defect}, {})
        for defect in ("softmax_twice", "sigmoid_twice", "not_logarithms", "softmax_of_one", "softmax_over_rows",
                       "negated", "swapped")
    ],
    ("nothing_seen", UNSEEN, UNSEEN | {"ended": False}),
    ("nothing_seen", UNSEEN | {"backward_calls": 60}, UNSEEN | {"error": "KeyError"}),
    ("no_backward", UNSEEN | {"forward_passes": 1, "steps": 60}, UNSEEN | {"forward_passes": 1, "ended": False}),
    ("no_backward", UNSEEN | {"forward_passes": 20, "ended": False}, UNSEEN | {"forward_passes": 1, "error": "E"}),
    ("frozen", UNREACHED | {"loss_is_detached": True}, {"loss_is_detached": True}),
    ("frozen", UNREACHED | {"loss_is_detached": True, "n_trainable": 0}, {}),
    ("frozen", UNREACHED, UNREACHED | {"any_gradient": True}),
    ("frozen", {"params_without_gradient": ("`a`",)}, {"params_without_gradient": ("`a`",), "n_optimized": 1}),
    ("no_step", NO_STEP, NO_STEP | {"backward_passes": 5, "ended": False}),
    ("no_step", NO_STEP | {"sampled_params_unchanged": False}, {"steps": 1}),
    ("cleared_too_soon", {"cleared_too_early_steps": 20}, {"cleared_too_early_steps": 10}),
    ("lr_zero", {"current_lrs": (0.0,), "lr": np.zeros(N)}, {"current_lrs": (0.0, 0.1), "lr": np.zeros(N)}),
    ("lr_zero", {"current_lrs": (0.0,), "lr": np.zeros(N)}, {"current_lrs": (0.0,)}),
    ("no_zero_grad", {"stale_steps": 59}, {"stale_steps": 29}),
    ("no_zero_grad", {"stale_steps": 3, "checked_steps": 3}, {"stale_steps": 2, "checked_steps": 2}),
    ("above_limit", {"rate": rate(1.5), "loss": RISING}, {"rate": rate(1.5)}),  # at the edge of stability
    ("above_limit", {"rate": rate(2.5), "loss": 0.95 * FLAT + 0.05 * (FLAT.cumsum() == 1)}, {"loss": RISING}),
    ("above_limit", {"rate": rate(1.5), "loss": RISING},
     {"rate": rate(1.5), "loss": RISING, "backward_passes": 2 * N}),  # one pass has a part of the curvature
    ("above_limit", {"exact_lr_ratio": 1.2, "is_exact": True, "exact_lr_bound": 0.08, "loss": RISING}, {}),
    ("above_limit", {"rate": {"measurements": TOO_LATE, "lr_ratios": (0.05, 0.05)}, "loss": RISING,
                     "nonfinite": LOST},
     {"rate": {"measurements": TOO_LATE, "lr_ratios": (0.05, 0.05)}}),
    ("not_finite", {"nonfinite": NonfiniteOrigin("input", "", 0)}, {}),
    ("not_finite", {"nonfinite": NonfiniteOrigin("output", "1", 0)}, {}),
    ("dead_schedule", {"lr": SCHEDULE, "loss": HALF_WAY}, {"lr": SCHEDULE, "loss": FLAT - 0.5 * (FLAT.cumsum() > 5)}),
    ("not_in_optimizer", {"unmoved_params": ("`a`",)}, {"unmoved_params": ("`a`",), "steps": 2}),
    ("not_in_optimizer", {"unmoved_params": ("`a`", "`b`")}, {}),
    ("not_in_optimizer", {"unregistered_params": ("`layers[0].weight`",)}, {}),
    ("zero_gradient", {"consecutive_zero_steps": 3}, {"consecutive_zero_steps": 3, "last_loss": 0.0}),
    ("lr_far_under", {"rate": rate(1e-5), "loss": FLAT, "param_norm": 100.0}, {"rate": rate(1e-5), "param_norm": 9.0}),
    ("lr_far_under", {"rate": rate(1e-5), "loss": FLAT, "param_norm": 100.0}, {"rate": rate(1e-5), "loss": FLAT}),
    ("eval_mode", SIGMOID | {"train_passes": 20, "eval_passes": 40, "consecutive_eval_passes": 40},
     {"train_passes": 20, "eval_passes": 40, "consecutive_eval_passes": 40}),
    ("eval_mode", SIGMOID | {"train_passes": 0, "eval_passes": 60}, SIGMOID | {"train_passes": 30, "eval_passes": 30}),
    ("weight_decay", {"weight_decay": 2.0, "loss": FLAT}, {"weight_decay": 2.0}),
    ("weight_decay", {"weight_decay": 1.0, "weight_decay_lr": 1e-3, "loss": FLAT,
                      "rate": {"measurements": (measured(6.0, is_adaptive=True),)}},
     {"weight_decay": 1.0, "weight_decay_lr": 1e-3, "weight_decay_decoupled": True,
      "rate": {"measurements": (measured(6.0, is_adaptive=True),)}}),
    ("no_signal", {"baseline_loss": 1.0, "loss": 1.01 * FLAT + FALLING * (FLAT.cumsum() < 9)}, {"baseline_loss": 0.1}),
    ("not_learning", {"loss": FLAT, "last_loss": 1.0, "baseline_loss": 0.9, "gradient_norm": 1.0},
     {"loss": FLAT, "last_loss": 1.0, "baseline_loss": 0.9, "gradient_norm": 1e-3}),  # little left to gain
    ("dead_units", {"layers": (DEAD,)} | batch(), {"layers": (DEAD._replace(dead_share=0.6),)} | batch()),
    ("dead_units", {"layers": (DEAD._replace(dead_share=0.8),)} | batch() | STUCK,
     {"layers": (DEAD._replace(dead_share=0.8),)} | batch()),
    ("dead_units", {"layers": (DEAD,)} | batch(), {"layers": (DEAD,)} | batch(n_rows=4)),
    ("saturated", {"layers": (LayerRecord("`0`", "tanh", 8, saturated_share=0.9),)} | STUCK,
     {"layers": (LayerRecord("`0`", "tanh", 8, saturated_share=0.9),)}),
    ("vanishing_gradient", {"params": DEEP} | STUCK, {"params": SHALLOW} | STUCK),
    ("exploding", {"layers": (LayerRecord("`rnn`", growth=1e3),), "nonfinite": LOST},
     {"layers": (LayerRecord("`rnn`", growth=50.0),), "nonfinite": LOST}),
    ("exploding", {"layers": tuple(LayerRecord("`a`", start_rms=x) for x in (1, 20, 400))} | batch() | STUCK
     | {"baseline_loss": 0.9},
     {"layers": tuple(LayerRecord("`a`", start_rms=x) for x in (1, 20, 400))} | batch()),
    ("bad_start", {"params": (ParamRecord("`0.weight`", has_equal_rows=True), ParamRecord("`2.weight`"))},
     {"params": (ParamRecord("`0.weight`"), ParamRecord("`2.weight`", has_equal_rows=True))}),
    ("bad_start", {"params": (ParamRecord("`0.weight`", start_scale=5.0),)} | STUCK,
     {"params": (ParamRecord("`0.weight`", start_scale=5.0),)}),
    ("bad_start", {"params": (ParamRecord("`0.weight`", start_scale=0.01), ParamRecord("`2.weight`"))} | STUCK,
     {"params": (ParamRecord("`0.weight`", start_scale=0.1), ParamRecord("`2.weight`"))} | STUCK),
    ("repeated_data", batch(identical_rows=True), batch(identical_rows=True, n_rows=2)),
    ("repeated_data", batch() | {"loader_rows": 200}, batch() | {"loader_rows": 32}),
    ("repeated_data", {"random_passes": 5, "same_random_passes": 5}, {"random_passes": 5, "same_random_passes": 4}),
    ("data_scale", batch(input_std=100.0) | STUCK, batch(input_std=100.0)),
    ("data_scale", batch(input_std=0.001) | STUCK, batch(input_std=0.1) | STUCK),
    ("data_scale", batch(input_std=9.0, column_ratio=500.0) | STUCK, batch(column_ratio=500.0) | STUCK),
    ("data_scale", batch() | {"target_rms": 1e4} | STUCK, batch() | {"target_rms": 1e4}),
    ("imbalance", batch(comparison="binary", label_shares=(0.97, 0.03), predicted_share=1.0, target_min=0,
                        target_max=1),
     batch(comparison="binary", label_shares=(0.97, 0.03), predicted_share=0.98, target_min=0, target_max=1)),
    ("target_range", batch(comparison="binary", target_min=-1.0, target_max=1.0),
     batch(comparison="binary", target_min=0.0, target_max=1.0)),
    ("target_range", {"error_text": "Target 10 is out of bounds."}, {"error_text": "out of memory"}),
    ("target_range", {"error_text": "all elements of target should be between 0 and 1"}, {}),
    ("output_form", {"error_text": "all elements of input should be between 0 and 1"}, {}),
    ("output_form", batch() | {"settings": SettingsRecord(maximize=True)},
     batch(comparison="") | {"settings": SettingsRecord(maximize=True)}),  # a reward is climbed on purpose
    ("small_batches", {"error_text": "Expected more than 1 value per channel when training"}, {}),
    ("small_batches", batch(n_rows=2) | {"model": ModelRecord(batch_norms=("`1`",))} | STUCK,
     batch(n_rows=4) | {"model": ModelRecord(batch_norms=("`1`",))} | STUCK),
    ("small_batches", batch(n_rows=1) | {"params": (ParamRecord("`0.weight`", update_ratio=0.04),)} | STUCK,
     batch(n_rows=1) | {"params": (ParamRecord("`0.weight`", update_ratio=0.04),)}),
    ("loss_choice", batch(whole=True, label_shares=CLASSES), batch(whole=True, label_shares=(0.6, 0.2, 0.15, 0.05))),
    ("loss_choice", batch(whole=True, one_hot=True, label_shares=(0.9, 0.1)) | STUCK,
     batch(whole=True, one_hot=True, label_shares=(0.9, 0.1))),
    ("output_range", batch(outside_share=0.4), batch(outside_share=0.01)),
    ("model_form", {"model": ModelRecord(n_layers=3, is_linear=True, hidden_widths=(8, 8))} | STUCK,
     {"model": ModelRecord(n_layers=3, is_linear=True, hidden_widths=(8, 8))}),
    ("model_form", {"model": NARROW} | STUCK, {"model": NARROW}),
    ("model_form", {"model": ModelRecord(shared_layers=("`a`", "`b`"))} | STUCK,
     {"model": ModelRecord(shared_layers=("`a`", "`b`"))}),
    ("not_in_optimizer", {"model": ModelRecord(made_in_forward=True)}, {}),
    ("frozen", {"model": ModelRecord(frozen_share=0.9, random_frozen=("`0`",))} | STUCK,
     {"model": ModelRecord(frozen_share=0.9, random_frozen=("`0`",))}),
    ("frozen", {"steps_without_pass": 30}, {"steps_without_pass": 5}),
    ("eval_mode", {"model": ModelRecord(eval_parts=("`0.1`",))}, {}),
    ("unusual_setting", {"settings": SettingsRecord(momentum=0.999)} | STUCK,
     {"settings": SettingsRecord(momentum=0.999)}),
    ("unusual_setting", {"settings": SettingsRecord(betas=(0.999, 0.9))} | STUCK,
     {"settings": SettingsRecord(betas=(0.9, 0.999))} | STUCK),
    ("unusual_setting", {"settings": SettingsRecord(eps=1.0, root_mean_v=0.01)} | STUCK,
     {"settings": SettingsRecord(eps=1.0, root_mean_v=10.0)} | STUCK),
    ("unusual_setting", {"model": ModelRecord(dropout=0.9)} | STUCK, {"model": ModelRecord(dropout=0.5)} | STUCK),
    ("group_rate", {"settings": SettingsRecord(group_lrs=(0.0, 0.1))},
     {"settings": SettingsRecord(group_lrs=(1e-5, 0.1))}),
    ("half_precision", {"model": ModelRecord(n_half=4), "nonfinite": LOST}, {"model": ModelRecord(n_half=4)}),
    ("half_precision", {"model": ModelRecord(n_half=4), "params": (ParamRecord("`a`", lost_share=0.9),)} | STUCK,
     {"model": ModelRecord(n_half=4), "params": (ParamRecord("`a`", lost_share=0.2),)} | STUCK),
    ("gradient_scale", {"kept_shares": (1e-6,) * 5, "used_norms": (1.5e-5,) * 5, "loss_scale": 65536.0},
     {"kept_shares": (1e-6,) * 5, "used_norms": (0.3, 0.2, 0.4, 0.1, 0.2), "loss_scale": 65536.0}),
    ("gradient_scale", {"kept_shares": (1.0,) * 5, "loss_scale": 1024.0}, {"kept_shares": (1.0,) * 5}),
    ("gradient_scale", {"kept_shares": (0.001,) * 5} | STUCK, {"kept_shares": (0.1,) * 5} | STUCK),
    ("cleared_too_soon", {"discarded_passes": 180, "counted_passes": 240, "discarding_steps": N},
     {"discarded_passes": 60, "counted_passes": 120}),
    ("overwritten", {"overwrite_checks": 59, "overwrites": 50} | STUCK, {"overwrite_checks": 59, "overwrites": 50}),
    ("overwritten", {"overwrite_checks": 59, "overwrites": 3, "undone_overwrites": 3} | STUCK,
     {"overwrite_checks": 59, "overwrites": 3} | STUCK),
    ("schedule_unmoved", {"settings": SettingsRecord(peak_lr=1.0)}, {"settings": SettingsRecord(peak_lr=0.1)}),
    ("schedule_unmoved", {"settings": SettingsRecord(peak_lr=1.0)},
     {"settings": SettingsRecord(peak_lr=1.0), "lr": np.linspace(0.1, 0.2, N)}),
    ("dead_schedule", {"lr": SCHEDULE} | STUCK, {"lr": np.full(N, 0.1)} | STUCK),
    ("weight_decay", {"weight_decay": 0.01, "params": (ParamRecord("`a`", rms=0.05),)} | STUCK,
     {"weight_decay": 0.01, "params": (ParamRecord("`a`", rms=0.5),)} | STUCK),
    ("above_limit", {"params": (ParamRecord("`a`", update_ratio=0.5),)} | STUCK | {"loss": 1.0 + WIGGLE},
     {"params": (ParamRecord("`a`", update_ratio=0.5),)}),
    ("lr_far_under", {"params": (ParamRecord("`a`", update_ratio=1e-6),)} | STUCK,
     {"params": (ParamRecord("`a`", update_ratio=1e-3),)} | STUCK),
    ("stopped_early", SHORT | {"loss": np.linspace(1.05, 0.97, 40), "last_loss": 0.97},
     SHORT | {"loss": np.linspace(1.05, 0.2, 40), "last_loss": 0.2}),
    ("overfit", {"validation": ((1, 1.0), (9, 0.5), (33, 0.7), (60, 0.9))},
     {"validation": ((1, 1.0), (9, 0.5), (33, 0.45), (60, 0.46))}),
    ("not_enough_seen", {"forward_passes": 0}, {}),
    ("not_enough_seen", {"forward_passes": 0, "backward_passes": 0, "backward_calls": 0,
                         "has_unused_gradient": True}, {}),
    ("raised", {"error": "ValueError"}, {"error": "KeyboardInterrupt"}),
    ("raised", UNSEEN | {"forward_passes": 1, "error": "ValueError"}, UNSEEN | {"forward_passes": 1}),
    ("not_learning", {"loss": RISING, "last_loss": 5.0, "baseline_loss": None}, {"loss": 1e-9 * FLAT}),
]  # fmt: skip


def names(observation: Observation) -> tuple[str, ...]:
    return tuple(each.name for each in evaluate_rules(observation).findings)


@pytest.mark.parametrize(("name", "triggers", "spares"), CASES)
def test_a_rule_names_its_mistake_and_nothing_like_it(
    name: str, triggers: dict[str, Any], spares: dict[str, Any]
) -> None:
    assert names(watched(**triggers))[0] == name
    assert name not in names(watched(**spares))


def test_every_rule_is_tried() -> None:
    tried = {name for name, *_ in CASES} | {"healthy"}
    assert tried == RULE_NAMES


def test_a_healthy_loop_passes_every_check() -> None:
    evaluation = evaluate_rules(watched())
    assert [each.name for each in evaluation.findings] == ["healthy"]
    assert set(evaluation.passed) == RULE_NAMES - {"raised", "update_by_hand", "healthy", "not_enough_seen"}
    assert evaluation.unchecked == {}


def test_what_a_rule_suppresses_is_the_name_of_a_finding() -> None:
    for rule in RULES:
        assert set(rule.suppresses) <= RULE_NAMES - {rule.name}


def test_an_effect_is_not_reported_beside_its_cause() -> None:
    both = watched(stale_steps=59, rate=rate(1.5), loss=RISING)
    assert names(both) == ("no_zero_grad",)
    data = watched(nonfinite=NonfiniteOrigin("target", "", 0), stale_steps=59)
    assert names(data) == ("not_finite",)
    assert evaluate_rules(data).passed == ()


def test_frozen_parameters_are_a_fact_beside_the_verdict() -> None:
    findings = evaluate_rules(watched(frozen_params=("`a`",))).findings
    assert [(each.name, each.severity) for each in findings] == [("healthy", Severity.FACT), ("frozen", Severity.FACT)]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"curvature_error": "no memory", "rate": {"lr_ratios": ()}}, "watch.refused"),
        ({"rate": {"measurements": (), "lr_ratios": ()}}, "watch.not_measured"),
        ({"rate": {"measurements": (measured(1.0)._replace(limit=None),), "lr_ratios": ()}}, "watch.no_limit"),
        ({"backward_passes": 2 * N}, "watch.several_passes"),
        ({"stale_steps": 59, "modified_steps": N}, "watch.summed_up"),
        ({"modified_steps": N}, "watch.altered"),
    ],
)
def test_a_rate_that_cannot_be_compared_has_its_reason(changes: dict[str, Any], key: str) -> None:
    observation = watched(**changes)
    reason = why_limit_unchecked(observation)
    assert reason is not None
    assert reason.key == key
    assert "lr_far_under" not in evaluate_rules(observation).passed


def test_checks_that_take_more_steps_are_not_called_fine() -> None:
    evaluation = evaluate_rules(
        watched(steps=10, backward_passes=10, loss=FALLING[:10], lr=np.full(10, 0.1), checked_steps=2)
    )
    reasons = {name: reason.key for name, reason in evaluation.unchecked.items()}
    assert reasons == {
        "no_zero_grad": "watch.few_compared", "dead_schedule": "watch.few_steps", "lr_far_under": "watch.few_steps",
        "weight_decay": "watch.few_steps", "no_signal": "watch.few_steps", "not_learning": "watch.few_steps",
        "schedule_unmoved": "watch.few_steps",
    }  # fmt: skip


def test_a_loss_whose_graph_is_not_seen_leaves_its_form_unknown() -> None:
    unseen: dict[str, Any] = {"layers": (), "batch": BatchRecord(), "validation": ()}
    unchecked = evaluate_rules(watched(loss_graph_seen=False, baseline_loss=None, **unseen)).unchecked
    assert {name: reason.key for name, reason in unchecked.items()} == {
        "broadcast": "watch.no_loss_graph", "output_form": "watch.no_loss_graph", "no_signal": "watch.no_baseline",
        "loss_choice": "watch.no_loss_graph", "output_range": "watch.no_loss_graph", "imbalance": "watch.no_loss_graph",
        "target_range": "watch.no_loss_graph", "overfit": "watch.no_validation",
        **dict.fromkeys(("dead_units", "saturated", "vanishing_gradient", "exploding", "bad_start"), "watch.no_layers"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"target_rms": 1e6, "batch": BatchRecord()}, "watch.target_scale_advice"),
        ({"param_norm": 1e-3}, "watch.plateau_advice"),
        ({}, "watch.not_learning_advice"),
    ],
)
def test_a_loss_that_does_not_fall_has_its_reason(changes: dict[str, Any], key: str) -> None:
    flat: dict[str, Any] = {"loss": FLAT, "last_loss": 1.0, "baseline_loss": 0.9, "gradient_norm": 1.0}
    finding = evaluate_rules(watched(**flat | changes)).findings[0]
    assert finding.advice is not None
    assert (finding.name, finding.advice.key) == ("not_learning", key)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"rate": rate(2.5), "loss": RISING}, "watch.overflowed"),
        ({"rate": {"measurements": (), "lr_ratios": ()}, "loss": np.geomspace(1, 1e9, N)}, "watch.grew"),
    ],
)
def test_numbers_that_grew_until_they_overflowed_are_the_rate(changes: dict[str, Any], key: str) -> None:
    findings = evaluate_rules(watched(nonfinite=LOST, **changes)).findings
    finding = next(each for each in findings if each.name == "not_finite")
    assert key in [each.key for each in finding.messages]
    assert finding.advice == message("watch.smaller_rate")


def test_suggested_rates_are_rounded_down() -> None:
    finding = evaluate_rules(watched(rate=rate(1.5), loss=RISING)).findings[0]
    assert "Try half of the largest stable rate, lr = 0.0333." in finding.text("en")
    assert finding.numbers["largest"] == pytest.approx(0.1 / 1.5)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_finding_has_a_page_a_title_and_a_word_for_its_check(lang: str) -> None:
    ending, index = {"en": (".md", "README.md"), "ko": (".ko.md", "README.ko.md")}[lang]
    catalog, listed = load_catalog(lang), (PAGES / index).read_text("utf-8")
    for name in RULE_NAMES:
        title = (PAGES / f"{name}{ending}").read_text("utf-8").partition("\n")[0]
        assert title == f"# {catalog[f'watch_title.{name}']} (`{name}`)"
        assert f"- [{catalog[f'watch_title.{name}']}]({name}{ending}) (`{name}`)" in listed
        assert name == "healthy" or f"watch_check.{name}" in catalog


def test_the_first_two_lines_are_the_verdict_and_what_to_do() -> None:
    for _, triggers, _ in CASES:
        observation = watched(**triggers)
        evaluation = evaluate_rules(observation)
        verdict, advice, title = (block.text for block in watch_blocks(observation, evaluation)[:3])  # type: ignore[union-attr]
        assert re.fullmatch(rf"[✗!·] .+ \(`{evaluation.findings[0].name}`\)", verdict)
        assert advice == evaluation.findings[0].advice.text()  # type: ignore[union-attr]
        assert "update" in title


def test_nan_losses_are_neither_flat_nor_healthy() -> None:
    assert names(watched(loss=np.full(N, math.nan), last_loss=math.nan)) == ("not_enough_seen",)


def test_losses_that_vary_more_than_they_fall_say_so() -> None:
    loss = 1.0 + 0.02 * np.sin(np.arange(N) * 2.4) + 0.001 * np.linspace(0, 1, N)
    observation = watched(
        always_same_batch=False, baseline_loss=None, loss=loss, last_loss=float(loss[-1]), gradient_norm=1.0
    )
    finding = evaluate_rules(observation).findings[0]
    assert (finding.name, "watch.spread" in [each.key for each in finding.messages]) == ("not_learning", True)


def test_a_healthy_loop_says_where_noise_hides_its_fall() -> None:
    loss = np.random.default_rng(1).normal(1.0, 0.5, N)
    messages = evaluate_rules(watched(always_same_batch=False, loss=loss, baseline_loss=None)).findings[0].messages
    assert [each.key for each in messages] == ["watch.healthy", "watch.spread"]


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_neither_a_fall_nor_a_trend(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(1.0, 0.2, 400)
    fall = measure_fall(noise)
    assert not fall.is_seen
    assert not is_still_falling(noise)
    assert measure_fall(noise + np.linspace(0.3, 0.0, 400)).is_seen
    assert is_still_falling(noise + np.linspace(0.6, 0.0, 400))


def test_a_fall_is_ruled_out_only_where_it_would_have_been_seen() -> None:
    quiet, loud = (1.0 + size * np.random.default_rng(5).normal(size=60) for size in (0.02, 0.5))
    assert measure_fall(quiet).is_ruled_out
    assert not measure_fall(loud).is_ruled_out


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("mat1 and mat2 shapes cannot be multiplied (4x3 and 2x1)", "watch.cause_shape"),
        ("The size of tensor a (3) must match the size of tensor b (4)", "watch.cause_shape"),
        ("mat1 and mat2 must have the same dtype, but got Double and Float", "watch.cause_dtype"),
        ("one of the variables has been modified by an inplace operation", "watch.cause_in_place"),
        ("0D or 1D target tensor expected, multi-target not supported", "watch.cause_target_form"),
        ("grad can be implicitly created only for scalar outputs", "watch.cause_not_scalar"),
        ("index out of range in self", "watch.cause_index"),
        ("a key is missing", "watch.torch_says"),
    ],
)
def test_an_exception_has_its_cause(text: str, key: str) -> None:
    finding = evaluate_rules(watched(error="RuntimeError", error_text=text)).findings[0]
    assert finding.name == "raised"
    assert key in [each.key for each in finding.messages]


def test_a_small_rate_is_told_with_its_own_limit() -> None:
    """The rate has fallen since it was measured."""
    observation = watched(rate=rate(1e-5), loss=FLAT, param_norm=100.0, lr=np.geomspace(0.1, 1e-6, N))
    finding = evaluate_rules(observation).findings[0]
    assert (finding.name, finding.numbers["lr"]) == ("lr_far_under", 0.1)
    assert "has not fallen" in finding.text("en")


def test_losses_that_are_mostly_noise_do_not_say_that_nothing_is_to_do() -> None:
    noise = np.random.default_rng(1).normal(1.0, 0.5, N)
    finding = evaluate_rules(watched(loss=noise, last_loss=noise[-1], always_same_batch=False)).findings[0]
    assert (finding.name, finding.advice.key) == ("healthy", "watch.spread_advice")  # type: ignore[union-attr]
