"""A figure drawn with letters: points in a grid, with what the axes run between."""

from __future__ import annotations

import math
from collections.abc import Sequence

from descentlab.lessons.facts.types import LessonFigure
from descentlab.messages import display_width, message, pad

TEXT_PLOT_WIDTH, TEXT_PLOT_HEIGHT = 60, 14  # letters
ZERO_BASELINE_RATIO = 0.02  # of the height: what begins so near 0 begins there
CURVE_CHARACTERS = "·●○"  # of the first curve, the second, the third


def render_text_plot(figure: LessonFigure, lang: str) -> str:
    """The figure's curves in a frame of letters; later curves lie above earlier ones.

    >>> line = LessonFigure("", (), [[(0, 0), (1, 1)]], ("x", "y"))
    >>> print(render_text_plot(line, "en").splitlines()[1].rstrip())
           1 │                                                           ·
    """
    curves = transformed_curves(figure)
    (low_x, high_x), (low_y, high_y) = data_limits(curves)
    grid = [[" "] * TEXT_PLOT_WIDTH for _ in range(TEXT_PLOT_HEIGHT)]
    for sign, curve in zip(CURVE_CHARACTERS, curves, strict=False):
        for x, y in curve:
            column = round((x - low_x) / (high_x - low_x) * (TEXT_PLOT_WIDTH - 1))
            line = round((y - low_y) / (high_y - low_y) * (TEXT_PLOT_HEIGHT - 1))
            grid[TEXT_PLOT_HEIGHT - 1 - line][column] = sign
    ends = [10**value if figure.log else value for value in (high_y, low_y)]
    labels = [f"{ends[0]:.3g}", *[""] * (TEXT_PLOT_HEIGHT - 2), f"{ends[1]:.3g}"]
    rows = [f"{label:>8} │{''.join(row)}" for label, row in zip(labels, grid, strict=True)]
    left, right = f"{low_x:.3g}", f"{high_x:.3g}"
    x_label, y_label = axis_labels(figure, lang)
    padding = TEXT_PLOT_WIDTH - len(left) - len(right) - display_width(x_label)
    x_axis = f"{'':>9}{left}{' ' * (padding // 2)}{x_label}{' ' * (padding - padding // 2)}{right}"
    return "\n".join([pad(y_label, 8, align_right=True), *rows, f"{'':>8} └{'─' * TEXT_PLOT_WIDTH}", x_axis])


def axis_labels(figure: LessonFigure, lang: str) -> tuple[str, str]:
    """What the axes are called: a parameter by its name, everything else in words."""
    labels = {key: message(f"lesson.axis.{key}").text(lang) for key in ("epoch", "cost")}
    x_label, y_label = (labels.get(name, name) for name in figure.axes)
    return x_label, y_label


def transformed_curves(figure: LessonFigure) -> list[list[tuple[float, float]]]:
    """The curves as they are drawn: on a logarithmic scale a height is a power of ten."""
    transform = math.log10 if figure.log else float
    return [[(x, transform(y)) for x, y in curve] for curve in figure.curves]


def data_limits(curves: Sequence[Sequence[tuple[float, float]]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where x runs, and y."""
    points = [point for curve in curves for point in curve]
    x_limits, (low, high) = (_value_range([point[i] for point in points]) for i in range(2))
    return x_limits, (0.0 if 0 < low < ZERO_BASELINE_RATIO * high else low, high)


def _value_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)
