"""A figure drawn with letters: points in a grid, with what the axes run between."""

from __future__ import annotations

import math
from collections.abc import Sequence

from descentlab.lessons.facts.types import Figure
from descentlab.messages import padded, sentence, width

WIDTH, HEIGHT = 60, 14  # letters
NEARLY = 0.02  # of the height: what begins so near 0 begins there
SIGNS = "·●○"  # of the first curve, the second, the third


def sketch(figure: Figure, lang: str) -> str:
    """The figure's curves in a frame of letters; later curves lie above earlier ones.

    >>> line = Figure("", (), [[(0, 0), (1, 1)]], ("x", "y"))
    >>> print(sketch(line, "en").splitlines()[1].rstrip())
           1 │                                                           ·
    """
    curves = heights(figure)
    (low_x, high_x), (low_y, high_y) = extent(curves)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for sign, curve in zip(SIGNS, curves, strict=False):
        for x, y in curve:
            column = round((x - low_x) / (high_x - low_x) * (WIDTH - 1))
            line = round((y - low_y) / (high_y - low_y) * (HEIGHT - 1))
            grid[HEIGHT - 1 - line][column] = sign
    ends = [10**value if figure.log else value for value in (high_y, low_y)]
    labels = [f"{ends[0]:.3g}", *[""] * (HEIGHT - 2), f"{ends[1]:.3g}"]
    rows = [f"{label:>8} │{''.join(row)}" for label, row in zip(labels, grid, strict=True)]
    left, right = f"{low_x:.3g}", f"{high_x:.3g}"
    across, up = axes(figure, lang)
    room = WIDTH - len(left) - len(right) - width(across)
    below = f"{'':>9}{left}{' ' * (room // 2)}{across}{' ' * (room - room // 2)}{right}"
    return "\n".join([padded(up, 8, right=True), *rows, f"{'':>8} └{'─' * WIDTH}", below])


def axes(figure: Figure, lang: str) -> tuple[str, str]:
    """What the axes are called: a parameter by its name, everything else in words."""
    words = {key: sentence(f"lesson.axis.{key}").text(lang) for key in ("epoch", "cost")}
    across, up = (words.get(name, name) for name in figure.axes)
    return across, up


def heights(figure: Figure) -> list[list[tuple[float, float]]]:
    """The curves as they are drawn: on a logarithmic scale a height is a power of ten."""
    height = math.log10 if figure.log else float
    return [[(x, height(y)) for x, y in curve] for curve in figure.curves]


def extent(curves: Sequence[Sequence[tuple[float, float]]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where x runs, and y."""
    points = [point for curve in curves for point in curve]
    across, (low, high) = (_span([point[i] for point in points]) for i in range(2))
    return across, (0.0 if 0 < low < NEARLY * high else low, high)


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)
