"""The class of a lab: it renders in a notebook, saves itself as one file, and opens in a browser."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any

from descentlab.descent.descent import Descent
from descentlab.errors import SettingError
from descentlab.lab.page import render_lab_page
from descentlab.lab.spec import default_descent, make_spec, unsupported_settings
from descentlab.messages import message
from descentlab.problem.problem import Problem

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.lab.widget import LabWidget

FRAME_HEIGHT = 1000  # pixels, until the page sends its own
# The notebook sets the frame's height to the page's, and sends the page JupyterLab's theme.
FRAME_ONLOAD = (
    "window.addEventListener('message', ({ source, data }) => { if (source === this.contentWindow && data.height > 0) "
    "{ this.height = data.height; source.postMessage({ light: document.body.dataset.jpThemeLight }, '*'); } })"
)
HTML_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, eq=False)
class Lab:
    """A page on which one can watch full-batch descent on one problem and change its settings.

    The page is one HTML file without network access. It holds the triangular factor R (d + 2, d + 2) of the rows, at
    most 500 rows to show and the settings, and computes every epoch from them in the browser.

    Attributes:
        spec: the data of the page in JSON's types; docs/json.md describes it.

    Raises:
        SettingError: more than 100 columns, or settings other than those of full-batch SGD at a constant rate.

    Examples:
        >>> import descentlab as dl
        >>> lab = dl.Problem([1, 2, 3], [1, 2, 3], bias=False).lab(lr=0.1)
        >>> lab
        Lab(y ~ x; 3 rows)
        >>> lab.spec["settings"]["lr"], "<!doctype html>" in lab.html
        (0.1, True)
    """

    spec: Mapping[str, Any]

    @classmethod
    def from_problem(
        cls, problem: Problem, descent: Descent | None = None, name: str = "", settings: Mapping[str, Any] | None = None
    ) -> Lab:
        """The page of a problem, with a descent or its settings; see :meth:`descentlab.Problem.lab`."""
        if descent is not None and settings:
            raise SettingError("settings_twice", names=tuple(settings))
        descent = descent or default_descent(problem, **(settings or {}))
        unsupported = unsupported_settings(descent)
        if unsupported:
            raise SettingError("lab_plain", names=unsupported)
        return cls(make_spec(problem, descent, name))

    @classmethod
    def from_diagnosis(cls, diagnosis: Diagnosis, name: str = "", code: str | Sequence[str] = "descentlab") -> Lab:
        """The page of a diagnosis, with its answer and findings; see :meth:`descentlab.Diagnosis.lab`."""
        return cls(make_spec(diagnosis.problem, diagnosis.descent, name, diagnosis, code))

    @property
    def html(self) -> str:
        """The whole page, in the reader's language."""
        return render_lab_page(self.spec)

    def save(self, path: str | os.PathLike[str], *, lang: str | None = None) -> None:
        """Write the page to an ``.html`` file, which needs no network and no other file.

        Raises:
            SettingError: the file's name does not end in .html.
        """
        if Path(path).suffix.lower() not in HTML_SUFFIXES:
            raise SettingError("lab_format", path=str(path))
        Path(path).write_text(render_lab_page(self.spec, lang), "utf-8")

    def open(self) -> Path:
        """Show the page in a browser, from a temporary file; gives its path."""
        handle, path = mkstemp(suffix=".html", prefix="descentlab-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self.html)
        webbrowser.open(Path(path).as_uri())
        return Path(path)

    def widget(self) -> LabWidget:
        """The same in a notebook as a widget, whose values Python reads and sets; needs anywidget.

        Raises:
            MissingDependencyError: anywidget is not installed.
        """
        from descentlab.lab.widget import LabWidget

        return LabWidget(self.spec)

    def _repr_html_(self) -> str:
        # In a frame of its own: neither the page's style nor its script meets the notebook's.
        inner = self.html.replace("&", "&amp;").replace('"', "&quot;")
        title = escape(message("lab.title").text())
        untrusted = escape(message("lab.untrusted").text())  # what is left of it where frames are taken out
        return (
            f'<iframe title="{title}" sandbox="allow-scripts allow-downloads" width="100%" height="{FRAME_HEIGHT}" '
            f'style="border: 0" onload="{escape(FRAME_ONLOAD)}" srcdoc="{inner}">{untrusted}</iframe>'
        )

    def __repr__(self) -> str:
        return f"Lab({self.spec['columns'][-1]} ~ {' + '.join(self.spec['columns'][:-1])}; {self.spec['rows']:,} rows)"
