"""Plots of a watched loop: its loss, and the sharpness against the limit that its rate sets, by step."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from descentlab.messages import format_number, format_rounded, message
from descentlab.messages.figures import (
    COST_COLOR,
    MAX_CURVE_POINTS,
    MUTED_COLOR,
    PATH_COLOR,
    draw_panels,
    subsample_indices,
)
from descentlab.typing import FloatArray
from descentlab.watching.history import WatchHistory

PANEL_WIDTH = 320  # pixels, as all sizes of the notebook's plot
PANEL_HEIGHT = 150
PANEL_LEFT = 44
PANEL_TOP = 24
MAX_SVG_POINTS = 400


def plot_watch_history(
    history: WatchHistory, path: str | os.PathLike[str] | None = None, lang: str | None = None
) -> Any:
    """Draw both panels with matplotlib; see :meth:`descentlab.watching.watch.Watch.plot`."""

    def draw(left: Any, right: Any, lang: str) -> None:
        step, loss = loss_curve(history, MAX_CURVE_POINTS)
        _plot_lines(left, [(step, loss, COST_COLOR, "-")], message("watch.loss").text(lang), lang)
        measured_steps, sharpness, limit = sharpness_curve(history)
        lines = [(measured_steps, sharpness, COST_COLOR, "o-"), (measured_steps, limit, PATH_COLOR, "--")]
        _plot_lines(right, lines, message("watch.sharpness_and_limit").text(lang), lang)

    return draw_panels(draw, path, lang)


def _plot_lines(axes: Any, lines: list[tuple[FloatArray, FloatArray, str, str]], title: str, lang: str) -> None:
    for x, y, color, style in lines:
        finite = np.isfinite(y)
        axes.plot(x[finite], y[finite], style, color=color, markersize=3.5)
    values = np.concatenate([y[np.isfinite(y)] for _, y, _, _ in lines])
    if _needs_log_scale(values):
        axes.set_yscale("log")
    axes.set_title(title)
    axes.set_xlabel(message("watch.step").text(lang))


def loss_curve(history: WatchHistory, max_points: int) -> tuple[FloatArray, FloatArray]:
    """Steps from 1 and their losses, evenly thinned to at most this many."""
    loss = history.loss
    indices = subsample_indices(len(loss), max_points)
    return np.asarray(indices * history.stride + 1.0, np.float64), loss[indices]


def sharpness_curve(history: WatchHistory) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Steps at which curvature was measured, the curvature, and its limit (nan where it is unknown)."""
    measured = history.measurements
    step = np.array([each.step + 1.0 for each in measured])
    sharpness = np.array([each.sharpness for each in measured], dtype=np.float64)
    limit = np.array([np.nan if each.limit is None else each.limit for each in measured], dtype=np.float64)
    return step, sharpness, limit


def watch_history_to_svg(history: WatchHistory) -> str:
    """Both panels as inline SVG, without scripts or external files; empty if nothing was seen."""
    step, loss = loss_curve(history, MAX_SVG_POINTS)
    measured_steps, sharpness, limit = sharpness_curve(history)
    panels = [
        _svg_panel([(step, loss, COST_COLOR, "")], message("watch.loss").text(), 0),
        _svg_panel([(measured_steps, sharpness, COST_COLOR, ""), (measured_steps, limit, PATH_COLOR, "4 3")],
                   message("watch.sharpness_and_limit").text(), PANEL_WIDTH + PANEL_LEFT),
    ]  # fmt: skip
    body = "".join(panels)
    if not body:
        return ""
    width, height = 2 * (PANEL_WIDTH + PANEL_LEFT), PANEL_HEIGHT + 2 * PANEL_TOP
    size = f'width="{width}" height="{height}" style="max-width:100%"'
    accessibility = f'role="img" aria-label="{message("watch.loss").text()}"'
    return f'<svg {size} {accessibility} font-size="11" fill="currentColor">{body}</svg>'


def _svg_panel(lines: list[tuple[FloatArray, FloatArray, str, str]], title: str, shift: int) -> str:
    lines = [(x[np.isfinite(y)], y[np.isfinite(y)], color, dash) for x, y, color, dash in lines]
    values = np.concatenate([y for _, y, _, _ in lines])
    steps = np.concatenate([x for x, _, _, _ in lines])
    if not values.size:
        return ""
    scale = np.log10 if _needs_log_scale(values) else np.asarray
    low, high = float(scale(values.min())), float(scale(values.max()))
    first, last = float(steps.min()), float(steps.max())

    def points(x: FloatArray, y: FloatArray) -> str:
        pixel_x = PANEL_LEFT + (x - first) / ((last - first) or 1.0) * (PANEL_WIDTH - 12)
        pixel_y = PANEL_TOP + PANEL_HEIGHT - (scale(y) - low) / ((high - low) or 1.0) * PANEL_HEIGHT
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(pixel_x, pixel_y, strict=True))

    bottom = PANEL_TOP + PANEL_HEIGHT
    step_range = f"{format_number(int(first))} – {format_number(int(last))}"
    elements = [
        f'<text x="{PANEL_LEFT}" y="14">{title}</text>',
        *(
            f'<text x="{PANEL_LEFT - 4}" y="{y}" text-anchor="end" fill="{MUTED_COLOR}">{format_rounded(value)}</text>'
            for y, value in ((PANEL_TOP + 8, values.max()), (bottom, values.min()))
        ),
        f'<text x="{PANEL_LEFT}" y="{bottom + 16}" fill="{MUTED_COLOR}">{step_range}</text>',
    ]
    for x, y, color, dash in lines:
        if len(x) == 1:
            point = points(x, y).split(",")
            elements.append(f'<circle cx="{point[0]}" cy="{point[1]}" r="3" fill="{color}"/>')
        elif len(x):
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            elements.append(f'<polyline points="{points(x, y)}" fill="none" stroke="{color}"{dashed}/>')
    return f'<g transform="translate({shift} 0)">{"".join(elements)}</g>'


def _needs_log_scale(values: FloatArray) -> bool:
    return bool(values.size and values.min() > 0 and values.max() > 100 * values.min())
