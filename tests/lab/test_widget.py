"""The widget: Python and the page follow each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from py_mini_racer import MiniRacer

import descentlab as dl
from descentlab.lab.modules import script
from descentlab.lab.widget import ADDRESS, VERSION, LabWidget


@pytest.fixture
def widget() -> LabWidget:
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    return problem.lab(lr=0.01, reduction="sum", epochs=10, start=[2]).widget()


def address(widget: LabWidget) -> dict[str, str]:
    """The pairs of the widget's address."""
    hash_: str = widget.hash
    return dict(pair.split("=") for pair in hash_.removeprefix("#").split("&"))


def test_values_begin_as_asked(widget: LabWidget) -> None:
    assert (widget.lr, widget.reduction, widget.epochs, widget.start) == (0.01, "sum", 10, [2.0])
    assert (widget.bias, widget.forget, widget.momentum, widget.epoch) == (False, False, 0.0, None)
    assert widget.spec["columns"] == ["x", "y"]
    assert address(widget) == {"v": "1", "l": "en"}


def test_what_the_page_needs_is_sent_to_it(widget: LabWidget) -> None:
    assert {"spec", "words", "state", "hash", "_esm", "_css"} <= set(widget.keys)
    json.dumps([widget.spec, widget.words], allow_nan=False)


def test_the_page_is_followed(widget: LabWidget) -> None:
    widget.hash = "#v=1&l=en&lr=0.25&d=longley"
    widget.state = {"lr": 0.25, "epochs": 7, "bias": True, "epoch": 3, "start": None, "theme": "dark", "lang": None}
    assert (widget.lr, widget.epochs, widget.bias, widget.epoch) == (0.25, 7, True, 3)
    assert not widget.start
    assert widget.lang == "en"
    assert widget.hash == "#v=1&l=en&lr=0.25&d=longley"  # what came from the page is not sent back to it


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("lr", 1e-05, "1e-05"),
        ("epochs", 30, "30"),
        ("nesterov", True, "1"),
        ("standardize", True, "1"),
        ("start", [0.5, -2.0], "0.5,-2.0"),
        ("reduction", "half_mean", "half_mean"),
        ("epoch", 4, "4"),
    ],
)
def test_python_leads_the_page(widget: LabWidget, name: str, value: Any, written: str) -> None:
    widget.hash = "#v=1&l=en&p=1,2;3,4"
    setattr(widget, name, value)
    assert address(widget) == {"v": "1", "l": "en", "p": "1,2;3,4", ADDRESS[name]: written}


def test_addresses_are_those_of_the_pages_own_table() -> None:
    table = "JSON.stringify([$entry.VERSION, Object.fromEntries($entry.STATE.map((each) => [each.name, each.key]))])"
    version, keys = json.loads(str(MiniRacer().eval(f"(() => {{ {script('state.js')} return {table}; }})()")))
    assert str(version) == VERSION
    assert {name: keys[name] for name in ADDRESS} == ADDRESS


def test_none_leaves_the_address(widget: LabWidget) -> None:
    widget.epoch = 4
    widget.epoch = None
    assert "e" not in address(widget)


def test_the_module_is_one_and_exports_render(widget: LabWidget) -> None:
    code, exported = LabWidget._esm, "export default "
    assert code.count(f"\n{exported}") == 1
    head, _, tail = code.rpartition(exported)
    kind = MiniRacer().eval(
        "var document = {}, window = {}, location = { hash: '' }, navigator = {};"
        f"(() => {{ {head} return typeof ({tail.strip().rstrip(';')}).render; }})()"
    )
    assert kind == "function"
