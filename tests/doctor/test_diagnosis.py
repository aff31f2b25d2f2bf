"""The diagnosis as a whole: its attributes, its words, its object for machines, its page, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.finding import Severity
from descentlab.messages import display_width
from descentlab.watching.rules.evaluate import FALLBACK_RULES, RULES
from tests.extras import cases, needs
from tests.pages import whole

rng = np.random.default_rng(6)
X = rng.normal(size=(50, 2)) * [1.0, 30.0] + [100.0, 0.0]
y = X @ [1.0, 0.2] + rng.normal(size=50)
LESSON = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
DOCS = Path(__file__).parents[2] / "src" / "descentlab" / "doctor" / "pages"


def diagnosed(problem: dl.Problem = LESSON, **settings: Any) -> dl.Diagnosis:
    found = dl.diagnose(problem, **({"lr": 0.1} | settings))
    assert isinstance(found, dl.Diagnosis)
    return found


CASES: dict[str, tuple[dl.Problem, dict[str, Any]]] = {
    "diverges": (dl.Problem(X, y), {"lr": 0.1}),
    "too slow": (dl.Problem(X, y), {"lr": 1e-4, "reduction": "half_mean"}),
    "converges": (LESSON, {"lr": 0.15}),
    "momentum": (LESSON, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "forgotten": (LESSON, {"lr": 0.15, "zero_grad": False}),
    "batches": (dl.Problem(X, y), {"lr": 1e-4, "batch_size": 10}),
    "whole batch": (LESSON, {"lr": 0.15, "batch_size": 8}),
    "adam": (dl.Problem(X, y, standardize=True), {"lr": 0.5, "optimizer": "Adam", "epochs": 300}),
    "schedule": (LESSON, {"lr": 0.15, "schedule": "cosine:50"}),
    "decay": (LESSON, {"lr": 0.1, "weight_decay": 0.5}),
    "ridge": (dl.Problem(X, y, ridge=0.5), {"lr": 1e-5}),
    "flat": (dl.Problem(np.column_stack([X, X[:, 0]]), y), {"lr": 1e-6}),
    "constant target": (dl.Problem(X, np.full(50, 2.0)), {"lr": 1e-6}),
    "few rows": (dl.Problem(X[:2], y[:2]), {"lr": 1e-6}),
    "zeros": (dl.Problem(np.zeros((5, 1)), np.zeros(5)), {"lr": 0.1}),
    "nothing curves": (dl.Problem(np.zeros((5, 1)), np.arange(5.0), bias=False), {"lr": 0.1}),
    "held out": (dl.Problem(X[:25], y[:25]), {"lr": 1e-5, "validation": (X[25:], y[25:])}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(CASES, torch=["adam"]))
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_it_speaks_in_80_columns(name: str, lang: str) -> None:
    problem, settings = CASES[name]
    text = diagnosed(problem, **settings).text(lang)
    assert max(map(display_width, text.split("\n"))) <= 80
    assert "{" not in text
    for meant in ("inf and nan", "avoids nan", "inf와 nan", "낮추면 nan"):
        text = text.replace(meant, "")
    assert " nan" not in text
    assert bool(re.search("[가-힣]", text)) is (lang == "ko")


@pytest.mark.parametrize("name", cases(CASES, torch=["adam"]))
def test_it_is_an_object_for_machines(name: str) -> None:
    problem, settings = CASES[name]
    found = diagnosed(problem, **settings)
    content = json.loads(json.dumps(found.to_dict("en"), allow_nan=False))
    assert content["schema"] == "descentlab.diagnosis/1"
    assert content["verdict"] == found.verdict
    assert content["epochs_to_tolerance"] == found.epochs_to_tolerance
    assert content["overflow_epoch"] == found.overflow_epoch
    assert [each["name"] for each in content["findings"]] == [each.name for each in found.findings]
    assert all(
        set(each["evidence"]) == set(ours.numbers)
        for each, ours in zip(content["findings"], found.findings, strict=True)
    )
    assert content["params"] == found.params


@pytest.mark.parametrize("name", cases(CASES, torch=["adam"]))
def test_its_page_is_whole(name: str) -> None:
    problem, settings = CASES[name]
    found = diagnosed(problem, **settings)
    whole(found._repr_html_())


@pytest.mark.parametrize(
    ("settings", "answer", "action"),
    [
        ({"lr": 0.1}, "✗ Diverges: lr = 0.1 is 1,000 times the largest", "Standardize the columns"),
        ({"lr": 1e-5}, "✗ Too slow: lr = 1e-05 needs ", "Standardize the columns"),
        ({"lr": 1e-5, "momentum": 1.5}, "✗ Diverges: momentum 1.5 is above 1.", "Set the momentum to 0. Standardize"),
        ({"lr": 1e-5, "zero_grad": False}, "✗ Too slow: after 100 epochs", "Call optimizer.zero_grad()"),
        ({"lr": 1e-4, "batch_size": 10}, "! Cannot tell: with batches of 10 out of 50", "Leave out the batch size"),
        ({"lr": 0.3, "standardize": True}, "✓ Converges: from epoch ", "No change is needed"),
    ],
)
def test_it_begins_with_the_answer_and_what_to_do(settings: dict[str, Any], answer: str, action: str) -> None:
    problem = dl.Problem(X, y, standardize=settings.pop("standardize", False))
    found = diagnosed(problem, **settings)
    text = found.text("en")
    assert text.startswith(answer)
    first, second = str(found.headline.answer), str(found.headline.action)
    assert second.startswith(action)
    do_this = "" if found.verdict.converges else "Do this: "
    assert " ".join(text.split()).startswith(f"{answer[0]} {first} {do_this}{second} ")
    page = found._repr_html_()
    assert page.index("<p><strong>") < page.index(action) < page.index("<h4>")
    assert (found.to_dict("en")["answer"], found.to_dict("en")["action"]) == (first, second)


def test_a_longer_text_has_overflow_the_textbook_and_the_bounds() -> None:
    found = diagnosed(dl.Problem(X, y), lr=0.1)
    short, long = found.text("en"), found.text("en", more=True)
    for words in ("In float32, the cost overflows", "textbook: 2/(max + min)", "condition number\n  remedy"):
        assert words not in short
        assert words in long
    assert "--more" in short
    assert "--more" not in long
    assert set(short.split("\n")) - set(long.split("\n")) <= set(short.split("\n")[-4:])


def test_a_cost_that_hides_its_coefficients_is_said_first() -> None:
    random = np.random.default_rng(8)
    columns = np.column_stack([random.uniform(900, 3000, 40), np.ones(40)])
    problem = dl.Problem(columns[:, 0], columns @ [170.0, 14000.0] + 60_000 * random.normal(size=40))
    found = diagnosed(problem, lr=problem.spectrum().lr_bound() / 2, epochs=1000)
    text = " ".join(found.text("en").split())
    assert found.verdict.converges
    assert found.epochs_to_tolerance == 1
    assert found.epochs_to_coefficients is not None
    assert found.epochs_to_coefficients > 1000
    assert found.coefficients_converged is False
    assert found.furthest[0].name == "bias"
    assert text.startswith("! The cost converges, but not every coefficient: after 1,000 epochs `bias` is ")
    assert "Do this: Standardize the columns" in text
    lower = next(each for each in diagnosed(problem, lr=1.0, epochs=1000).findings if each.name == "lower_rate")
    assert str(lower).startswith("A smaller rate is enough for the cost, but not for the coefficients.")
    assert lower.severity is Severity.CAUTION


@needs("torch")
def test_it_lists_what_is_fine_and_what_could_not_be_checked() -> None:
    above, plain = diagnosed(dl.Problem(X, y), lr=0.1), diagnosed(dl.Problem(X[:, 1:], y), lr=1e-5)
    checked = {each.key for each in plain.checked}
    assert {"checked.bound", "checked.overflow", "checked.offsets", "checked.missing"} <= checked
    assert checked - {each.key for each in above.checked} == {"checked.bound", "checked.overflow", "checked.offsets"}
    assert [each.key for each in plain.unchecked] == ["unchecked.observed", "unchecked.held_out"]
    adam = diagnosed(LESSON, lr=0.1, optimizer="Adam", validation=([1.0, 2.0], [1.0, 2.0]), observed=[4.0])
    assert [each.key for each in adam.unchecked] == ["unchecked.optimizer"]
    assert "the largest stable rate (not known for Adam)" in " ".join(str(adam).split())


def test_hostile_names_stay_names() -> None:
    name = "<script>alert(1)</script>\"'&"
    problem = dl.Problem(X + 1e6, y, features=[name, "<img src=x onerror=alert(1)>"])
    page = diagnosed(problem, lr=0.1)._repr_html_()
    whole(page)
    assert "<script" not in page
    assert "<img" not in page
    long = dl.Problem(X, y, features=["n" * 10_000, "한글" * 100])
    assert diagnosed(long, lr=1e-6).text("en").startswith("✗ Too slow: ")


def test_the_lesson_diagnosed() -> None:
    """Sections of the lesson's design: lr 0.15 on the mean multiplies the error by -0.4; the bound is 0.2143."""
    found = diagnosed(lr=0.15, epochs=10)
    assert found.verdict == "converges-oscillating"
    assert found.lr_bound == pytest.approx(2 / (28 / 3))
    assert found.lr_ratio == pytest.approx(0.15 * 28 / 3 / 2)
    assert found.fastest is not None
    assert found.fastest.factor == pytest.approx(-0.4)
    assert found.epochs_to_tolerance == 6  # 0.4^5 = 0.0102, 0.4^6 = 0.0041
    assert found.overflow_epoch == {"float32": None, "float64": None}
    forgotten = diagnosed(lr=0.15, epochs=1000, zero_grad=False)
    assert forgotten.verdict == "too slow"
    assert forgotten.epochs_to_tolerance is None
    assert "forgotten_zero_grad" in [finding.name for finding in forgotten.findings]
    assert "exactly momentum 1" in str(forgotten)


def test_one_step_by_hand_that_is_looped_diverges() -> None:
    found = diagnosed(lr=0.1, reduction="sum", epochs=10)
    assert found.verdict == "diverges"
    assert found.lr_bound == pytest.approx(1 / 14)
    assert found.slowest is not None
    assert found.slowest.factor == pytest.approx(-1.8)
    assert "by -1.8" in str(found)


@pytest.mark.parametrize(("schedule", "severity"), [(None, Severity.PROBLEM), ("step:3:0.5", Severity.FACT)])
def test_a_rate_above_its_bound_is_no_problem_where_a_schedule_takes_it_down(
    schedule: str | None, severity: Severity
) -> None:
    """The bound is 2 over the curvature 2/3 (1 + 4 + 9), so 3/14, and 0.3 is 1.4 times that."""
    (bound,) = [each for each in diagnosed(lr=0.3, schedule=schedule, epochs=50).findings if each.name == "bound"]
    assert bound.numbers["ratio"] == pytest.approx(1.4)
    assert bound.severity is severity


def test_a_batch_of_all_rows_is_full_batch_and_says_so() -> None:
    found = diagnosed(lr=0.15, batch_size=3)
    assert found.verdict == diagnosed(lr=0.15).verdict
    assert "whole_batch" in [finding.name for finding in found.findings]


def test_mini_batches_cannot_be_told() -> None:
    found = diagnosed(dl.Problem(X, y), lr=1e-4, batch_size=10)
    assert found.verdict == "cannot tell"
    assert found.epochs_to_tolerance is None
    assert found.params is None
    assert "(5 steps per epoch)" in str(found).replace("\n  ", " ")
    assert found.lr_bound is not None  # what can be given is given
    assert found.rates["fastest"].epochs is not None


def test_a_tolerance_of_ones_own() -> None:
    loose, usual = diagnosed(lr=0.1, within=0.1), diagnosed(lr=0.1)
    assert loose.epochs_to_tolerance is not None
    assert usual.epochs_to_tolerance is not None
    assert loose.epochs_to_tolerance < usual.epochs_to_tolerance
    assert "within 10%" in str(loose)


def named_in_the_code() -> set[str]:
    """The names that findings are given, however the code hands them on."""
    forms = [
        r'(?:[Ff]inding|make|[Hh]ypothesis|UpdateBug|_from_descent)\)?\(\s*(?:\w+,\s+)?"(\w+)"',
        r'name = \(?\s*"(\w+)"',
        r'else \(?"((?:losses|observed)_\w+)"',
    ]
    code = [path.read_text("utf-8") for path in DOCS.parent.rglob("*.py")]
    names = {name for form in forms for text in code for name in re.findall(form, text)} - {"notice"}
    return names | {rule.name for rule in (*RULES, *FALLBACK_RULES)}


def test_every_finding_has_its_page_and_every_page_its_finding() -> None:
    names = named_in_the_code()
    assert len(names) > 50
    for suffix in (".md", ".ko.md"):
        pages = {path.name.removesuffix(suffix) for path in DOCS.glob(f"*{suffix}")}
        assert {page for page in pages if "." not in page} - {"README"} == names, suffix


def test_findings_say_what_they_weigh_and_rest_on() -> None:
    found = diagnosed(dl.Problem(X, y), lr=0.1)
    first = found.findings[0]
    assert (first.name, first.severity, first.topic) == ("diverges", Severity.PROBLEM, "run")
    assert first.reference is not None
    assert all(finding.messages for finding in found.findings)
    assert repr(found).startswith("Diagnosis(diverges, lr 0.1, bound ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": 0.1}, "nothing to diagnose"),
        ({"problem": [1, 2], "lr": 0.1}, "needs a Problem, not list"),
        ({"problem": LESSON}, "Every rate below 0.214 converges"),
        ({"problem": LESSON, "lr": None}, "Every rate below 0.214 converges"),
        ({"problem": LESSON, "lr": -1}, "must be a positive finite number"),
        ({"problem": LESSON, "lr": 0.1, "start": [1, 2]}, "start has 2 entries, but this problem has 1"),
        ({"problem": LESSON, "lr": 0.1, "start": [np.nan]}, "must be finite numbers"),
        ({"problem": LESSON, "lr": 0.1, "within": 0}, "within = 0 is out of range"),
        ({"problem": LESSON, "lr": 0.1, "losses": [1, 2, 3]}, "either data or --losses"),
        ({"losses": [1, 2, 3], "lr": 0.1, "epochs": 5}, "epochs cannot be used with losses alone"),
        ({"problem": LESSON, "descent": dl.Descent(lr=0.1), "epochs": 5}, "given in addition to a Descent"),
    ],
)
def test_bad_questions_are_answered_with_what_to_ask(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(dl.SettingError, match=re.escape(message)):
        dl.diagnose(**arguments)


def test_rows_with_missing_values_are_refused_by_name() -> None:
    with pytest.raises(dl.DataError, match="Values are missing in 1 row "):
        dl.diagnose(dl.Problem([1, np.nan, 3], [1, 2, 3]), lr=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["timestamps", "offset", "scales"])
def test_the_known_traps(kind: str) -> None:
    """Columns that other tools lose digits on: the verdict and the cure are still exact."""
    x = np.arange(100.0)
    small = rng.normal(size=100)
    columns = {
        "timestamps": 1_700_000_000 + 3600 * x,
        "offset": (1e6 + small).astype(np.float32),
        "scales": 1e9 * small,
    }[kind]
    target = small + 3 if kind != "timestamps" else 2 * x
    found = diagnosed(dl.Problem(np.column_stack([columns, rng.normal(size=100)]), target), lr=0.01)
    assert found.verdict == "diverges"
    standardized = {remedy.name: remedy for remedy in found.remedies}["standardize"]
    assert standardized.epochs is not None
    assert standardized.epochs < 50
    assert standardized.lr_bound == pytest.approx(
        dl.Problem(found.problem.factor, standardize=True).spectrum().lr_bound(), rel=1e-12
    )


@pytest.mark.parametrize("lr", [1e-5, 0.1])
@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param({"optimizer": "Adam"}, marks=needs("torch")), {"schedule": lambda epoch: 0.999**epoch}],
)
def test_a_recommendation_names_its_optimizer_and_enough_epochs(lr: float, settings: dict[str, Any]) -> None:
    """The rate of a recommendation is one of SGD, and may be above the stated one: it isn't called smaller."""
    for epochs in (2, 1000):
        text = str(diagnosed(dl.Problem(X, y), lr=lr, epochs=epochs, **settings).headline.action)
        assert "smaller rate" not in text
        assert ("SGD at the constant rate" in text) == bool(settings) or "No change" in text
        assert ("with at least" in text) == (epochs == 2) or "No change" in text
