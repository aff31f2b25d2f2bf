"""The watch itself: what it offers, when it may be asked, and that it leaves the loop alone."""

from __future__ import annotations

import io
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.watching.history import MAX_KEPT_STEPS, WatchHistory
from descentlab.watching.state_guard import get_rng_states, same_rng_states
from tests.extras import needs
from tests.watching import broken, healthy
from tests.watching.loops import F, mlp, nn, rows, seeded, torch, watched


def words(watch: Any) -> str:
    return " ".join(str(watch).split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "where"),
    [
        (broken.missing_value_in_the_inputs, "the input batch of step 1"),
        (broken.missing_value_in_the_targets, "the targets of step 1"),
        (broken.logarithm_of_negative_numbers, "the output of the module `1` at step 1"),
        (broken.slope_of_a_root_at_zero, "the gradient of `0.bias` at step 1"),
        (broken.logarithm_of_zero_in_the_loss, "the loss itself at step 1"),
    ],
)
def test_the_first_tensor_that_is_not_finite_has_its_name(make: Any, where: str) -> None:
    for settings in ({}, {"level": "full"}):
        assert f"was in {where}" in words(watched(make, **settings))


@pytest.mark.parametrize("at", [3, 100])
def test_a_gradient_that_breaks_later_is_named_with_its_step(at: int) -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer, every=0) as watch:
        for step in range(1, at + 3):
            optimizer.zero_grad()
            loss = F.mse_loss(model(X), y)
            loss.backward()
            if step == at:
                model[2].weight.grad[0, 3] = torch.inf
            optimizer.step()
    trouble = watch.recorder.nonfinite
    assert trouble is not None
    assert (trouble.where, trouble.name, trouble.step) == ("gradient", "2.weight", at)


def test_a_gradient_changed_after_the_first_steps_is_noticed() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer, every=0) as watch:
        for step in range(100):
            optimizer.zero_grad()
            F.mse_loss(model(X), y).backward()
            if step == 70:
                assert watch.recorder.gradients.modified_steps == 0
            if step >= 70:
                nn.utils.clip_grad_norm_(model.parameters(), 1e-4)
            optimizer.step()
    assert watch.recorder.gradients.modified_steps > 0


def test_gradients_that_reach_only_the_last_layer_are_seen() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer, every=0) as watch:
        F.mse_loss(model[2](model[1](model[0](X)).detach()), y).backward()
    assert watch.recorder.gradient_arrived


@pytest.mark.parametrize("draw", [None, lambda: torch.rand(1), lambda: np.random.rand(), lambda: random.random()])
def test_each_generator_of_random_numbers_is_compared(draw: Any) -> None:
    before = get_rng_states(torch)
    if draw is not None:
        draw()
    assert same_rng_states(torch, before, get_rng_states(torch)) == (draw is None)


def test_a_parameter_overwritten_from_outside_is_named() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer) as watch:
        for step in range(8):
            optimizer.zero_grad()
            F.mse_loss(model(X), y).backward()
            optimizer.step()
            if step == 4:
                model[0].bias.data[0] = torch.nan
    assert "the parameter `0.bias`, after 5 updates" in words(watch)


@pytest.mark.slow
@pytest.mark.parametrize("make", [healthy.a_line, broken.rate_too_large_for_a_line], ids=lambda make: make.__name__)
def test_a_line_has_the_exact_doctors_diagnosis(make: Any) -> None:
    X, y = rows()
    loop = seeded(make)
    start = [*loop.model.weight.detach().double().reshape(-1).tolist(), loop.model.bias.item()]
    lr = loop.optimizer.param_groups[0]["lr"]
    problem = dl.Problem(X.double().numpy(), y[:, 0].double().numpy())
    expected = dl.diagnose(problem, lr=lr, epochs=120, start=start)
    found = watched(make).diagnosis
    assert found is not None
    assert found.verdict == expected.verdict
    assert found.lr_bound == pytest.approx(expected.lr_bound, rel=1e-12)
    assert found.epochs_to_tolerance == expected.epochs_to_tolerance


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "sum", "half_mean", "half_sum"])
@pytest.mark.parametrize("bias", [True, False])
def test_every_reduction_is_recognized(reduction: str, bias: bool) -> None:
    X, y = rows()
    model = nn.Sequential(nn.Identity(), nn.Linear(6, 1, bias=bias))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.3, weight_decay=0.01)
    with dl.watch(model, optimizer) as watch:
        for _ in range(5):
            optimizer.zero_grad()
            r = (y - model(X)) ** 2
            loss = (r.mean() if "mean" in reduction else r.sum()) * (0.5 if "half" in reduction else 1.0)
            loss.backward()
            optimizer.step()
    found = watch.diagnosis
    assert found is not None
    assert found.descent.reduction == reduction
    assert found.problem.parameters[-1] == ("bias" if bias else "x6")
    assert (found.descent.momentum, found.descent.weight_decay) == (0.3, 0.01)
    # The same curvature, measured on the graph: lr / bound is what Lanczos found over its limit.
    assert watch.recorder.history.lr_ratios[0] == pytest.approx(found.lr_ratio, rel=1e-3)


@pytest.mark.parametrize("make", [healthy.a_network, healthy.adam_on_batches, healthy.hooks_and_half_a_squared_sum])
def test_only_what_theory_covers_is_diagnosed(make: Any) -> None:
    assert watched(make).diagnosis is None


def test_batches_that_differ_are_not_diagnosed() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer) as watch:
        for i in range(10):
            optimizer.zero_grad()
            F.mse_loss(model(X[i::10]), y[i::10]).backward()
            optimizer.step()
    assert watch.diagnosis is None
    assert "Batches differ" in words(watch)


def test_gradients_changed_before_the_step_leave_the_limit_unknown() -> None:
    watch = watched(healthy.scaled_losses, every=4)
    assert "gradients are modified between backward() and step()" in words(watch)
    assert "%" not in words(watch)


@pytest.mark.parametrize("every", [2, 0])
def test_a_rate_that_rises_past_its_limit_is_told_from_curvature_or_from_growth(every: int) -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step < 30 else 400.0)
    with dl.watch(model, optimizer, every=every) as watch:
        for _ in range(60):
            optimizer.zero_grad()
            F.mse_loss(model(X), y).backward()
            optimizer.step()
            scheduler.step()
    assert watch.names == (("above_limit", "not_finite") if every else ("not_finite",))
    assert ("At step 31 the loss was" in words(watch)) == bool(every)
    assert ("times its lowest value" in words(watch)) == (not every)


def test_clipping_makes_theory_inexact() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for most, exact in ((0.1, False), (1e9, True)):
        with dl.watch(model, optimizer) as watch:
            for _ in range(10):
                optimizer.zero_grad()
                F.mse_loss(model(X), y).backward()
                nn.utils.clip_grad_norm_(model.parameters(), most)
                optimizer.step()
        assert (watch.diagnosis is not None) == exact


def test_a_batch_refilled_in_place_is_another_batch() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer) as watch:
        for i in range(3):
            optimizer.zero_grad()
            F.mse_loss(model(X), y).backward()
            optimizer.step()
            X.add_(i)
    assert not watch.recorder.same_batch_check.always_same


def test_it_prints_while_running_and_after_an_exception() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    said = []

    def loop(watch: Any) -> None:
        with watch:
            for step in range(10):
                optimizer.zero_grad()
                F.mse_loss(model(X), y).backward()
                optimizer.step()
                said.append(words(watch))
                assert watch.names == ()
                if step == 6:
                    raise ArithmeticError("mine")

    watch = dl.watch(model, optimizer)
    with pytest.raises(ArithmeticError, match="mine"):
        loop(watch)
    assert "still running: 1 update so far" in said[0]
    assert "7 updates, then ArithmeticError was raised" in words(watch)
    assert isinstance(watch.error, ArithmeticError)
    assert repr(watch) == "Watch(7 steps, raised)"
    assert watch.findings[0].severity == "caution"


def test_it_says_nothing_before_it_begins_and_watches_one_loop_only() -> None:
    model = mlp()
    watch = dl.watch(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert repr(watch) == "Watch(not begun)"
    with pytest.raises(dl.SettingError, match="Nothing has been watched"):
        str(watch)
    with watch:
        pass
    assert watch.names == ("nothing_seen",)
    with pytest.raises(dl.SettingError, match="already been used"), watch:
        pass


def test_what_cannot_be_watched_is_refused() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for wrong, message in (
        ((F.relu, optimizer), "needs a torch.nn.Module"),
        ((model, model.parameters()), "needs a torch.optim.Optimizer"),
        ((model, optimizer, "mse"), "loss_fn must be"),
    ):
        with pytest.raises(dl.SettingError, match=message):
            dl.watch(*wrong)
    with pytest.raises(dl.SettingError, match="every"):
        dl.watch(model, optimizer, every=-1)
    with pytest.raises(dl.SettingError, match="cheap"):
        dl.watch(model, optimizer, level="cheep")


def test_two_watches_may_stand_in_one_another_and_end_in_any_order() -> None:
    X, y = rows()
    one, other = mlp(), mlp()
    optimizers = [torch.optim.SGD(each.parameters(), lr=0.05) for each in (one, other)]
    original = torch.autograd.backward
    first, second = dl.watch(one, optimizers[0]), dl.watch(other, optimizers[1])
    first.__enter__()
    second.__enter__()
    for i in range(20):
        model, optimizer = (one, optimizers[0]) if i % 2 else (other, optimizers[1])
        optimizer.zero_grad()
        F.mse_loss(model(X), y).backward()
        optimizer.step()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    for watch in (first, second):
        assert watch.recorder.steps == watch.recorder.backward_passes == 10
        assert watch.names == ()
    F.mse_loss(one(X), y).backward()
    assert first.recorder.backward_passes == 10
    torch.autograd.backward = original


def test_a_model_saved_while_watched_is_loaded_weights_only() -> None:
    model, file = nn.Linear(6, 1), io.BytesIO()
    with dl.watch(model, torch.optim.SGD(model.parameters(), lr=0.1)):
        torch.save(model, file)
    with torch.serialization.safe_globals([nn.Linear]):
        loaded = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    assert torch.equal(loaded(torch.ones(1, 6)), model(torch.ones(1, 6)))


def test_a_loss_with_a_value_per_row_is_not_called_healthy() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer) as watch:
        for _ in range(10):
            optimizer.zero_grad()
            losses = (model(X) - y).square()
            losses.backward(torch.ones_like(losses) / len(losses))
            optimizer.step()
    assert [verdict.name for verdict in watch.verdicts] == ["not_enough_seen"]


def test_the_origin_of_nan_is_found_behind_sparse_inputs() -> None:
    X, y = rows()
    weights = nn.Linear(6, 1, bias=False)

    class Sparse(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = weights

        def forward(self, inputs: Any) -> Any:
            return torch.log(torch.sparse.mm(inputs, self.weights.weight.T) * 0) * 0

    model = Sparse()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer) as watch:
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(model(X.to_sparse()), y).backward()
            optimizer.step()
    assert watch.observation.nonfinite is not None
    assert watch.observation.nonfinite.where == "output"


def test_of_several_outputs_the_last_operation_is_of_none() -> None:
    class Heads(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.policy, self.value = nn.Linear(6, 3), nn.Linear(6, 1)

        def forward(self, inputs: Any) -> Any:
            return self.policy(inputs).softmax(-1), self.value(inputs)

    X, y = rows()
    model = Heads()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer) as watch:
        for _ in range(5):
            optimizer.zero_grad()
            policy, value = model(X)
            (F.mse_loss(value, 100 * y) + F.mse_loss(policy, 5 + y.expand(-1, 3))).backward()
            optimizer.step()
    assert watch.observation.model.last_operation == ""


def test_the_table_and_its_frames() -> None:
    watch = watched(healthy.a_network, every=10)
    table = watch.table()
    assert [row.step for row in table] == list(range(1, 121))
    assert [row.step for row in table if row.sharpness is not None] == list(range(1, 121, 10))
    assert table[0].limit == pytest.approx(2 / 0.1)
    first = table[0]
    assert first.sharpness is not None
    assert first.limit is not None
    assert first.ratio == pytest.approx(first.sharpness / first.limit)
    arrow = watch.to_arrow()
    assert arrow.column_names == ["step", "loss", "lr", "sharpness", "limit", "ratio"]
    assert arrow["sharpness"].null_count == 108
    assert watch.to_pandas()["loss"].tolist() == [row.loss for row in table]


def test_a_very_long_record_keeps_every_other_step() -> None:
    record = WatchHistory()
    for step in range(2 * MAX_KEPT_STEPS + 10):
        record.add(float(step), 0.1)
    assert len(record.losses) <= MAX_KEPT_STEPS + 1
    assert [row.step - 1 for row in record.rows()] == [int(row.loss) for row in record.rows()]
    assert record.steps == 2 * MAX_KEPT_STEPS + 10


def test_the_notebook_gets_the_sentences_and_a_picture() -> None:
    watch = watched(broken.rate_too_large_for_a_line, every=10)
    page = watch._repr_html_()
    assert "above_limit" in page
    assert re.search(r'<svg .*<polyline points="[\d., -]+"', page)
    assert "nan" not in re.findall(r'points="([^"]*)"', page)[0]


@needs("matplotlib")
@pytest.mark.slow
def test_the_plot_is_a_file(tmp_path: Path) -> None:
    watch = watched(healthy.warmup_and_cosine, every=10)
    figure = watch.plot(tmp_path / "watch.svg")
    left, right = figure.axes
    assert len(left.lines[0].get_xdata()) == 120
    assert len(right.lines[0].get_xdata()) == 12
    assert (tmp_path / "watch.svg").read_text("utf-8").startswith("<?xml")
    with pytest.raises(dl.SettingError):
        watch.plot(tmp_path / "watch.txt")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_the_live_line_is_only_for_terminals_and_is_erased(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = kind()
    monkeypatch.setattr(sys, "stderr", screen)
    watched.__wrapped__(healthy.a_network)  # run again: what is cached has printed nothing here
    said = screen.getvalue()
    if kind is io.StringIO:
        assert said == ""
        return
    assert re.search(r"step \d+, loss [\d.]+, lr at [\d.]+% of its limit", said)
    assert said.endswith("\r")
    assert said.split("\r")[-2].strip() == ""


def test_copies_and_files_of_a_watched_model_are_not_watched() -> None:
    import copy
    import pickle

    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with dl.watch(model, optimizer, nn.MSELoss()) as watch:
        F.mse_loss(model(X), y).backward()
        for other in (copy.deepcopy(model), copy.copy(model[0]), pickle.loads(pickle.dumps(model))):
            other(X)
    assert watch.recorder.forward_passes == 1
    assert watch.recorder.internal_error is None


def test_a_mistake_of_the_watch_does_not_end_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    from descentlab.watching.recorder import LoopRecorder

    def wrong(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(LoopRecorder, "_inspect_loss", wrong)
    monkeypatch.setattr(LoopRecorder, "on_optimizer_step", wrong)
    loop = seeded(healthy.a_network)
    with dl.watch(loop.model, loop.optimizer) as watch:
        losses = loop.body()
    assert losses == seeded(healthy.a_network).body()
    assert "ZeroDivisionError: ours" in words(watch)


@pytest.mark.slow
def test_curvature_takes_no_more_than_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that a step moves by 1 and a measurement by 3: 0.75% of the time is one in four hundred steps."""
    from descentlab.watching import pace
    from descentlab.watching.curvature import lanczos as curvature
    from descentlab.watching.curvature import probe as probing

    class Clock:
        now = 0.0

    def lanczos(product: Any, start: Any, deadline: float) -> Any:
        Clock.now += 3.0
        return measure(product, start)

    measure = curvature.find_top_eigenvalue
    for module in (probing, pace):
        monkeypatch.setattr(module, "perf_counter", lambda: Clock.now)
    monkeypatch.setattr(pace, "EARLY_SECONDS", 0.003)
    monkeypatch.setattr(pace, "NOT_FALLING_SECONDS", 0.003)
    monkeypatch.setattr(curvature, "find_top_eigenvalue", lanczos)
    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with dl.watch(model, optimizer) as watch:
        for _ in range(2000):
            optimizer.zero_grad()
            F.mse_loss(model(X), y).backward()
            optimizer.step()
            Clock.now += 1.0
    steps = [probe.step for probe in watch.recorder.history.measurements]
    late = [step for step in steps if step > 100]
    assert len(late) >= 3
    assert set(np.diff(late)) <= {397, 398, 400}


@pytest.mark.slow
def test_watching_loads_torch_only_when_it_begins() -> None:
    code = "import sys, descentlab; print('torch' in sys.modules); descentlab.watch; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_without_torch_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nimport descentlab as dl\n"
        "try:\n    dl.watch(None, None)\nexcept dl.MissingDependencyError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install torch" in done.stdout


def test_reasons_for_a_loss_that_does_not_fall_are_told_where_they_are_known() -> None:
    assert "Standardize the targets" in words(watched(broken.targets_in_millions))
    assert "the model ends in tanh" in words(watched(broken.outputs_saturated))
    assert "Standardize them" in words(watched(broken.features_in_thousands))
    assert "little left to gain" in words(watched(healthy.at_the_minimum_from_the_start))


def test_a_loss_that_is_no_single_number_is_not_called_flat() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with dl.watch(model, optimizer, every=0) as watch:
        for _ in range(30):
            optimizer.zero_grad()
            ((model(X) - y) ** 2).backward(torch.full((96, 1), 1 / 96))
            optimizer.step()
    assert watch.names == ()


def test_without_a_curvature_a_flat_loss_of_a_line_is_judged_all_the_same() -> None:
    """At a noisy minimum nothing tells then that it is one."""
    assert watched(healthy.at_a_noisy_minimum_from_the_start, every=0).names == ("not_learning",)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_the_model_can_be_scripted_and_traced_while_it_is_watched() -> None:
    model, batch = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()), torch.ones(4, 2)
    optimizer, script = torch.optim.SGD(model.parameters(), lr=0.1), torch.jit.script
    with dl.watch(model, optimizer, torch.nn.MSELoss()) as watch:
        for _ in range(2):
            copies = [
                torch.jit.trace(model, batch),
                torch.jit.script(model),
                torch.jit.script(torch.nn.Sequential(model)),
            ]
            optimizer.zero_grad()
            model(batch).sum().backward()
            optimizer.step()

        @torch.jit.script
        class Counter:  # looked up where it is defined, not in a wrapper
            def __init__(self, value: torch.Tensor) -> None:
                self.positive = F.relu(value)

    assert all(torch.equal(each(batch), model(batch)) for each in copies)
    assert watch.observation.internal_error is None
    assert (watch.observation.steps, watch.observation.forward_passes) == (2, 2)
    assert torch.jit.script is script
    assert not model._forward_hooks
