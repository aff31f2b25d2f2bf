"""The lab as a notebook's widget, whose values Python reads and sets; the extra ``notebook`` installs anywidget.

Imported by :meth:`descentlab.lab.lab.Lab.widget` only, since the base class needs anywidget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from descentlab.dependencies import require
from descentlab.lab.js_bundle import bundle_static
from descentlab.lab.page import LAB_PAGE, lab_messages
from descentlab.lab.spec import ADDRESS_VERSION
from descentlab.messages import current_language

require("anywidget", "anywidget", "notebook", "widget")

import anywidget  # noqa: E402 (what is missing is named first)
import traitlets  # noqa: E402

# What each attribute is called in the page's address (``STATE`` in static/state.js).
URL_KEYS = {
    "lr": "lr",
    "reduction": "r",
    "epochs": "n",
    "epoch": "e",
    "momentum": "m",
    "nesterov": "nag",
    "forget": "f",
    "start": "s",
    "bias": "b",
    "center": "c",
    "standardize": "z",
    "lang": "l",
}


class LabWidget(anywidget.AnyWidget):
    """The page in a cell. Values set on the page are set here, and vice versa.

    Attributes:
        lr, reduction, epochs, momentum, nesterov, start: as in :class:`descentlab.Descent`.
        forget: whether gradients are never cleared, which is ``zero_grad=False`` there.
        bias, center, standardize: as in :class:`descentlab.Problem`.
        epoch: the epoch marked on the page; None is the last.
        lang: the page's language.
        state: the page's whole state, as the page has it.
        hash: the same as the page's address, which opens a page in that state anywhere.
    """

    _esm = f"{bundle_static('app.js')}export default $entry.default;\n"
    _css = LAB_PAGE.style

    spec = traitlets.Dict().tag(sync=True)
    words = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    hash = traitlets.Unicode("").tag(sync=True)
    lr = traitlets.Float(0.1)
    reduction = traitlets.Unicode("mean")
    epochs = traitlets.Int(100)
    epoch = traitlets.Int(None, allow_none=True)
    momentum = traitlets.Float(0.0)
    nesterov = traitlets.Bool(False)
    forget = traitlets.Bool(False)
    start = traitlets.List(traitlets.Float(), None, allow_none=True)
    bias = traitlets.Bool(True)
    center = traitlets.Bool(False)
    standardize = traitlets.Bool(False)
    lang = traitlets.Unicode("en")

    def __init__(self, spec: Mapping[str, Any]) -> None:
        settings, hypothesis = spec["settings"], spec["hypothesis"]
        setting_names = ("lr", "reduction", "epochs", "momentum", "nesterov", "start")
        self._updating_from_page = False
        super().__init__(
            spec=dict(spec),
            words=lab_messages(),
            hash=f"#v={ADDRESS_VERSION}&l={current_language()}",
            lang=current_language(),
            forget=not settings["zero_grad"],
            **{name: settings[name] for name in setting_names},
            **{name: hypothesis[name] for name in ("bias", "center", "standardize")},
        )
        self.observe(self._on_page_change, "state")
        self.observe(self._on_python_change, list(URL_KEYS))

    def _on_page_change(self, change: Mapping[str, Any]) -> None:
        """Take over the values that were set on the page."""
        self._updating_from_page = True
        try:
            for name in URL_KEYS.keys() & change["new"].keys():
                if name != "lang" or change["new"][name] is not None:
                    setattr(self, name, change["new"][name])
        finally:
            self._updating_from_page = False

    def _on_python_change(self, change: Mapping[str, Any]) -> None:
        """Send the page to the address that has the value set in Python."""
        if self._updating_from_page:
            return
        pairs = dict(pair.split("=", 1) for pair in self.hash.removeprefix("#").split("&") if "=" in pair)
        key, value = URL_KEYS[change["name"]], change["new"]
        pairs.pop(key, None)
        if value is not None:
            pairs[key] = _to_url_value(value)
        self.hash = "#" + "&".join(f"{key}={value}" for key, value in ({"v": ADDRESS_VERSION} | pairs).items())


def _to_url_value(value: object) -> str:
    """A value as it stands in an address."""
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
