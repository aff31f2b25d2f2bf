"""Several runs in one picture, as SVG: what a live figure, which has one run, cannot show.

Dots, discs and rings as in the terminal's sketch, so that one caption is true of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from descentlab.lessons.facts.types import Figure
from descentlab.lessons.render.text_plot import axes, extent, heights
from descentlab.messages import number

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 552, 26, 262  # of the frame
INKS = ("#0072b2", "#d55e00", "#009e73")
MARKS = (  # dots, discs, rings
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{ink}"/>',
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{ink}"/>',
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="none" stroke="{ink}" stroke-width="1.6"/>',
)
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TICKS = 6  # at most, on an axis


def drawing(figure: Figure, title: str, lang: str) -> str:
    """The figure's curves as an SVG element; ``title`` says in words what they show."""
    curves, (across, upwards) = heights(figure), axes(figure, lang)
    (low_x, high_x), (low_y, high_y) = extent(curves)

    def x_at(value: float) -> float:
        return LEFT + (value - low_x) / (high_x - low_x) * (RIGHT - LEFT)

    def y_at(value: float) -> float:
        return BOTTOM - (value - low_y) / (high_y - low_y) * (BOTTOM - TOP)

    def parts() -> Iterator[str]:
        for value in ticks(low_y, high_y, whole=figure.log):
            at, label = y_at(value), power_of_ten(value) if figure.log else number(value)
            yield f'<path d="M{LEFT} {at:.1f}H{RIGHT}" stroke="currentColor" opacity="0.15"/>'
            yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
        for value in ticks(low_x, high_x, whole=True):
            yield f'<text x="{x_at(value):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{number(value)}</text>'
        yield f'<text x="{LEFT - 8}" y="{TOP - 12}" text-anchor="end">{escape(upwards)}</text>'
        yield f'<text x="{RIGHT}" y="{BOTTOM + 34}" text-anchor="end">{escape(across)}</text>'
        for curve, mark, ink in zip(curves, MARKS, INKS, strict=False):
            path = "L".join(f"{x_at(x):.1f} {y_at(y):.1f}" for x, y in curve)
            yield f'<path d="M{path}" fill="none" stroke="{ink}" opacity="0.45"/>'
            yield from (mark.format(x=x_at(x), y=y_at(y), ink=ink) for x, y in curve)

    inside = "\n".join(parts())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-size="12.5" fill="currentColor">\n{inside}\n</svg>'
    )


def power_of_ten(power: float) -> str:
    """A power as an axis has it.

    >>> power_of_ten(2), power_of_ten(-10)
    ('100', '10⁻¹⁰')
    """
    return (
        number(10 ** int(power) if power >= 0 else 10.0**power)
        if -4 < power < 5
        else "10" + f"{power:g}".translate(RAISED)
    )


def ticks(low: float, high: float, whole: bool = False) -> Sequence[float]:
    """Round numbers between two, evenly spaced, no more than are readable.

    >>> ticks(0.0, 2.4), ticks(0, 24, whole=True)
    ([0.0, 0.5, 1.0, 1.5, 2.0], [0, 5, 10, 15, 20])
    """
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    if whole:
        step = max(1, round(step))
    return [each * step for each in range(math.ceil(low / step), math.floor(high / step) + 1)]
