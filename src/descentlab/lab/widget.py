"""The lab as a notebook's widget, whose values Python reads and sets; the extra ``notebook`` brings anywidget.

Loaded by :meth:`descentlab.lab.sheet.Lab.widget` alone: the base class has to be there before the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from descentlab.errors import require
from descentlab.lab.modules import script
from descentlab.lab.page import style, words
from descentlab.text import language

require("anywidget", "anywidget", "notebook", "widget")

import anywidget  # noqa: E402 (what is missing is named first)
import traitlets  # noqa: E402


class LabWidget(anywidget.AnyWidget):
    """The page in a cell. Every setting on it is an attribute here, under the name it has in the page's address.

    Attributes:
        lr, reduction, epochs, momentum, nesterov, start: as in :class:`descentlab.Descent`.
        forget: whether gradients are never cleared, which is ``zero_grad=False`` there.
        bias, center, standardize: as in :class:`descentlab.Problem`.
        epoch: the epoch marked on the page; None is the last.
        lang: the language of the page.
        hash: the page's whole state as the text of its address, which reproduces it anywhere.
    """

    _esm = f"{script('lab.js')}export default $entry.default;\n"
    _css = style()

    spec = traitlets.Dict().tag(sync=True)
    words = traitlets.Dict().tag(sync=True)
    hash = traitlets.Unicode("").tag(sync=True)
    lang = traitlets.Unicode("en").tag(sync=True)
    lr = traitlets.Float(0.1).tag(sync=True)
    reduction = traitlets.Unicode("mean").tag(sync=True)
    epochs = traitlets.Int(100).tag(sync=True)
    epoch = traitlets.Int(None, allow_none=True).tag(sync=True)
    momentum = traitlets.Float(0.0).tag(sync=True)
    nesterov = traitlets.Bool(False).tag(sync=True)
    forget = traitlets.Bool(False).tag(sync=True)
    start = traitlets.List(traitlets.Float(), None, allow_none=True).tag(sync=True)
    bias = traitlets.Bool(True).tag(sync=True)
    center = traitlets.Bool(False).tag(sync=True)
    standardize = traitlets.Bool(False).tag(sync=True)

    def __init__(self, spec: Mapping[str, Any]) -> None:
        settings, hypothesis = spec["settings"], spec["hypothesis"]
        plain = ("lr", "reduction", "epochs", "momentum", "nesterov", "start")
        super().__init__(
            spec=dict(spec),
            words=words(),
            lang=language(),
            forget=not settings["zero_grad"],
            **{name: settings[name] for name in plain},
            **{name: hypothesis[name] for name in ("bias", "center", "standardize")},
        )
