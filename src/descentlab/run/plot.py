"""Pictures of a run: the cost by epoch, beside the cost itself with the path that descent took on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.errors import SettingError, require
from descentlab.messages import language, number, sentence
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array

if TYPE_CHECKING:
    from descentlab.run.run import Run


DESCENT, COST, QUIET = "#D55E00", "#0072B2", "#666666"  # Okabe and Ito's vermilion and blue, and a grey
MOST_POINTS = 2000  # of a path; more cannot be told apart
PICTURES = (".png", ".svg", ".pdf")
WIDEST = 6.0  # how many times the starting distance from the minimum a picture shows
HANGUL = ("Pretendard", "Noto Sans KR", "Noto Sans CJK KR", "Noto Sans CJK JP", "NanumGothic", "Malgun Gothic")


def plot(run: Run, path: str | os.PathLike[str] | None = None, lang: str | None = None) -> Any:
    """Draw a run; see :meth:`descentlab.Run.plot`.

    With one parameter the right panel is the cost's parabola, with two its contours. With more it is the
    slice through the minimum that the steepest and the flattest direction span.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        SettingError: the file's name ends in something other than .png, .svg or .pdf.
    """
    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise SettingError("plot_format", path=str(path))
    matplotlib = require("matplotlib", "matplotlib", "plot", "plot")
    from matplotlib.figure import Figure

    lang, family = _language_and_font(lang or language())
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
        _cost_by_epoch(left, run, lang)
        _path(right, run, lang)
        if path is not None:
            figure.savefig(path, dpi=150)
    return figure


def _language_and_font(lang: str) -> tuple[str, list[str]]:
    """A font that has the language's letters; English where no Korean font is installed."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    korean = [name for name in HANGUL if name in installed][:1]  # beside English too: columns may have Korean names
    if lang != "ko":
        return lang, ["DejaVu Sans", *korean]
    return ("ko", [*korean, "DejaVu Sans"]) if korean else ("en", ["DejaVu Sans"])


def _thin(count: int) -> Any:
    """Indices of at most MOST_POINTS of ``count`` points, the last one among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def _cost_by_epoch(axes: Any, run: Run, lang: str) -> None:
    epoch, cost = run.history.epoch, run.history.cost
    if epoch[-1] <= run.ending.epoch:  # the state after the last update stands where its epoch would
        epoch, cost = np.append(epoch, run.ending.epoch + 1), np.append(cost, run.cost)
    kept = np.flatnonzero(np.isfinite(cost))
    kept = kept[_thin(len(kept))]
    axes.plot(epoch[kept], cost[kept], color=COST, marker="o" if len(kept) <= 60 else None, markersize=3.5)
    positive = cost[kept][cost[kept] > 0]
    if positive.size and positive.max() > 100 * positive.min():
        axes.set_yscale("log")
    least = run.ending.least_cost
    if not Theory(run.problem, run.descent).fits_exactly and least < np.inf:
        axes.axhline(least, color=QUIET, linestyle="--", linewidth=1)
        words = sentence("plot.least", cost=least).text(lang)
        axes.annotate(words, (1, least), (0, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", color=QUIET, fontsize=9)  # fmt: skip
    axes.set_title(sentence("plot.cost").text(lang))
    axes.set_xlabel(sentence("plot.epoch").text(lang))
    axes.set_ylabel(sentence("plot.mse").text(lang))


def _path(axes: Any, run: Run, lang: str) -> None:
    theory = Theory(run.problem, run.descent)
    goal = run.problem.coordinates.to_units(theory.destination)
    points = np.vstack([run.history.params, run.params])
    points = points[np.isfinite(points).all(axis=1)]
    points = points[_thin(len(points))]
    axes.set_title(sentence("plot.path").text(lang))
    if len(goal) == 1:
        _parabola(axes, run, points[:, 0], float(goal[0]), lang)
    elif len(goal) == 2:
        _contours(
            axes,
            points,
            goal,
            run.problem.parameters,
            lambda at: run.problem.quadratic.cost(run.problem.coordinates.from_units(at)),
            lang,
        )
    else:
        _slice(axes, run, theory, points, lang)


def _frame(values: Array, goal: float) -> tuple[float, float]:
    """Limits that show the start, the goal, and of a diverging path its first steps."""
    reach = max(WIDEST * abs(values[0] - goal), 1e-3 * abs(goal), 1e-12)
    near = values[np.abs(values - goal) <= reach]
    low, high = min(near.min(), goal), max(near.max(), goal)
    margin = 0.12 * (high - low) or 1.0
    return low - margin, high + margin


def _parabola(axes: Any, run: Run, path: Array, goal: float, lang: str) -> None:
    low, high = _frame(path, goal)
    reach = max(high - goal, goal - low)
    W = np.linspace(goal - reach, goal + reach, 200)

    def cost(at: Array) -> Array:
        return run.problem.quadratic.cost(run.problem.coordinates.from_units(at[:, None]))

    seen = path[np.abs(path - goal) <= reach]
    axes.plot(W, cost(W), color=COST, linewidth=1.5)
    axes.plot(seen, cost(seen), color=DESCENT, marker="o", markersize=4, linewidth=1)
    axes.plot(seen[:1], cost(seen[:1]), "o", color="white", markeredgecolor=DESCENT, markersize=8, zorder=3)
    axes.annotate(
        sentence("plot.start").text(lang),
        (seen[0], cost(seen[:1])[0]),
        (7, 4),
        textcoords="offset points",
        color=DESCENT,
    )
    axes.annotate(
        sentence("plot.minimum_at", value=goal).text(lang), (goal, cost(np.array([goal]))[0]), (0, -14),
        textcoords="offset points", ha="center", color=QUIET, annotation_clip=False,
    )  # fmt: skip
    axes.set_ylim(bottom=-0.08 * float(cost(W).max()))
    axes.set_xlabel(f"W ({run.problem.features[0]})")
    axes.set_ylabel(sentence("plot.mse").text(lang))


def _contours(axes: Any, path: Array, goal: Array, names: tuple[str, ...], cost: Any, lang: str) -> None:
    (x0, x1), (y0, y1) = _frame(path[:, 0], float(goal[0])), _frame(path[:, 1], float(goal[1]))
    grid = np.stack(np.meshgrid(np.linspace(x0, x1, 120), np.linspace(y0, y1, 120)), axis=-1)
    # Equal steps of the distance, not of the cost: rings that are as far apart as in the parabola's root.
    height = np.sqrt(np.maximum(cost(grid) - cost(goal), 0.0))
    axes.contour(grid[..., 0], grid[..., 1], height, levels=12, colors=COST, linewidths=0.7, alpha=0.6)
    axes.plot(path[:, 0], path[:, 1], color="white", linewidth=3)
    marker = "o" if len(path) <= 100 else None
    axes.plot(path[:, 0], path[:, 1], color=DESCENT, linewidth=1.2, marker=marker, markersize=3)
    axes.plot(*path[0], "o", color="white", markeredgecolor=DESCENT, markersize=8)
    axes.plot(*goal, "+", color="black", markersize=10)
    axes.annotate(sentence("plot.start").text(lang), path[0], (7, 5), textcoords="offset points", color=DESCENT)
    axes.annotate(sentence("plot.minimum").text(lang), goal, (7, -12), textcoords="offset points", color="black")
    axes.set_xlim(x0, x1)
    axes.set_ylim(y0, y1)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])


def _slice(axes: Any, run: Run, theory: Theory, points: Array, lang: str) -> None:
    spectrum = theory.spectrum
    last = max(spectrum.rank - 1, 1)
    V = spectrum.directions[:, [0, last]]
    flat = (run.problem.coordinates.from_units(points) - theory.destination) @ V

    def cost(at: Array) -> Array:
        return run.problem.quadratic.cost(theory.destination + at @ V.T)

    labels = tuple(
        sentence(key, column=spectrum.column(i), curvature=number(float(spectrum.eigenvalues[i]))).text(lang)
        for key, i in (("plot.steepest", 0), ("plot.flattest", last))
    )
    _contours(axes, flat, np.zeros(2), labels, cost, lang)
