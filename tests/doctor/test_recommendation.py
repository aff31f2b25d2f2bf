"""What a diagnosis says to do is right: the settings, the lines to paste and the command reach what is predicted."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.code import code_lines
from descentlab.doctor.forecast import Verdict
from descentlab.typing import FloatArray
from tests.cli.helpers import cli
from tests.extras import cases, needs, optional

random = np.random.default_rng(11)
HOUSES = np.column_stack([random.uniform(40, 200, 30), random.integers(1, 6, 30), random.uniform(1950, 2020, 30)])
PRICES = HOUSES @ [2.5, -11.0, 0.4] - 700 + 30 * random.normal(size=30)
WEIGHTS = random.uniform(0.5, 3.0, 30)
CONSTANT = np.column_stack([HOUSES[:, 0], np.full(30, 0.1), HOUSES[:, 1]])
START = [1.0, -2.0, 0.1, 5.0]

WALKED = ["never cleared", "adam"]  # by the engine replay, which needs torch
CASES: dict[str, tuple[dl.Problem, dict[str, Any]]] = {
    "diverges": (dl.Problem(HOUSES, PRICES), {"lr": 0.01}),
    "too slow": (dl.Problem(HOUSES, PRICES), {"lr": 1e-7, "reduction": "half_mean"}),
    "coefficients": (dl.Problem(HOUSES[:, :2], PRICES), {"lr": 5e-5, "epochs": 2000, "reduction": "half_mean"}),
    "start": (dl.Problem(HOUSES, PRICES), {"lr": 0.01, "start": START}),
    "weights": (dl.Problem(HOUSES, PRICES, weights=WEIGHTS), {"lr": 0.01, "start": START}),
    "constant column": (dl.Problem(CONSTANT, PRICES), {"lr": 0.01}),
    "no bias": (dl.Problem(HOUSES, PRICES, bias=False), {"lr": 0.01, "start": START[:3]}),
    "momentum kept": (dl.Problem(HOUSES, PRICES), {"lr": 0.01, "momentum": 0.5}),
    "momentum above one": (dl.Problem(HOUSES, PRICES), {"lr": 1e-6, "momentum": 1.5}),
    "ridge": (dl.Problem(HOUSES, PRICES, ridge=0.1, standardize=True), {"lr": 3.0}),
    "standardized": (dl.Problem(HOUSES, PRICES, standardize=True), {"lr": 5e-4}),
    "zero_grad": (dl.Problem([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], bias=False), {"lr": 0.15, "zero_grad": False}),
    "never cleared": (dl.Problem(HOUSES, PRICES), {"lr": 1e-8, "momentum": 0.5, "nesterov": True, "zero_grad": False}),
    "adam": (dl.Problem(HOUSES, PRICES), {"lr": 0.1, "optimizer": "Adam", "weight_decay": 0.2, "epochs": 20}),
    "sum": (dl.Problem(HOUSES, PRICES), {"lr": 0.01, "reduction": "sum"}),
    "more epochs": (dl.Problem(HOUSES, PRICES, standardize=True), {"lr": 0.35, "epochs": 3}),
}


def diagnose(problem: dl.Problem, **settings: Any) -> dl.Diagnosis:
    diagnosis = dl.diagnose(problem, **settings)
    assert isinstance(diagnosis, dl.Diagnosis)
    return diagnosis


def diagnosed(name: str) -> dl.Diagnosis:
    problem, settings = CASES[name]
    diagnosis = diagnose(problem, **settings)
    assert diagnosis.recommendation is not None
    return diagnosis


def is_near(params: FloatArray, problem: dl.Problem, start: Any) -> bool:
    """Whether the cost, unless its minimum is 0, and every coefficient is within 1% of the minimum's."""
    minimum = problem.solve(start)
    reference = np.where(minimum.params == 0, np.abs(minimum.params).max(), np.abs(minimum.params))
    fits = minimum.cost < 1e-20 or problem.cost(params) <= 1.01 * minimum.cost
    return bool(fits and (np.abs(params - minimum.params) <= 0.01 * reference).all())


@pytest.mark.parametrize("name", cases(CASES, torch=WALKED))
def test_the_settings_reach_what_is_predicted(name: str) -> None:
    (problem, settings), recommendation = CASES[name], diagnosed(name).recommendation
    assert recommendation is not None
    scaling = {key: value for key, value in recommendation.settings.items() if key in ("center", "standardize")}
    changed = problem.with_changes(**scaling)
    descent = settings | {key: value for key, value in recommendation.settings.items() if key not in scaling}
    predicted = diagnose(changed, **descent)
    assert predicted.verdict.converges
    assert predicted.coefficients_converged
    assert (predicted.epochs_to_tolerance, predicted.epochs_to_coefficients) == (
        recommendation.epochs_to_tolerance,
        recommendation.epochs_to_coefficients,
    )
    at, before = (
        dl.descend(changed, **(descent | {"epochs": recommendation.needed - early})).params for early in (0, 1)
    )
    if not problem.ridge:
        assert is_near(at, changed, settings.get("start"))
        assert not is_near(before, changed, settings.get("start"))


LOOP = """
for _ in range(epochs):
    residual = X @ W + b - y
    gradient_W = scale * X.T @ (w * residual) + 0.0
    gradient_b = scale * (w * residual).sum() * has_bias
    if momentum:
        velocity_W = momentum * velocity_W + gradient_W
        velocity_b = momentum * velocity_b + gradient_b
        gradient_W, gradient_b = velocity_W, velocity_b
    W, b = W - lr * gradient_W, b - lr * gradient_b
"""
NUMPY_CASES = [name for name in CASES if name not in ("ridge", "standardized", "zero_grad", "more epochs")]


def loop_variables(name: str, epochs: int) -> dict[str, Any]:
    """A plain loop's variables before the lines are pasted."""
    problem, settings = CASES[name]
    rows = problem.rows()
    start = np.asarray(settings.get("start", np.zeros(len(problem.parameters))), dtype=float)
    w = np.ones(problem.n) if rows.weights is None else rows.weights
    scale = {"mean": 2 / w.sum(), "half_mean": 1 / w.sum(), "sum": 2.0}[settings.get("reduction", "mean")]
    d = len(problem.features)
    return {
        "X": rows.X,
        "y": rows.y,
        "w": w,
        "W": start[:d],
        "b": float(start[d]) if problem.bias else 0.0,
        "scale": scale,
        "has_bias": problem.bias,
        "velocity_W": np.zeros(d),
        "velocity_b": 0.0,
        "lr": settings["lr"],
        "momentum": settings.get("momentum", 0.0),
        "epochs": epochs,
    }


def prediction_is_near(variables: dict[str, Any], problem: dl.Problem) -> bool:
    """Whether predictions, and so the coefficients of the columns as they were, are those of least squares."""
    X, w = problem.rows().X, variables["w"]
    columns = np.column_stack([X, np.ones(len(X))]) if problem.bias else X
    fitted = np.linalg.lstsq(columns, variables["X"] @ variables["W"] + variables["b"], rcond=None)[0]
    best = np.linalg.lstsq(columns * np.sqrt(w)[:, None], variables["y"] * np.sqrt(w), rcond=None)[0]
    return bool((np.abs(fitted - best) <= 0.0101 * np.abs(best)).all())


@pytest.mark.parametrize("name", cases(NUMPY_CASES, torch=WALKED))
def test_the_lines_for_numpy_reach_it_in_a_plain_loop(name: str) -> None:
    (problem, _), diagnosis = CASES[name], diagnosed(name)
    assert diagnosis.recommendation is not None
    lines = "\n".join(code_lines("numpy", problem, diagnosis.descent, diagnosis.recommendation))
    for epochs, expected in ((diagnosis.recommendation.needed, True), (diagnosis.recommendation.needed // 2, False)):
        variables = loop_variables(name, 0)
        exec(lines, {"np": np}, variables)
        variables["epochs"] = epochs
        exec(LOOP, {"np": np}, variables)
        assert prediction_is_near(variables, problem) is expected


@pytest.mark.parametrize("name", ["diverges", "start", "weights", "constant column", "no bias", "momentum kept", "sum"])
def test_the_lines_for_torch_reach_it_in_a_plain_loop(name: str) -> None:
    torch = optional("torch")
    (problem, _), diagnosis = CASES[name], diagnosed(name)
    assert diagnosis.recommendation is not None
    values, needed = loop_variables(name, 0), diagnosis.recommendation.needed
    d = len(problem.features)
    model = torch.nn.Linear(d, 1, bias=problem.bias, dtype=torch.float64)
    model.weight.data = torch.tensor(values["W"])[None]
    if problem.bias:
        model.bias.data = torch.tensor([values["b"]], dtype=torch.float64)
    X, y, w = (torch.tensor(values[key]) for key in ("X", "y", "w"))
    variables = {"X": X, "w": w, "model": model}
    exec(
        "\n".join(code_lines("torch", problem, diagnosis.descent, diagnosis.recommendation)),
        {"torch": torch},
        variables,
    )
    for _ in range(needed):
        loss = values["scale"] / 2 * (w * (model(variables["X"])[:, 0] - y) ** 2).sum()
        variables["optimizer"].zero_grad()
        loss.backward()
        variables["optimizer"].step()
    found = values | {"X": variables["X"].numpy(), "W": model.weight.detach().numpy()[0]}
    found["b"] = model.bias.item() if problem.bias else 0.0
    assert prediction_is_near(found, problem)


@pytest.mark.parametrize("name", cases(CASES, torch=WALKED))
def test_the_lines_for_descentlab_run_as_they_are(name: str) -> None:
    (problem, _), diagnosis = CASES[name], diagnosed(name)
    assert diagnosis.recommendation is not None
    variables: dict[str, Any] = {"problem": problem}
    lines = code_lines("descentlab", problem, diagnosis.descent, diagnosis.recommendation)
    exec("\n".join(lines), {"dl": dl}, variables)
    assert variables["run"].ending.coefficients_converged
    assert all(f"  {line}\n" in diagnosis.text("en") for line in lines)


@pytest.mark.parametrize(
    "options",
    [
        "--lr 0.01",
        "--lr 0.01 --reduction sum --momentum 0.5 --no-bias",
        "--lr 1e-6 --start=-1,2,3,4 --schedule cosine:50",
        pytest.param("--lr 0.5 --optimizer Adam --option betas=0.8,0.99", marks=needs("torch")),
        "--lr 1e-6 --forget-zero-grad --lang ko",
        "--lr 1e-6 --momentum 1.1 --nesterov --features size,rooms",
    ],
)
def test_the_printed_command_reaches_it(options: str, tmp_path: Path) -> None:
    path = tmp_path / "some houses.csv"
    np.savetxt(path, np.column_stack([HOUSES, PRICES]), delimiter=",", header="size,rooms,year,price", comments="")
    data = [str(path), "--target", "price"]
    found = json.loads(cli("diagnose", *data, *options.split(), "--json").out)["recommendation"]
    command = next(
        line for line in cli("diagnose", *data, *options.split()).out.split("\n") if line.startswith("  descentlab")
    )
    name, *arguments = shlex.split(command)
    assert name == "descentlab"
    assert ("--lang" in arguments) is ("--lang" in options)
    needed = max(found["epochs_to_tolerance"], found["epochs_to_coefficients"])
    for epochs, expected in ((needed, True), (needed - 1, False)):
        run = json.loads(cli(*arguments, "--epochs", str(epochs), "--json").out)
        assert run["ending"]["coefficients_converged"] is expected or found["epochs_to_tolerance"] == needed


@pytest.mark.parametrize("name", ["start", "weights", "no bias"])
def test_the_lines_move_a_start_without_changing_what_it_predicts(name: str) -> None:
    (problem, _), diagnosis, variables = CASES[name], diagnosed(name), loop_variables(name, 0)
    assert diagnosis.recommendation is not None
    before = variables["X"] @ variables["W"] + variables["b"]
    exec("\n".join(code_lines("numpy", problem, diagnosis.descent, diagnosis.recommendation)), {"np": np}, variables)
    np.testing.assert_allclose(variables["X"] @ variables["W"] + variables["b"], before)


@pytest.mark.parametrize("seed", [21, 36])
def test_epochs_are_counted_at_the_rate_that_is_printed(seed: int) -> None:
    """Here the rate and momentum with all their digits take an epoch more."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 2)) * [1, 10.0 ** rng.uniform(0, 3)] + 10.0 ** rng.uniform(1, 3)
    problem = dl.Problem(X, X @ rng.normal(size=2) + rng.normal(size=20), ridge=1e-3)
    recommendation = diagnose(problem, lr=1.0, epochs=3).recommendation
    assert recommendation is not None
    same = diagnose(problem, **recommendation.settings)
    assert same.verdict.converges
    assert same.epochs_to_tolerance == recommendation.epochs_to_tolerance
    assert same.epochs_to_coefficients == recommendation.epochs_to_coefficients


def test_the_lesson_keeps_its_reduction() -> None:
    text = cli("diagnose", "lesson").out
    assert "\n  descentlab run lesson --lr 0.0357142 --reduction sum\n" in text


def test_a_change_of_the_rate_alone_is_preferred_unless_another_is_twice_as_fast() -> None:
    well_scaled = dl.Problem(random.normal(size=(40, 2)), random.normal(size=40))
    alone = diagnose(well_scaled, lr=5.0).recommendation
    assert alone is not None
    assert alone.remedy == "fastest_rate"
    assert set(alone.settings) == {"lr"}
    scaled = diagnosed("diverges").recommendation
    assert scaled is not None
    assert scaled.remedy == "standardize"
    assert scaled.rate_only is not None
    assert scaled.rate_only.needed > 2 * scaled.needed


def test_a_penalty_is_not_moved_to_other_columns() -> None:
    for ridge, weight_decay in ((0.1, 0.0), (0.0, 0.1)):
        problem = dl.Problem(HOUSES, PRICES, ridge=ridge)
        recommendation = diagnose(problem, lr=0.01, weight_decay=weight_decay).recommendation
        assert recommendation is not None
        assert not {"center", "standardize"} & recommendation.settings.keys()


def test_what_is_fine_is_left_alone_and_what_is_unknown_too() -> None:
    fine = diagnose(dl.Problem(HOUSES, PRICES, standardize=True), lr=0.35, epochs=1000)
    assert fine.recommendation is None
    assert "Do this" not in fine.text("en")
    assert fine.verdict is Verdict.MONOTONE
    batches = diagnose(dl.Problem(HOUSES, PRICES), lr=1e-6, batch_size=5)
    assert batches.recommendation is None


def test_code_in_an_unknown_language_is_refused() -> None:
    with pytest.raises(dl.SettingError, match="numpy"):
        diagnosed("diverges").text(code="matlab")
