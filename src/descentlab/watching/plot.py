"""Pictures of a watched loop: its loss, and the sharpness against the limit that its rate sets, by step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.errors import SettingError, require
from descentlab.messages import language, number, sentence
from descentlab.run.plot import COST, DESCENT, MOST_POINTS, PICTURES, QUIET, _language_and_font
from descentlab.typing import Array
from descentlab.watching.history import Record

WIDE, HIGH, LEFT, TOP = 320, 150, 44, 24  # of one panel of the notebook's picture, in pixels
POINTS = 400


def plot(record: Record, path: str | os.PathLike[str] | None = None, lang: str | None = None) -> Any:
    """Draw both panels with matplotlib; see :meth:`descentlab.watching.watch.Watch.plot`."""
    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise SettingError("plot_format", path=str(path))
    matplotlib = require("matplotlib", "matplotlib", "plot", "plot")
    from matplotlib.figure import Figure

    lang, family = _language_and_font(lang or language())
    style = {"font.family": family, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
             "axes.titlelocation": "left", "axes.unicode_minus": False, "svg.fonttype": "none"}  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        step, loss = losses(record, MOST_POINTS)
        _draw(left, [(step, loss, COST, "-")], sentence("watch.loss").text(lang), lang)
        measured, sharp, limit = sharpness(record)
        lines = [(measured, sharp, COST, "o-"), (measured, limit, DESCENT, "--")]
        _draw(right, lines, sentence("watch.sharpness_and_limit").text(lang), lang)
        if path is not None:
            figure.savefig(path, dpi=150)
    return figure


def _draw(axes: Any, lines: list[tuple[Array, Array, str, str]], title: str, lang: str) -> None:
    for x, y, colour, style in lines:
        shown = np.isfinite(y)
        axes.plot(x[shown], y[shown], style, color=colour, markersize=3.5)
    values = np.concatenate([y[np.isfinite(y)] for _, y, _, _ in lines])
    if _wide_range(values):
        axes.set_yscale("log")
    axes.set_title(title)
    axes.set_xlabel(sentence("watch.step").text(lang))


def losses(record: Record, most: int) -> tuple[Array, Array]:
    """Steps from 1 and their losses, evenly thinned to at most so many."""
    loss = record.loss
    kept = (
        np.unique(np.linspace(0, len(loss) - 1, min(len(loss), most)).astype(int)) if len(loss) else np.array([], int)
    )
    return kept * record.stride + 1.0, loss[kept]


def sharpness(record: Record) -> tuple[Array, Array, Array]:
    """Where curvature was measured, what it was, and its limit there (nan where none is known)."""
    step = np.array([probe.step + 1.0 for probe in record.probes])
    sharp = np.array([probe.sharpness for probe in record.probes], dtype=np.float64)
    limit = np.array([np.nan if probe.limit is None else probe.limit for probe in record.probes], dtype=np.float64)
    return step, sharp, limit


def svg(record: Record) -> str:
    """Both panels as inline SVG: no script, nothing loaded; nothing at all where nothing was seen."""
    step, loss = losses(record, POINTS)
    measured, sharp, limit = sharpness(record)
    panels = [
        _panel([(step, loss, COST, "")], sentence("watch.loss").text(), 0),
        _panel([(measured, sharp, COST, ""), (measured, limit, DESCENT, "4 3")],
               sentence("watch.sharpness_and_limit").text(), WIDE + LEFT),
    ]  # fmt: skip
    drawn = "".join(panels)
    if not drawn:
        return ""
    size = f'width="{2 * (WIDE + LEFT)}" height="{HIGH + 2 * TOP}" style="max-width:100%"'
    meaning = f'role="img" aria-label="{sentence("watch.loss").text()}"'
    return f'<svg {size} {meaning} font-size="11" fill="currentColor">{drawn}</svg>'


def _panel(lines: list[tuple[Array, Array, str, str]], title: str, shift: int) -> str:
    lines = [(x[np.isfinite(y)], y[np.isfinite(y)], colour, dash) for x, y, colour, dash in lines]
    values = np.concatenate([y for _, y, _, _ in lines])
    steps = np.concatenate([x for x, _, _, _ in lines])
    if not values.size:
        return ""
    scale = np.log10 if _wide_range(values) else np.asarray
    low, high = float(scale(values.min())), float(scale(values.max()))
    first, last = float(steps.min()), float(steps.max())

    def points(x: Array, y: Array) -> str:
        right = LEFT + (x - first) / ((last - first) or 1.0) * (WIDE - 12)
        down = TOP + HIGH - (scale(y) - low) / ((high - low) or 1.0) * HIGH
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(right, down, strict=True))

    drawn = [f'<text x="{LEFT}" y="14">{title}</text>']
    drawn += [f'<text x="{LEFT - 4}" y="{y}" text-anchor="end" fill="{QUIET}">{number(float(f"{v:.3g}"))}</text>'
              for y, v in ((TOP + 8, values.max()), (TOP + HIGH, values.min()))]  # fmt: skip
    drawn.append(
        f'<text x="{LEFT}" y="{TOP + HIGH + 16}" fill="{QUIET}">{number(int(first))} – {number(int(last))}</text>'
    )
    for x, y, colour, dash in lines:
        if len(x) == 1:
            at = points(x, y).split(",")
            drawn.append(f'<circle cx="{at[0]}" cy="{at[1]}" r="3" fill="{colour}"/>')
        elif len(x):
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            drawn.append(f'<polyline points="{points(x, y)}" fill="none" stroke="{colour}"{dashed}/>')
    return f'<g transform="translate({shift} 0)">{"".join(drawn)}</g>'


def _wide_range(values: Array) -> bool:
    return bool(values.size and values.min() > 0 and values.max() > 100 * values.min())
