"""The figure of a fit: predictions against targets, residuals against predictions, intervals of the weights."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from descentlab.messages import Message, message, pluralize
from descentlab.messages.figures import COST_COLOR, MUTED_COLOR, PATH_COLOR, draw_panels
from descentlab.problem.regression import Regression
from descentlab.typing import FloatArray

MAX_DRAWN_ROWS = 2000
MAX_DRAWN_WEIGHTS, MAX_LARGE_NAMES = 30, 16  # more names cannot be read, or not in the usual size


def plot_fit(
    regression: Regression,
    parameters: tuple[str, ...],
    params: FloatArray,
    interval: FloatArray,
    heading: Message,
    path: str | os.PathLike[str] | None,
    lang: str | None,
) -> Any:
    """Draw a fit; see :meth:`descentlab.problem.statistics.Statistics.plot`.

    Weights have different units, so each is drawn times its column's standard deviation: the change of the target
    when the feature changes by one standard deviation. Of many weights the 30 largest of these are drawn.

    Args:
        regression, parameters, params: of the fit.
        interval: (p, 2), nan where there is none.
        heading: of the intervals.
        path, lang: as in :func:`descentlab.messages.figures.draw_panels`.
    """

    def draw(*axes_and_lang: Any) -> None:
        *axes, lang = axes_and_lang
        if regression.selection is not None:
            _draw_rows(axes[0], axes[1], regression, params, lang)
        _draw_intervals(axes[-1], regression, parameters, params, interval, lang)
        axes[-1].set_title(heading.text(lang))

    return draw_panels(draw, path, lang, 1 if regression.selection is None else 3)


def _draw_rows(left: Any, right: Any, regression: Regression, params: FloatArray, lang: str) -> None:
    assert regression.selection is not None
    values, _ = regression.selection.sample_rows(MAX_DRAWN_ROWS)
    d, y = regression.d, values[:, -1]
    centers = regression.factor.means if regression.bias else np.zeros(d + 1)
    predicted = centers[d] + (values[:, :-1] - centers[:d]) @ params[:d]
    ends = [float(y.min()), float(y.max())]
    left.plot(ends, ends, color=MUTED_COLOR, linestyle="--", linewidth=1)
    left.plot(y, predicted, "o", color=COST_COLOR, markersize=3, alpha=0.6)
    rows = regression.factor.rows
    key = "plot.predictions" if len(y) == rows else "plot.some_predictions"
    left.set_title(message(key, shown=len(y), rows=pluralize(rows, "row")).text(lang))
    left.set_xlabel(message("plot.true", target=regression.factor.columns[-1]).text(lang))
    left.set_ylabel(message("plot.predicted").text(lang))
    right.axhline(0, color=MUTED_COLOR, linestyle="--", linewidth=1)
    right.plot(predicted, y - predicted, "o", color=COST_COLOR, markersize=3, alpha=0.6)
    right.set_title(message("plot.residuals").text(lang))
    right.set_xlabel(message("plot.predicted").text(lang))
    right.set_ylabel(message("plot.residual").text(lang))


def _draw_intervals(
    axes: Any, regression: Regression, parameters: tuple[str, ...], params: FloatArray, interval: FloatArray, lang: str
) -> None:
    d, units = regression.d, regression.factor.std[: regression.d]
    effects = np.where(regression.is_determined[:d], params[:d] * units, np.nan)
    shown = np.sort(np.argsort(-np.nan_to_num(np.abs(effects)), kind="stable")[:MAX_DRAWN_WEIGHTS])
    places = np.arange(len(shown))[::-1]
    axes.axvline(0, color=MUTED_COLOR, linestyle="--", linewidth=1)
    axes.plot(effects[shown], places, "o", color=PATH_COLOR, markersize=4)
    axes.hlines(places, *(interval[shown] * units[shown, None]).T, color=COST_COLOR, linewidth=2)
    axes.set_yticks(places, [parameters[j] for j in shown], fontsize=10 if len(shown) <= MAX_LARGE_NAMES else 7)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    label = message("plot.effect", target=regression.factor.columns[-1]).text(lang)
    if len(shown) < d:
        label += "\n" + message("plot.some_weights", shown=len(shown), count=d).text(lang)
    axes.set_xlabel(label)
