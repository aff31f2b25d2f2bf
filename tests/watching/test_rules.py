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
from descentlab.watching.report import watch_blocks
from descentlab.watching.rules.evaluate import FALLBACK_RULES, RULES, evaluate_rules
from descentlab.watching.rules.observation import Observation

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
        any_gradient=True, optimizer_gradient=True, n_trainable=2, n_optimized=2, checked_steps=N - 1,
        compared_steps=N, gradient_norm=0.1, param_norm=1.0, loss_graph_seen=True, baseline_loss=3.0, input_rms=1.0,
        output_rms=1.0, target_rms=1.0, weight_decay_lr=0.1, **rate(0.3) | changes.pop("rate", {}),
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

# The finding, what triggers it, and what does not.
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("integer_target", {"runtime_error": "Found dtype Long but expected Float"}, {"runtime_error": "out of memory"}),
    ("integer_target", {"runtime_error": "Subtraction, the `-` operator, with a bool tensor is not supported"}, {}),
    ("float_target", {"runtime_error": "expected scalar type Long but found Float"}, {"runtime_error": "expected 3"}),
    ("stale_graph", {"runtime_error": "Trying to backward through the graph a second time"}, {}),
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
    assert set(evaluation.passed) == RULE_NAMES - {"raised", "healthy"}
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
    evaluation = evaluate_rules(watched(**changes))
    assert evaluation.unchecked["lr_far_under"].key == key
    assert "lr_far_under" not in evaluation.passed


def test_checks_that_take_more_steps_are_not_called_fine() -> None:
    evaluation = evaluate_rules(
        watched(steps=10, backward_passes=10, loss=FALLING[:10], lr=np.full(10, 0.1), checked_steps=2)
    )
    reasons = {name: reason.key for name, reason in evaluation.unchecked.items()}
    assert reasons == {
        "no_zero_grad": "watch.few_compared", "dead_schedule": "watch.few_steps", "lr_far_under": "watch.few_steps",
        "weight_decay": "watch.few_steps", "no_signal": "watch.few_steps", "not_learning": "watch.few_steps",
    }  # fmt: skip


def test_a_loss_whose_graph_is_not_seen_leaves_its_form_unknown() -> None:
    unchecked = evaluate_rules(watched(loss_graph_seen=False, baseline_loss=None)).unchecked
    assert {name: reason.key for name, reason in unchecked.items()} == {
        "broadcast": "watch.no_loss_graph", "output_form": "watch.no_loss_graph", "no_signal": "watch.no_baseline",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"target_rms": 1e6}, "watch.target_scale_advice"),
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
        assert re.fullmatch(rf"[✗!] .+ \(`{evaluation.findings[0].name}`\)", verdict)
        assert advice == evaluation.findings[0].advice.text()  # type: ignore[union-attr]
        assert "update" in title


def test_nan_losses_are_not_called_flat() -> None:
    assert names(watched(loss=np.full(N, math.nan), last_loss=math.nan)) == ("healthy",)
