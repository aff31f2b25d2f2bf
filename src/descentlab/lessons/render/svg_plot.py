"""Several runs in one SVG plot, which a live figure, with its single run, cannot show.

The markers are those of the text plot, so that one caption fits both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from descentlab.lessons.facts.types import LessonFigure
from descentlab.lessons.render.text_plot import axis_labels, data_limits, transformed_curves
from descentlab.messages import format_number

SVG_WIDTH, SVG_HEIGHT = 560, 300
FRAME_LEFT, FRAME_RIGHT, FRAME_TOP, FRAME_BOTTOM = 58, 552, 26, 262  # of the frame
CURVE_COLORS = ("#0072b2", "#d55e00", "#009e73")
CURVE_MARKERS = (  # dots, discs, rings
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{ink}"/>',
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{ink}"/>',
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="none" stroke="{ink}" stroke-width="1.6"/>',
)
SUPERSCRIPT_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MAX_TICKS = 6  # at most, on an axis


def render_svg_plot(figure: LessonFigure, title: str, lang: str) -> str:
    """The figure's curves as an SVG element; ``title`` says in words what they show."""
    curves, (x_label, y_label) = transformed_curves(figure), axis_labels(figure, lang)
    (low_x, high_x), (low_y, high_y) = data_limits(curves)

    def x_at(value: float) -> float:
        return FRAME_LEFT + (value - low_x) / (high_x - low_x) * (FRAME_RIGHT - FRAME_LEFT)

    def y_at(value: float) -> float:
        return FRAME_BOTTOM - (value - low_y) / (high_y - low_y) * (FRAME_BOTTOM - FRAME_TOP)

    def elements() -> Iterator[str]:
        for value in axis_ticks(low_y, high_y, integers_only=figure.log):
            at, label = y_at(value), format_power_of_ten(value) if figure.log else format_number(value)
            yield f'<path d="M{FRAME_LEFT} {at:.1f}H{FRAME_RIGHT}" stroke="currentColor" opacity="0.15"/>'
            yield f'<text x="{FRAME_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
        for value in axis_ticks(low_x, high_x, integers_only=True):
            x = f"{x_at(value):.1f}"
            yield f'<text x="{x}" y="{FRAME_BOTTOM + 18}" text-anchor="middle">{format_number(value)}</text>'
        yield f'<text x="{FRAME_LEFT - 8}" y="{FRAME_TOP - 12}" text-anchor="end">{escape(y_label)}</text>'
        yield f'<text x="{FRAME_RIGHT}" y="{FRAME_BOTTOM + 34}" text-anchor="end">{escape(x_label)}</text>'
        for curve, mark, ink in zip(curves, CURVE_MARKERS, CURVE_COLORS, strict=False):
            path = "L".join(f"{x_at(x):.1f} {y_at(y):.1f}" for x, y in curve)
            yield f'<path d="M{path}" fill="none" stroke="{ink}" opacity="0.45"/>'
            yield from (mark.format(x=x_at(x), y=y_at(y), ink=ink) for x, y in curve)

    content = "\n".join(elements())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SVG_WIDTH} {SVG_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-size="12.5" fill="currentColor">\n{content}\n</svg>'
    )


def format_power_of_ten(power: float) -> str:
    """A power as an axis has it.

    >>> format_power_of_ten(2), format_power_of_ten(-10)
    ('100', '10⁻¹⁰')
    """
    return (
        format_number(10 ** int(power) if power >= 0 else 10.0**power)
        if -4 < power < 5
        else "10" + f"{power:g}".translate(SUPERSCRIPT_DIGITS)
    )


def axis_ticks(low: float, high: float, integers_only: bool = False) -> Sequence[float]:
    """Round numbers between two, evenly spaced, no more than are readable.

    >>> axis_ticks(0.0, 2.4), axis_ticks(0, 24, integers_only=True)
    ([0.0, 0.5, 1.0, 1.5, 2.0], [0, 5, 10, 15, 20])
    """
    rough = (high - low) / MAX_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    if integers_only:
        step = max(1, round(step))
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
