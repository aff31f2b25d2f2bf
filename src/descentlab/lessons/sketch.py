"""A figure drawn with letters: points in a grid, with what the axes run between."""

from __future__ import annotations

import math
from collections.abc import Sequence

from descentlab.lessons.facts.kinds import Figure

WIDTH, HEIGHT = 60, 14  # letters
NEARLY = 0.02  # of the height: what begins so near 0 begins there
SIGNS = "·●○"  # of the first curve, the second, the third


def sketch(figure: Figure) -> str:
    """The figure's curves in a frame of letters; later curves lie above earlier ones.

    >>> line = Figure("", (), [[(0, 0), (1, 1)]], ("x", "y"))
    >>> print(sketch(line).splitlines()[1].rstrip())
           1 │                                                           ·
    """
    curves = heights(figure)
    (low_x, high_x), (low_y, high_y) = extent(curves)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for sign, curve in zip(SIGNS, curves, strict=False):
        for x, y in curve:
            across = round((x - low_x) / (high_x - low_x) * (WIDTH - 1))
            up = round((y - low_y) / (high_y - low_y) * (HEIGHT - 1))
            grid[HEIGHT - 1 - up][across] = sign
    ends = [10**value if figure.log else value for value in (high_y, low_y)]
    labels = [f"{ends[0]:.3g}", *[""] * (HEIGHT - 2), f"{ends[1]:.3g}"]
    rows = [f"{label:>8} │{''.join(line)}" for label, line in zip(labels, grid, strict=True)]
    left, right = f"{low_x:.3g}", f"{high_x:.3g}"
    below = f"{'':>9}{left}{figure.axes[0]:^{WIDTH - len(left) - len(right)}}{right}"
    return "\n".join([f"{figure.axes[1]:>8}", *rows, f"{'':>8} └{'─' * WIDTH}", below])


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
