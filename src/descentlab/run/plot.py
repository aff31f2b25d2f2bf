"""The figure of a run: the cost by epoch, and the cost surface with the path of descent."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from descentlab.messages import format_number, message, pluralize
from descentlab.messages.figures import COST_COLOR, MUTED_COLOR, PATH_COLOR, draw_panels, subsample_indices
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending
from descentlab.run.history import History
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray, IntArray

MAX_PLOTTED_ROWS = 2000
LOG_FROM_RATIO = 10  # the cost's largest value over its smallest, from which on its axis is logarithmic
MIN_LOG_EPOCHS = 100  # fewer epochs are seen on a linear axis,
MAX_FIRST_PART = 0.02  # and so is a fall that takes more than this part of them
MAX_DISTANCE_RATIO = 6.0  # the largest distance from the minimum that is shown, over the starting distance


def plot_run(
    theory: FullBatchTheory,
    history: History,
    params: FloatArray,
    ending: Ending,
    path: str | os.PathLike[str] | None = None,
    lang: str | None = None,
) -> Any:
    """Draw a run; see :meth:`descentlab.Run.plot`.

    Beside the cost by epoch stand the last predictions against the targets, at most 2,000 of them, where the rows can
    still be read. The last panel is the cost's parabola with one parameter, its contours with two, and with more the
    slice through the minimum that is spanned by the steepest and the flattest direction.

    Args:
        theory: of the descent.
        history, params, ending: as in :class:`descentlab.Run`.
        path, lang: as in :meth:`descentlab.Run.plot`.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        SettingError: the file's name does not end in .png, .svg or .pdf.
    """
    shows_rows = theory.problem.has_rows and bool(np.isfinite(params).all())

    def draw(*axes_and_lang: Any) -> None:
        *axes, lang = axes_and_lang
        _plot_cost_by_epoch(axes[0], theory, history, ending, lang)
        if shows_rows:
            _plot_predictions(axes[1], theory.problem, params, lang)
        _plot_cost_surface(axes[-1], theory, np.vstack([history.params, params]), lang)

    return draw_panels(draw, path, lang, 2 + shows_rows)


def _plot_cost_by_epoch(axes: Any, theory: FullBatchTheory, history: History, ending: Ending, lang: str) -> None:
    epoch, cost = history.epoch, history.cost
    if epoch[-1] <= ending.epoch:  # the state after the last update is drawn at the next epoch
        epoch, cost = np.append(epoch, ending.epoch + 1), np.append(cost, ending.cost)
    indices = np.flatnonzero(np.isfinite(cost))
    indices = indices[subsample_indices(len(indices))]
    marker = "o" if len(indices) <= 60 else None
    axes.plot(epoch[indices], cost[indices], color=COST_COLOR, marker=marker, markersize=3.5)
    positive = cost[indices][cost[indices] > 0]
    if positive.size and positive.max() > LOG_FROM_RATIO * positive.min():
        axes.set_yscale("log")
    if _falls_at_once(epoch[indices], cost[indices]):
        axes.set_xscale("log")
    least_cost = ending.least_cost
    if not theory.judges_coefficients() and least_cost < np.inf:
        axes.axhline(least_cost, color=MUTED_COLOR, linestyle="--", linewidth=1)
        label = message("plot.least", cost=theory.rounded_least_cost).text(lang)
        axes.annotate(label, (1, least_cost), (0, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", color=MUTED_COLOR, fontsize=9)  # fmt: skip
    axes.set_title(message("plot.cost").text(lang))
    axes.set_xlabel(message("plot.epoch").text(lang))
    axes.set_ylabel(message("plot.mse").text(lang))


def _falls_at_once(epoch: IntArray, cost: FloatArray) -> bool:
    """Whether most of the change lies in the first few epochs, which only a log axis shows."""
    if len(epoch) < 2 or epoch[-1] < MIN_LOG_EPOCHS:
        return False
    changed = np.flatnonzero(np.abs(cost - cost[0]) >= 0.9 * abs(cost[-1] - cost[0]))
    return bool(cost[-1] < cost[0] and epoch[changed[0]] - epoch[0] <= MAX_FIRST_PART * (epoch[-1] - epoch[0]))


def _plot_predictions(axes: Any, problem: Problem, params: FloatArray, lang: str) -> None:
    """Draw the predictions at parameters in the data's units against the targets."""
    rows = problem.sample_rows(MAX_PLOTTED_ROWS)
    d = len(problem.features)
    with np.errstate(over="ignore", invalid="ignore"):
        predicted = rows.X @ params[:d] + (params[d] if problem.bias else 0.0)
    ends = [float(rows.y.min()), float(rows.y.max())]
    axes.plot(ends, ends, color=MUTED_COLOR, linestyle="--", linewidth=1)
    axes.plot(rows.y, predicted, "o", color=COST_COLOR, markersize=3, alpha=0.6)
    key = "plot.predictions" if len(rows.y) == problem.n else "plot.some_predictions"
    axes.set_title(message(key, shown=len(rows.y), rows=pluralize(problem.n, "row")).text(lang))
    axes.set_xlabel(message("plot.true", target=problem.target).text(lang))
    axes.set_ylabel(message("plot.predicted").text(lang))


def _plot_cost_surface(axes: Any, theory: FullBatchTheory, points: FloatArray, lang: str) -> None:
    """Draw (k, p) parameters in the data's units on the cost."""
    problem = theory.problem
    limit_point = problem.scaling.to_original(theory.limit_point)

    def cost(params: FloatArray) -> FloatArray:
        return problem.quadratic.cost(problem.scaling.to_scaled(params))

    points = points[np.isfinite(points).all(axis=1)]
    points = points[subsample_indices(len(points))]
    axes.set_title(message("plot.path").text(lang))
    if len(limit_point) == 1:
        _plot_parabola(axes, points[:, 0], float(limit_point[0]), lambda W: cost(W[:, None]), lang)
        axes.set_xlabel(f"W ({problem.features[0]})")
    elif len(limit_point) == 2:
        _plot_contours(axes, points, limit_point, problem.parameters, cost, lang)
    else:
        _plot_slice(axes, theory, points, lang)


def _axis_limits(values: FloatArray, center: float) -> tuple[float, float]:
    """Limits that show the start, the minimum, and the first steps of a diverging path."""
    reach = max(MAX_DISTANCE_RATIO * abs(values[0] - center), 1e-3 * abs(center), 1e-12)
    near = values[np.abs(values - center) <= reach]
    low, high = min(near.min(), center), max(near.max(), center)
    margin = 0.12 * (high - low) or 1.0
    return low - margin, high + margin


def _plot_parabola(axes: Any, path: FloatArray, limit_point: float, cost: Any, lang: str) -> None:
    low, high = _axis_limits(path, limit_point)
    reach = max(high - limit_point, limit_point - low)
    W = np.linspace(limit_point - reach, limit_point + reach, 200)
    visible = path[np.abs(path - limit_point) <= reach]
    axes.plot(W, cost(W), color=COST_COLOR, linewidth=1.5)
    axes.plot(visible, cost(visible), color=PATH_COLOR, marker="o", markersize=4, linewidth=1)
    axes.plot(visible[:1], cost(visible[:1]), "o", color="white", markeredgecolor=PATH_COLOR, markersize=8, zorder=3)
    start = visible[0], cost(visible[:1])[0]
    axes.annotate(message("plot.start").text(lang), start, (7, 4), textcoords="offset points", color=PATH_COLOR)
    axes.annotate(
        message("plot.minimum_at", value=limit_point).text(lang), (limit_point, cost(np.array([limit_point]))[0]), (0,
        -14), textcoords="offset points", ha="center", color=MUTED_COLOR, annotation_clip=False,
    )  # fmt: skip
    axes.set_ylim(bottom=-0.08 * float(cost(W).max()))
    axes.set_ylabel(message("plot.mse").text(lang))


def _plot_contours(
    axes: Any, path: FloatArray, limit_point: FloatArray, names: tuple[str, ...], cost: Any, lang: str
) -> None:
    x0, x1 = _axis_limits(path[:, 0], float(limit_point[0]))
    y0, y1 = _axis_limits(path[:, 1], float(limit_point[1]))
    grid = np.stack(np.meshgrid(np.linspace(x0, x1, 120), np.linspace(y0, y1, 120)), axis=-1)
    # Levels at equal steps of the root of the cost, which is a distance: evenly spaced rings.
    height = np.sqrt(np.maximum(cost(grid) - cost(limit_point), 0.0))
    axes.contour(grid[..., 0], grid[..., 1], height, levels=12, colors=COST_COLOR, linewidths=0.7, alpha=0.6)
    axes.plot(path[:, 0], path[:, 1], color="white", linewidth=3)
    marker = "o" if len(path) <= 100 else None
    axes.plot(path[:, 0], path[:, 1], color=PATH_COLOR, linewidth=1.2, marker=marker, markersize=3)
    axes.plot(*path[0], "o", color="white", markeredgecolor=PATH_COLOR, markersize=8)
    axes.plot(*limit_point, "+", color="black", markersize=10)
    axes.annotate(message("plot.start").text(lang), path[0], (7, 5), textcoords="offset points", color=PATH_COLOR)
    axes.annotate(message("plot.minimum").text(lang), limit_point, (7, -12), textcoords="offset points", color="black")
    axes.set_xlim(x0, x1)
    axes.set_ylim(y0, y1)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])


def _plot_slice(axes: Any, theory: FullBatchTheory, points: FloatArray, lang: str) -> None:
    problem, spectrum = theory.problem, theory.spectrum
    flattest = max(spectrum.rank - 1, 1)
    V = spectrum.directions[:, [0, flattest]]
    coordinates = (problem.scaling.to_scaled(points) - theory.limit_point) @ V

    def cost(offsets: FloatArray) -> FloatArray:
        return problem.quadratic.cost(theory.limit_point + offsets @ V.T)

    def label(key: str, i: int) -> str:
        curvature = format_number(float(spectrum.eigenvalues[i]))
        return message(key, column=spectrum.dominant_parameter(i), curvature=curvature).text(lang)

    labels = label("plot.steepest", 0), label("plot.flattest", flattest)
    _plot_contours(axes, coordinates, np.zeros(2), labels, cost, lang)
