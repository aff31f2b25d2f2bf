"""Pictures: the right panels, the right points, files that open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from descentlab.data.builtin import LONGLEY
from tests.extras import needs

pytestmark = needs("matplotlib")

LESSON = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)


def test_the_parabola_carries_the_path() -> None:
    run = dl.descend(LESSON, lr=0.15, epochs=10)
    cost, _, path = run.plot().axes
    np.testing.assert_allclose(cost.lines[0].get_ydata()[:10], run.history.cost)
    parabola, steps = path.lines[:2]
    W = parabola.get_xdata()
    np.testing.assert_allclose(parabola.get_ydata(), 14 / 3 * (W - 1) ** 2, atol=1e-12)
    np.testing.assert_allclose(steps.get_xdata()[:10], run.history.params[:, 0])
    start, minimum = path.texts
    assert start.xy == pytest.approx((run.history.params[0, 0], run.history.cost[0]))
    assert minimum.xy == pytest.approx((1, 0), abs=1e-12)


def test_contours_for_two_parameters() -> None:
    run = dl.descend(dl.Problem([1.0, 2, 3], [1.0, 2, 4]), lr=0.1, epochs=30)
    _, _, path = run.plot().axes
    assert (path.get_xlabel(), path.get_ylabel()) == ("x", "bias")
    np.testing.assert_allclose(path.lines[1].get_xdata()[:30], run.history.params[:, 0])


def test_a_slice_for_more() -> None:
    run = dl.descend(dl.Problem(LONGLEY, target="employed", standardize=True), lr=0.2, epochs=50)
    _, _, path = run.plot().axes
    assert "steepest" in path.get_xlabel()
    assert "flattest" in path.get_ylabel()


def test_predictions_stand_against_the_targets_where_there_are_rows() -> None:
    X, y = np.arange(5000.0), 2 * np.arange(5000.0) + 1
    problem = dl.Problem(X, y, standardize=True)
    predictions = dl.descend(problem, lr=0.5, epochs=3).plot(lang="en").axes[1]
    line, points = predictions.lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 9999])
    np.testing.assert_allclose(points.get_ydata(), points.get_xdata(), rtol=1e-9)  # one update is enough
    assert 1000 < len(points.get_xdata()) <= 2000
    assert "of 5,000 rows" in predictions.get_title(loc="left")
    without_rows = dl.descend(dl.Problem(problem.factor), lr=1e-9, epochs=3).plot()
    assert len(without_rows.axes) == 2


@pytest.mark.parametrize(
    ("lr", "epochs", "scales"),
    [
        (0.15, 10, ("linear", "log")),
        (0.001, 20, ("linear", "linear")),
        (0.05, 3, ("linear", "log")),
        (0.05, 1000, ("log", "log")),
    ],
)
def test_axes_are_logarithmic_where_the_cost_falls_by_decades(lr: float, epochs: int, scales: tuple[str, str]) -> None:
    axes = dl.descend(LESSON, lr=lr, epochs=epochs).plot().axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == scales


def test_a_diverging_path_leaves_the_frame_without_blowing_it_up() -> None:
    run = dl.descend(LESSON, lr=0.1, reduction="sum", epochs=20)
    _, _, path = run.plot().axes
    assert path.get_xlim()[1] < 50


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    dl.descend(LESSON, lr=0.15, epochs=10).plot(path)
    magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(magic)


def test_words_follow_the_language_where_a_font_has_its_letters() -> None:
    from matplotlib import font_manager

    from descentlab.messages.figures import KOREAN_FONTS

    has_font = any(font.name in KOREAN_FONTS for font in font_manager.fontManager.ttflist)
    title = dl.descend(LESSON, lr=0.15, epochs=10).plot(lang="ko").axes[0].get_title(loc="left")
    assert title == ("에포크별 비용" if has_font else "Cost by epoch")
