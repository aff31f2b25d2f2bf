"""Pictures of a run: the cost by epoch, beside the cost itself with the path that descent took on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.dependencies import require
from descentlab.errors import SettingError
from descentlab.messages import current_language, format_number, message
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

if TYPE_CHECKING:
    from descentlab.run.run import Run


PATH_COLOR, COST_COLOR, MUTED_COLOR = "#D55E00", "#0072B2", "#666666"  # Okabe and Ito's vermilion and blue, and a grey
MAX_PATH_POINTS = 2000  # of a path; more cannot be told apart
FIGURE_FORMATS = (".png", ".svg", ".pdf")
MAX_DISTANCE_RATIO = 6.0  # how many times the starting distance from the minimum a picture shows
KOREAN_FONTS = ("Pretendard", "Noto Sans KR", "Noto Sans CJK KR", "Noto Sans CJK JP", "NanumGothic", "Malgun Gothic")


def plot_run(run: Run, path: str | os.PathLike[str] | None = None, lang: str | None = None) -> Any:
    """Draw a run; see :meth:`descentlab.Run.plot_run`.

    With one parameter the right panel is the cost's parabola, with two its contours. With more it is the
    slice through the minimum that the steepest and the flattest direction span.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        SettingError: the file's name ends in something other than .png, .svg or .pdf.
    """
    if path is not None and Path(path).suffix.lower() not in FIGURE_FORMATS:
        raise SettingError("plot_format", path=str(path))
    matplotlib = require("matplotlib", "matplotlib", "plot", "plot")
    from matplotlib.figure import Figure

    lang, family = choose_language_and_fonts(lang or current_language())
    style = {
        "font.family": family,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.unicode_minus": False,
        "svg.fonttype": "none",
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        _plot_cost_by_epoch(left, run, lang)
        _plot_cost_surface(right, run, lang)
        if path is not None:
            figure.savefig(path, dpi=150)
    return figure


def choose_language_and_fonts(lang: str) -> tuple[str, list[str]]:
    """A font that has the language's letters; English where no Korean font is installed."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    korean = [name for name in KOREAN_FONTS if name in installed][
        :1
    ]  # beside English too: columns may have Korean names
    if lang != "ko":
        return lang, ["DejaVu Sans", *korean]
    return ("ko", [*korean, "DejaVu Sans"]) if korean else ("en", ["DejaVu Sans"])


def _subsample_indices(count: int) -> Any:
    """Indices of at most MOST_POINTS of ``count`` points, the last one among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_PATH_POINTS)).astype(int))


def _plot_cost_by_epoch(axes: Any, run: Run, lang: str) -> None:
    epoch, cost = run.history.epoch, run.history.cost
    if epoch[-1] <= run.ending.epoch:  # the state after the last update stands where its epoch would
        epoch, cost = np.append(epoch, run.ending.epoch + 1), np.append(cost, run.cost)
    indices = np.flatnonzero(np.isfinite(cost))
    indices = indices[_subsample_indices(len(indices))]
    axes.plot(
        epoch[indices], cost[indices], color=COST_COLOR, marker="o" if len(indices) <= 60 else None, markersize=3.5
    )
    positive = cost[indices][cost[indices] > 0]
    if positive.size and positive.max() > 100 * positive.min():
        axes.set_yscale("log")
    least_cost = run.ending.least_cost
    if not FullBatchTheory(run.problem, run.descent).fits_exactly and least_cost < np.inf:
        axes.axhline(least_cost, color=MUTED_COLOR, linestyle="--", linewidth=1)
        label = message("plot.least", cost=least_cost).text(lang)
        axes.annotate(label, (1, least_cost), (0, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", color=MUTED_COLOR, fontsize=9)  # fmt: skip
    axes.set_title(message("plot.cost").text(lang))
    axes.set_xlabel(message("plot.epoch").text(lang))
    axes.set_ylabel(message("plot.mse").text(lang))


def _plot_cost_surface(axes: Any, run: Run, lang: str) -> None:
    theory = FullBatchTheory(run.problem, run.descent)
    limit_point = run.problem.scaling.to_original(theory.limit_point)
    points = np.vstack([run.history.params, run.params])
    points = points[np.isfinite(points).all(axis=1)]
    points = points[_subsample_indices(len(points))]
    axes.set_title(message("plot.path").text(lang))
    if len(limit_point) == 1:
        _plot_parabola(axes, run, points[:, 0], float(limit_point[0]), lang)
    elif len(limit_point) == 2:
        _plot_contours(
            axes,
            points,
            limit_point,
            run.problem.parameters,
            lambda params: run.problem.quadratic.cost(run.problem.scaling.to_scaled(params)),
            lang,
        )
    else:
        _plot_slice(axes, run, theory, points, lang)


def _axis_limits(values: FloatArray, center: float) -> tuple[float, float]:
    """Limits that show the start, the goal, and of a diverging path its first steps."""
    reach = max(MAX_DISTANCE_RATIO * abs(values[0] - center), 1e-3 * abs(center), 1e-12)
    near = values[np.abs(values - center) <= reach]
    low, high = min(near.min(), center), max(near.max(), center)
    margin = 0.12 * (high - low) or 1.0
    return low - margin, high + margin


def _plot_parabola(axes: Any, run: Run, path: FloatArray, limit_point: float, lang: str) -> None:
    low, high = _axis_limits(path, limit_point)
    reach = max(high - limit_point, limit_point - low)
    W = np.linspace(limit_point - reach, limit_point + reach, 200)

    def cost(weight: FloatArray) -> FloatArray:
        return run.problem.quadratic.cost(run.problem.scaling.to_scaled(weight[:, None]))

    visible = path[np.abs(path - limit_point) <= reach]
    axes.plot(W, cost(W), color=COST_COLOR, linewidth=1.5)
    axes.plot(visible, cost(visible), color=PATH_COLOR, marker="o", markersize=4, linewidth=1)
    axes.plot(visible[:1], cost(visible[:1]), "o", color="white", markeredgecolor=PATH_COLOR, markersize=8, zorder=3)
    axes.annotate(
        message("plot.start").text(lang),
        (visible[0], cost(visible[:1])[0]),
        (7, 4),
        textcoords="offset points",
        color=PATH_COLOR,
    )
    axes.annotate(
        message("plot.minimum_at", value=limit_point).text(lang), (limit_point, cost(np.array([limit_point]))[0]), (0,
        -14), textcoords="offset points", ha="center", color=MUTED_COLOR, annotation_clip=False,
    )  # fmt: skip
    axes.set_ylim(bottom=-0.08 * float(cost(W).max()))
    axes.set_xlabel(f"W ({run.problem.features[0]})")
    axes.set_ylabel(message("plot.mse").text(lang))


def _plot_contours(
    axes: Any, path: FloatArray, limit_point: FloatArray, names: tuple[str, ...], cost: Any, lang: str
) -> None:
    (x0, x1), (y0, y1) = (
        _axis_limits(path[:, 0], float(limit_point[0])),
        _axis_limits(path[:, 1], float(limit_point[1])),
    )
    grid = np.stack(np.meshgrid(np.linspace(x0, x1, 120), np.linspace(y0, y1, 120)), axis=-1)
    # Equal steps of the distance, not of the cost: rings that are as far apart as in the parabola's root.
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


def _plot_slice(axes: Any, run: Run, theory: FullBatchTheory, points: FloatArray, lang: str) -> None:
    spectrum = theory.spectrum
    flattest = max(spectrum.rank - 1, 1)
    V = spectrum.directions[:, [0, flattest]]
    coordinates = (run.problem.scaling.to_scaled(points) - theory.limit_point) @ V

    def cost(offsets: FloatArray) -> FloatArray:
        return run.problem.quadratic.cost(theory.limit_point + offsets @ V.T)

    labels = tuple(
        message(
            key, column=spectrum.dominant_parameter(i), curvature=format_number(float(spectrum.eigenvalues[i]))
        ).text(lang)
        for key, i in (("plot.steepest", 0), ("plot.flattest", flattest))
    )
    _plot_contours(axes, coordinates, np.zeros(2), labels, cost, lang)
