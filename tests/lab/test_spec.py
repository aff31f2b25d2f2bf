"""What travels to the page: the factor to all its digits, few rows, and settings that can be shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.data.selection import ColumnSelection
from descentlab.errors import SettingError
from descentlab.lab.spec import make_spec
from descentlab.messages import LANGUAGES
from tests.extras import needs

RNG = np.random.default_rng(7)


def square(content: dict[str, Any]) -> np.ndarray[Any, Any]:
    """C'C from the rows of the triangle, as the page puts it together."""
    k = len(content["columns"])
    C = np.zeros((k, k))
    for i, row in enumerate(content["triangle"]):
        C[i, i:] = row
    return C.T @ C


@pytest.mark.parametrize("weighted", [False, True])
def test_the_triangle_and_the_means_are_those_of_the_rows(weighted: bool) -> None:
    X = RNG.normal(size=(60, 3)) * [1, 100, 1e-3] + [0, 1e4, 5]
    y = X @ [1, 2, 3] + RNG.normal(size=60)
    weights = RNG.integers(1, 4, 60).astype(float) if weighted else None
    content = json.loads(json.dumps(make_spec(dl.Problem(X, y, weights=weights), dl.Descent(lr=0.1))))
    Z, w = np.column_stack([X, y]), np.ones(60) if weights is None else weights
    centred = Z - np.average(Z, axis=0, weights=w)
    np.testing.assert_allclose(content["means"], np.average(Z, axis=0, weights=w), rtol=1e-14)
    size = np.sqrt(np.outer(*[(w[:, None] * centred**2).sum(axis=0)] * 2))
    np.testing.assert_allclose(square(content) / size, centred.T @ (w[:, None] * centred) / size, atol=1e-11)
    assert content["weight"] == w.sum()
    assert [len(row) for row in content["triangle"]] == [4, 3, 2, 1]


def test_the_factor_keeps_all_its_digits() -> None:
    problem = dl.Problem(RNG.normal(size=(900, 2)), RNG.normal(size=900))
    content = json.loads(json.dumps(make_spec(problem)))
    for i, row in enumerate(content["triangle"]):
        assert row == problem.factor.R_centered[1 + i, 1 + i :].tolist()
    assert content["means"] == problem.factor.means.tolist()


@pytest.mark.parametrize(("n", "most"), [(3, 3), (500, 500), (501, 500), (20_000, 500)])
def test_points_are_evenly_spaced_rows_in_their_order(n: int, most: int) -> None:
    content = make_spec(dl.Problem(np.arange(n, dtype=float), 2.0 * np.arange(n)))
    points = np.array(content["points"])
    assert len(points) == most
    assert (points[0, 0], points[-1, 0]) == (0, n - 1)
    np.testing.assert_array_equal(points[:, 1], 2 * points[:, 0])
    assert set(np.diff(points[:, 0])) <= {(n - 1) // (most - 1), -(-(n - 1) // (most - 1))}
    assert content["whole"] is (n <= 500)


def test_points_have_five_digits_unless_they_are_the_rows() -> None:
    few, many = RNG.normal(size=9), RNG.normal(size=900)
    assert [row[0] for row in make_spec(dl.Problem(few, few**2))["points"]] == few.tolist()
    shown = [row[0] for row in make_spec(dl.Problem(many, many**2))["points"]]
    assert all(value == float(f"{value:.5g}") for value in shown)
    np.testing.assert_allclose(shown, many[np.linspace(0, 899, 500).round().astype(int)], rtol=5e-5)


@pytest.mark.parametrize(("weights", "whole"), [([1, 1, 1], True), ([0.5, 1, 1.5], False), ([1, 2, 1], False)])
def test_weighted_rows_are_not_the_whole(weights: list[float], whole: bool) -> None:
    content = make_spec(dl.Problem([1, 2, 3], [1, 2, 4], weights=weights))
    assert content["whole"] is whole
    assert content["points"] == [[1, 1], [2, 2], [3, 4]]


def test_rows_left_out_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("x,y\n" + "".join(f"{i},{'' if i % 3 == 0 else 2 * i}\n" for i in range(3000)))
    content = make_spec(dl.Problem(path, target="y", missing="drop"))
    points = np.array(content["points"])
    assert (len(points), content["rows"]) == (500, 2000)
    assert (points[:, 0] % 3 != 0).all()
    assert (points[0, 0], points[-1, 0]) == (1, 2999)


def test_a_factor_shows_no_points() -> None:
    whole = dl.Problem([1, 2, 3], [1, 2, 4])
    content = make_spec(dl.Problem(whole.factor))
    assert content["points"] == []
    assert content["whole"] is False
    assert content["triangle"] == make_spec(whole)["triangle"]


def test_rows_are_read_once_more_and_no_oftener(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = dl.Problem(np.arange(30_000.0), np.arange(30_000.0) % 7)
    passes, blocks = [], ColumnSelection.blocks

    def counted(self: ColumnSelection) -> Iterator[Any]:
        passes.append(1)
        return blocks(self)

    monkeypatch.setattr(ColumnSelection, "blocks", counted)
    make_spec(problem)
    assert len(passes) == 1
    problem.rows()  # what the sample read is still known: as many rows, none of them dropped
    assert problem.n == 30_000


def test_ten_features_and_five_hundred_points_stay_small() -> None:
    X = RNG.normal(size=(5000, 10)) * 10.0 ** np.arange(-5, 5)
    content = make_spec(dl.Problem(X, RNG.normal(size=5000)), dl.Descent(lr=0.1))
    assert len(json.dumps(content)) < 90_000


@pytest.mark.parametrize("X", [[1e149, -1e149, 0], [1e-139, 2e-139, 0], [5, 5, 5], [0, 1e-300, 1]])
def test_no_number_is_infinite(X: list[float]) -> None:
    content = make_spec(dl.Problem(X, [1.0, 2.0, 4.0]))
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_settings_and_hypothesis_are_those_asked_for() -> None:
    problem = dl.Problem([[1, 2], [3, 5], [5, 4]], [1, 2, 4], ridge=0.5, standardize=True)
    descent = dl.Descent(
        lr=0.3,
        reduction="half_sum",
        epochs=7,
        momentum=0.5,
        nesterov=True,
        weight_decay=0.1,
        start=np.array([1, 2, 3]),
    )
    content = make_spec(problem, descent, "a name")
    assert content["schema"] == "descentlab.lab/1"
    assert content["name"] == "a name"
    assert content["hypothesis"] == {"bias": True, "center": True, "standardize": True, "ridge": 0.5}
    assert content["settings"] == {
        "lr": 0.3,
        "reduction": "half_sum",
        "epochs": 7,
        "momentum": 0.5,
        "dampening": 0.0,
        "nesterov": True,
        "weight_decay": 0.1,
        "zero_grad": True,
        "start": [1.0, 2.0, 3.0],
    }
    with pytest.raises(SettingError, match="start has 1 entry"):
        make_spec(problem, dl.Descent(lr=0.1, start=[1]))


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"reduction": "sum"}, {"weight_decay": 3.0}])
def test_without_a_rate_it_begins_at_half_the_bound(settings: dict[str, Any]) -> None:
    problem = dl.Problem(RNG.normal(size=(30, 2)) * [1, 9], RNG.normal(size=30))
    lr = problem.lab(**settings).spec["settings"]["lr"]
    found = dl.diagnose(problem, lr=lr, **settings)
    assert isinstance(found, dl.Diagnosis)
    assert found.lr_bound is not None
    assert 0.9 * found.lr_bound / 2 <= lr <= found.lr_bound / 2
    assert len(f"{lr:e}".rstrip("0").split("e")[0].rstrip("0").replace(".", "")) <= 2


def test_a_start_or_a_rate_where_nothing_curves() -> None:
    assert dl.Problem([0, 0], [1, 2], bias=False).lab().spec["settings"]["lr"] > 0


def test_the_report_is_told_in_both_languages() -> None:
    found = dl.diagnose(dl.Problem([1, 2, 3], [1, 2, 3], bias=False), lr=0.1, reduction="sum")
    assert isinstance(found, dl.Diagnosis)
    report = found.lab().spec["report"]
    assert report["verdict"] == "diverges"
    told = report["findings"]
    assert [each["name"] for each in told["en"]] == [each.name for each in found.findings]
    assert [each["text"] for each in told["ko"]] == [each.text("ko") for each in found.findings]
    assert told["en"][0]["weight"] == "problem"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_begins_with_the_answer_and_both_tables(lang: str) -> None:
    problem = dl.Problem(RNG.normal(size=(30, 2)) * [1, 90], RNG.normal(size=30))
    found = dl.diagnose(problem, lr=1.0)
    assert isinstance(found, dl.Diagnosis)
    blocks = found.lab(code="numpy").spec["report"]["answer"][lang]
    assert [block["kind"] for block in blocks[:3]] == ["verdict", "text", "code"]
    assert found.headline.answer.text(lang) in blocks[0]["text"]
    assert blocks[2]["text"].startswith("X = (X - X.mean(0)) / X.std(0)\nlr = ")
    assert [len(block["rows"]) for block in blocks if block["kind"] == "table"] == [
        len(found.remedies),
        len(found.rates),
    ]


@pytest.mark.parametrize(
    ("settings", "epochs", "epoch"),
    [
        ({"lr": 0.25, "epochs": 1500}, 13, 5),  # the error grows by 4/3: 1000 times the cost at 12.01, 30 times at 5.91
        ({"lr": 0.15, "epochs": 1500}, 24, 6),  # the error shrinks by 0.4, and is below 1% after 6
        ({"lr": 0.15, "epochs": 3}, 3, 2),  # 5% of the fall is left after ln(0.05) / (2 ln 0.4) = 1.63
    ],
)
def test_it_opens_where_the_curve_can_be_seen(settings: dict[str, Any], epochs: int, epoch: int) -> None:
    found = dl.diagnose(dl.Problem([1, 2, 3], [1, 2, 3], bias=False), **settings)
    assert isinstance(found, dl.Diagnosis)
    assert found.lab().spec["opening"] == f"v=1&n={epochs}&e={epoch}"
    assert found.lab().spec["settings"]["epochs"] == settings["epochs"]  # what was asked for is a click away


@needs("torch")
def test_a_report_says_what_the_page_leaves_out() -> None:
    found = dl.diagnose(dl.Problem([1, 2, 3], [1, 2, 3]), lr=0.1, optimizer="Adam")
    assert isinstance(found, dl.Diagnosis)
    last = found.lab().spec["report"]["findings"]
    assert "optimizer" in last["en"][-1]["text"]
    assert last["en"][-1]["weight"] == last["ko"][-1]["weight"] == "caution"


@pytest.mark.parametrize("settings", [{"schedule": "step:3:0.1"}, {"batch_size": 1}, {"optimizer": "Adam"}])
def test_what_the_page_cannot_show_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"Leave out {next(iter(settings))}"):
        dl.Problem([1, 2, 3], [1, 2, 3]).lab(lr=0.1, **settings)


def test_more_columns_than_the_page_holds_are_refused() -> None:
    with pytest.raises(SettingError, match="There are 151 columns"):
        make_spec(dl.Problem(RNG.normal(size=(200, 150)), RNG.normal(size=200)))
