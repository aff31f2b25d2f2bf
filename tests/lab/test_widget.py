"""The widget: Python and the page follow each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from py_mini_racer import MiniRacer

import descentlab as dl
from descentlab.lab.js_bundle import bundle_static
from descentlab.lab.spec import ADDRESS_VERSION
from descentlab.lab.widget import URL_KEYS, LabWidget
from tests.browsing import Watched


@pytest.fixture
def widget() -> LabWidget:
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    widget: LabWidget = problem.lab(lr=0.01, reduction="sum", epochs=10, start=[2]).widget()
    return widget


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
    assert address(widget) == {"v": "1", "l": "en", "p": "1,2;3,4", URL_KEYS[name]: written}


def test_addresses_are_those_of_the_pages_own_table() -> None:
    table = "JSON.stringify([$entry.VERSION, Object.fromEntries($entry.STATE.map((each) => [each.name, each.key]))])"
    version, keys = json.loads(str(MiniRacer().eval(f"(() => {{ {bundle_static('state.js')} return {table}; }})()")))
    assert str(version) == ADDRESS_VERSION
    assert {name: keys[name] for name in URL_KEYS} == URL_KEYS


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


# A notebook of two cells and a box to type in. It takes keys as JupyterLab does, before the page hears of them: letters
# from what has the focus unless that has `data-lm-suppress-shortcuts`, with Ctrl unless it or anything above has it.
NOTEBOOK = """<!doctype html><title>n</title><link rel=icon href="data:,"><style>{style}</style>
<body data-jp-theme-light="false"><textarea></textarea>
<div class=cell tabindex=0></div><div class=cell tabindex=0></div>
<script>
window.taken = [];
document.addEventListener("keydown", ({{ key, target, ctrlKey }}) => {{
  const barred = "[data-lm-suppress-shortcuts]";
  if (key !== "Control" && !(ctrlKey ? target.closest(barred) : target.matches(barred))) taken.push(key);
}}, true);
</script>
<script type=module>
{esm}
const lab = LAB;
window.labs = [...document.querySelectorAll(".cell")].map((el) => {{
  const values = {values};
  const heard = [];
  const model = {{
    get: (name) => values[name],
    set: (name, value) => (values[name] = value),
    on: (_, listener) => heard.push(listener),
    off: () => (heard.length = 0),
    save_changes: () => {{}},
  }};
  const away = lab.render({{ model, el }});
  return {{ values, away, lead: (hash) => ((values.hash = hash), heard.forEach((each) => each())) }};
}});
</script>"""


@pytest.fixture
def notebook(watched: Watched, widget: LabWidget, tmp_path: Path) -> Any:
    """A page with the widget in two cells."""
    esm = LabWidget._esm.replace("export default $entry.default;", "const LAB = $entry.default;")
    values = json.dumps({"spec": widget.spec, "words": widget.words, "hash": widget.hash})
    path = tmp_path / "notebook.html"
    path.write_text(NOTEBOOK.format(style=LabWidget._css, esm=esm, values=values), "utf-8")
    watched.page.goto(path.as_uri())
    watched.page.wait_for_function("() => window.labs?.every((each) => each.values.state)")
    yield watched.page
    assert watched.complaints == []


def epochs(notebook: Any) -> list[int | None]:
    """The epoch that each widget shows, once the pages have come to rest."""
    notebook.wait_for_timeout(400)
    shown: list[int | None] = notebook.evaluate("() => labs.map((each) => each.values.state.epoch)")
    return shown


@pytest.mark.slow
def test_keys_in_a_widget_are_its_own(notebook: Any) -> None:
    first = notebook.locator(".descentlab").first
    first.locator(".status").click()
    for key in ("r", "ArrowRight", "ArrowRight", "d", "x"):
        notebook.keyboard.press(key)
    for name in ("Learning rate", "Momentum", "Epoch shown", "Point 3"):
        first.get_by_role("slider", name=name, exact=True).focus()
        notebook.keyboard.press("d")
    for control in (
        first.get_by_role("checkbox").nth(1),
        first.locator("summary").first,
        first.locator("select").first,
    ):
        control.focus()
        notebook.keyboard.press("d")
    assert notebook.evaluate("taken") == []
    assert epochs(notebook) == [2, None]


@pytest.mark.slow
def test_keys_elsewhere_and_those_with_control_are_the_notebooks(notebook: Any) -> None:
    first = notebook.locator(".descentlab").first
    first.locator(".status").click()
    notebook.keyboard.press("x")
    first.get_by_role("slider", name="Learning rate", exact=True).press("Control+k")
    assert notebook.evaluate("taken") == ["k"]
    notebook.locator("body > textarea").press_sequentially("r r")
    notebook.locator(".cell").last.press("ArrowLeft")
    assert notebook.evaluate("taken") == ["k", "r", " ", "r", "ArrowLeft"]
    assert epochs(notebook) == [None, None]


def test_a_widget_follows_the_notebooks_theme_and_its_own_button(notebook: Any) -> None:
    dark = "() => [...document.querySelectorAll('.descentlab')].map((each) => each.classList.contains('dark'))"
    assert notebook.evaluate(dark) == [True, True]
    notebook.evaluate("document.body.dataset.jpThemeLight = 'true'")
    assert notebook.evaluate(dark) == [False, False]
    notebook.get_by_role("button", name="Light / dark").last.click()
    assert notebook.evaluate(dark) == [False, True]


@pytest.mark.slow
def test_python_moves_one_widget_and_leaves_the_other(notebook: Any) -> None:
    notebook.evaluate("labs[1].lead('#v=1&l=en&e=3&lr=0.02')")
    assert epochs(notebook) == [None, 3]
    typed = notebook.get_by_role("textbox", name="Learning rate as a number")
    assert [each.input_value() for each in typed.all()] == ["0.01", "0.02"]
    found = notebook.evaluate("() => [...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(found) == len(set(found))


def test_a_widget_shares_only_what_is_its_own(notebook: Any) -> None:
    notebook.locator("summary", has_text="Share").first.click()
    assert notebook.locator(".sheet button:visible").all_inner_texts() == ["Save the pictures"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [330, 470, 900])
def test_a_widget_is_no_wider_than_its_cell(notebook: Any, width: int) -> None:
    notebook.evaluate(f"document.querySelectorAll('.cell').forEach((each) => (each.style.width = '{width}px'))")
    notebook.wait_for_timeout(300)
    assert (
        notebook.evaluate("() => [...document.querySelectorAll('.cell')].map((each) => each.scrollWidth)")
        == [width] * 2
    )


def test_a_widget_that_is_taken_away_hears_no_more(notebook: Any) -> None:
    notebook.locator(".descentlab").first.locator(".status").click()
    notebook.evaluate("labs[0].away()")
    notebook.keyboard.press("r")
    assert notebook.evaluate("taken") == ["r"]
