"""What all figures share: colors, file formats, and fonts with the letters of the language. Matplotlib loads late."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.dependencies import require
from descentlab.errors import SettingError
from descentlab.messages.catalog import current_language
from descentlab.typing import IntArray

PATH_COLOR, COST_COLOR, MUTED_COLOR = "#D55E00", "#0072B2", "#666666"  # Okabe and Ito's vermilion and blue, and a gray
MAX_CURVE_POINTS = 2000  # points of a curve; more cannot be told apart in a figure
FIGURE_FORMATS = (".png", ".svg", ".pdf")
KOREAN_FONTS = ("Pretendard", "Noto Sans KR", "Noto Sans CJK KR", "Noto Sans CJK JP", "NanumGothic", "Malgun Gothic")
FIGURE_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.unicode_minus": False,
    "svg.fonttype": "none",
}


def draw_panels(
    draw: Callable[..., None], path: str | os.PathLike[str] | None, lang: str | None, count: int = 2
) -> Any:
    """A matplotlib figure of panels beside each other in the common style.

    Args:
        draw: draws on the axes of the panels, from the left, with labels in the language that it is given last.
        path: the file to save the figure to; None saves nothing.
        lang: ``"en"`` or ``"ko"``; None means the reader's language.
        count: the number of panels.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        SettingError: ``path`` does not end in one of :data:`FIGURE_FORMATS`.
    """
    if path is not None and Path(path).suffix.lower() not in FIGURE_FORMATS:
        raise SettingError("plot_format", path=str(path))
    matplotlib = require("matplotlib", "matplotlib", "plot", "plot")
    from matplotlib.figure import Figure

    lang, family = choose_language_and_fonts(lang or current_language())
    with matplotlib.rc_context({**FIGURE_STYLE, "font.family": family}):
        figure = Figure(figsize=(5 * count, 4.2), layout="constrained")
        draw(*figure.subplots(1, count, squeeze=False)[0], lang)
        if path is not None:
            figure.savefig(path, dpi=150)
    return figure


def choose_language_and_fonts(lang: str) -> tuple[str, list[str]]:
    """The language of a figure and its fonts; English if Korean is asked for and no Korean font is installed."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    korean = [name for name in KOREAN_FONTS if name in installed][:1]
    if lang != "ko":
        return lang, ["DejaVu Sans", *korean]  # columns of English figures can have Korean names
    return ("ko", [*korean, "DejaVu Sans"]) if korean else ("en", ["DejaVu Sans"])


def subsample_indices(count: int, max_points: int = MAX_CURVE_POINTS) -> IntArray:
    """At most ``max_points`` evenly spaced indices of ``count`` points, the first and the last one among them."""
    return np.unique(np.linspace(0, count - 1, min(count, max_points)).astype(np.int64))
