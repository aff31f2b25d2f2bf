"""The page in a browser: its numbers are Python's, and everything on it can be seen, dragged, typed and heard."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import descentlab as dl
from descentlab.lab.page import render_lab_page
from descentlab.lab.spec import make_spec
from tests.browsing import Watched

rng = np.random.default_rng(5)
X = rng.normal(size=(800, 5)) * [1, 2, 5, 0.5, 10]
y = X @ [1, 2, 3, 4, 5] + rng.normal(size=800)
x = rng.uniform(0, 5, 40)

PROBLEMS: dict[str, Any] = {
    "lesson": (dl.Problem([1, 2, 3], [1, 2, 3], bias=False), dl.Descent(lr=0.15, epochs=10)),
    "line": (dl.Problem(x, 2 * x + 1 + rng.normal(size=40)), dl.Descent(lr=0.05)),
    "many": (dl.Problem(X, y), dl.Descent(lr=0.005, epochs=300, momentum=0.5)),
    "diverging": (dl.Problem(X, y), dl.Descent(lr=0.02, epochs=300)),
}


def opened(watched: Watched, folder: Path, name: str = "lesson", address: str = "", lang: str = "en") -> Any:
    """The page of one of these problems, in the browser, from a file."""
    problem, descent = PROBLEMS[name]
    report = dl.diagnose(problem, descent) if name == "many" else None
    path = folder / "lab.html"
    path.write_text(render_lab_page(make_spec(problem, descent, name, report), lang), "utf-8")
    watched.context.set_offline(True)
    if watched.page.url.startswith("file:"):  # another address of the same file is the same page: no other is opened
        watched.page.goto("about:blank")
    watched.page.goto(path.as_uri() + address)
    watched.page.wait_for_selector(".descentlab .status:not(:empty)")
    return watched.page


def settle(browsed: Any) -> None:
    """Two frames: one to update, one to draw."""
    browsed.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def open_saved(browsed: Any, folder: Path) -> None:
    """Save the page as one file, and open that."""
    browsed.locator("summary", has_text="Share").click()
    with browsed.expect_download() as downloading:
        browsed.get_by_role("button", name="Save as one file").click()
    saved = folder / "saved.html"
    downloading.value.save_as(saved)
    browsed.goto(saved.as_uri())
    browsed.wait_for_selector(".descentlab .status:not(:empty)")
    settle(browsed)


def address_of(browsed: Any) -> str:
    """The address once the state has got there."""
    browsed.wait_for_timeout(200)  # milliseconds
    return str(browsed.evaluate("location.hash"))


def table(browsed: Any) -> list[list[str]]:
    rows: list[list[str]] = browsed.evaluate(
        "() => [...document.querySelectorAll('.panel.table tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    return rows


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_it_opens_from_a_file_and_asks_for_nothing(watched: Watched, tmp_path: Path, name: str, lang: str) -> None:
    browsed = opened(watched, tmp_path, name, lang=lang)
    settle(browsed)
    assert watched.complaints == []
    assert [address for address in watched.requests if not address.startswith(("file:", "data:"))] == []
    assert browsed.get_attribute(".descentlab", "lang") == lang
    assert browsed.evaluate("() => document.querySelectorAll('.descentlab *').length") < 700


def test_the_first_screen_is_the_lessons_finished_table(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    rows = table(browsed)
    assert [row[0] for row in rows] == [str(epoch) for epoch in range(1, 11)] + ["after 10"]
    W = ["0.000", "1.400", "0.840", "1.064", "0.974", "1.010", "0.996", "1.002", "0.999", "1.000"]
    assert [row[1] for row in rows[:10]] == W
    assert [row[3] for row in rows[:4]] == ["4.666667", "0.746667", "0.119467", "0.019115"]
    box = browsed.locator(".panel.data").bounding_box()
    assert box["y"] + box["height"] < 1000


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_numbers_shown_are_pythons(watched: Watched, tmp_path: Path, name: str) -> None:
    problem, descent = PROBLEMS[name]
    browsed = opened(watched, tmp_path, name, "#v=1&n=24")  # of so many every epoch has its row
    run = dl.descend(problem, replace(descent, epochs=24))
    costs = dict(zip(run.history.epoch.tolist(), run.history.cost.tolist(), strict=True))
    compared = 0
    for row in table(browsed)[:-1]:
        epoch = int(row[0].replace(",", ""))
        if epoch in costs:
            shown = float(row[-1].replace("−", "-").replace(",", ""))
            assert shown == pytest.approx(costs[epoch], rel=1e-5, abs=6e-7)
            compared += 1
    assert compared >= 10
    report = dl.diagnose(problem, descent)
    assert isinstance(report, dl.Diagnosis)
    said = browsed.inner_text(".status")
    if report.verdict == "diverges":
        assert "diverges" in said
        assert report.lr_bound is not None
        assert f"{report.lr_bound:.3g}" in said
        assert report.overflow is not None
        assert f"{report.overflow['float32']['weights']:,}" in said
    else:
        assert f"{report.epochs_to_tolerance:,}" in said


def test_a_step_opens_into_its_own_numbers(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&r=sum&lr=0.01&e=0")
    panel = browsed.locator(".panel.micro")
    for _ in range(5):
        panel.get_by_role("button", name="Back").click()
    settle(browsed)
    assert panel.locator("th").all_inner_texts() == ["x", "y", "H(x)"]
    for _ in range(5):
        panel.get_by_role("button", name="Next").click()
    settle(browsed)
    assert panel.locator("th").all_inner_texts() == ["x", "y", "H(x)", "H(x) − y", "error · x"]
    told = " ".join(panel.locator("li").all_inner_texts())
    for number in ("−14", "−28", "−0.28", "= 0.28"):
        assert number in told


def test_keys_move_the_rate_and_the_epoch(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    rate = browsed.get_by_role("slider", name="Learning rate", exact=True)
    rate.focus()
    browsed.keyboard.press("ArrowRight")
    settle(browsed)
    assert float(browsed.get_by_role("textbox", name="Learning rate as a number").input_value()) == pytest.approx(0.153)
    browsed.keyboard.press("Shift+ArrowRight")
    browsed.keyboard.press("Shift+ArrowRight")
    settle(browsed)
    assert "diverges" in browsed.inner_text(".status")
    browsed.get_by_role("button", name="Largest safe").click()
    settle(browsed)
    assert "overshoots and converges" in browsed.inner_text(".status")
    browsed.get_by_role("slider", name="Epoch shown").focus()
    browsed.keyboard.press("Home")
    settle(browsed)
    assert browsed.get_attribute(".panel.table tr[aria-current]", "data-t") == "0"


def test_typed_rates_are_read_or_put_back(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    box = browsed.get_by_role("textbox", name="Learning rate as a number")
    typed = [("0.2", "0.2"), ("0,1", "0.1"), ("-1", "0.1"), ("abc", "0.1"), ("1e-3", "0.001"), ("", "0.001")]
    for given, kept in typed:
        box.fill(given)
        box.press("Enter")
        settle(browsed)
        assert box.input_value() == kept


def test_points_and_the_start_are_dragged_and_moved_by_keys(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    point = browsed.get_by_role("slider", name="Point 3")
    box = point.bounding_box()
    browsed.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    browsed.mouse.down()
    for part in range(1, 6):  # a frame for each: what is dragged must outlive them
        browsed.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 12 * part)
        settle(browsed)
    moved = point.bounding_box()
    assert moved["y"] == pytest.approx(box["y"] + 60, abs=2)
    browsed.mouse.up()
    settle(browsed)
    points = address_of(browsed).split("p=")[1].split("&")[0]
    rows = [list(map(float, row.split(","))) for row in points.split(";")]
    assert rows[2][1] < 2.3
    assert rows[:2] == [[1, 1], [2, 2]]
    goal = dl.Problem([row[0] for row in rows], [row[1] for row in rows], bias=False).solve().params[0]
    run = dl.descend(dl.Problem([r[0] for r in rows], [r[1] for r in rows], bias=False), lr=0.15, epochs=10)
    assert float(table(browsed)[-1][1]) == pytest.approx(float(run.params[0]), abs=6e-4)
    assert abs(float(run.params[0]) - goal) < 0.01
    start = browsed.get_by_role("slider", name="The start")
    box = start.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    browsed.mouse.move(x, y)
    browsed.mouse.down()
    for part in range(1, 6):  # under the pointer all the way
        browsed.mouse.move(x + 8 * part, y)
        settle(browsed)
    assert start.bounding_box()["x"] + box["width"] / 2 == pytest.approx(x + 40, abs=3)
    browsed.mouse.up()
    settle(browsed)
    before = float(start.get_attribute("aria-valuenow"))
    start.focus()
    browsed.keyboard.press("Shift+ArrowLeft")
    settle(browsed)
    assert float(start.get_attribute("aria-valuenow")) < before - 0.05
    assert watched.complaints == []


def test_it_plays_and_says_why_it_stopped(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&e=0&n=4")
    browsed.get_by_role("button", name="Play", exact=True).click()
    browsed.wait_for_function("() => document.querySelector('.status').textContent.includes('Stopped')")
    assert "Stopped after all 4 epochs, without settling within 1%." in browsed.inner_text(".status")
    opened(watched, tmp_path, address="#v=1&e=0&n=400&lr=0.3")
    browsed.get_by_role("button", name="Play", exact=True).click()
    browsed.wait_for_function("() => document.querySelector('.status').textContent.includes('Stopped')")
    assert "times its starting value" in browsed.inner_text(".status")


def test_the_same_trajectory_is_kept_across_reductions(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&lr=0.1")
    before = table(browsed)
    browsed.get_by_label("keep the trajectory").check()
    browsed.get_by_role("button", name="sum", exact=True).click()
    settle(browsed)
    typed = browsed.get_by_role("textbox", name="Learning rate as a number").input_value()
    assert float(typed) == pytest.approx(0.1 / 3)
    assert [row[:2] for row in table(browsed)] == [row[:2] for row in before]


def test_forgetting_zero_grad_is_momentum_one(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    browsed.get_by_label("forget zero_grad").check()
    settle(browsed)
    run = dl.descend(PROBLEMS["lesson"][0], lr=0.15, epochs=10, zero_grad=False)
    shown = [float(row[1].replace("−", "-")) for row in table(browsed)]
    np.testing.assert_allclose(shown[:-1], run.history.params[:10, 0], atol=6e-4)
    assert "oscillate forever" in browsed.inner_text(".status")


def test_pasted_data_is_fitted_and_what_is_wrong_with_it_said(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    browsed.locator("summary", has_text="Your own").click()
    paste = browsed.get_by_role("textbox", name="CSV text")
    use = browsed.get_by_role("button", name="Use it")
    for text, said in (
        ("1", "fewer than two lines"),
        ("a,b\n1,2\n3", "Line 3 has 1 cell instead of 2"),
        ("a,b\nx,y\nz,w", "it contains text, such as “x”"),
    ):
        paste.fill(text)
        use.click()
        settle(browsed)
        assert said in browsed.inner_text(".source [role=status]")
    paste.fill("size,rooms,price\n50,2,110\n80,3,160\n65,2,130\n120,4,250\n95,4,200\n")
    use.click()
    settle(browsed)
    assert "5 rows, 3 columns" in browsed.inner_text(".source [role=status]")
    problem = dl.Problem([[50, 2], [80, 3], [65, 2], [120, 4], [95, 4]], [110, 160, 130, 250, 200])
    lr = float(browsed.get_by_role("textbox", name="Learning rate as a number").input_value())
    assert lr == pytest.approx(problem.spectrum().lr_bound() / 2, rel=0.05)
    run = dl.descend(problem, lr=lr, epochs=10)
    assert float(table(browsed)[9][-1]) == pytest.approx(run.history.cost[9], rel=1e-5)
    browsed.get_by_role("combobox", name="Target").select_option("rooms")
    settle(browsed)
    other = dl.Problem([[50, 110], [80, 160], [65, 130], [120, 250], [95, 200]], [2, 3, 2, 4, 4])
    lr = float(browsed.get_by_role("textbox", name="Learning rate as a number").input_value())
    assert float(table(browsed)[9][-1]) == pytest.approx(dl.descend(other, lr=lr, epochs=10).history.cost[9], rel=1e-5)


@pytest.mark.parametrize(
    ("lang", "question", "read"),
    [("en", "“1.200” can be read in two ways", "3 rows, 3 columns"), ("ko", "“1.200”은 두 가지로", "3행, 3열")],
)
def test_what_can_be_read_in_two_ways_is_asked_and_the_answer_read_on(
    watched: Watched, tmp_path: Path, lang: str, question: str, read: str
) -> None:
    browsed = opened(watched, tmp_path, lang=lang)
    browsed.locator("details.source summary").click()
    told, answers = browsed.locator(".source [role=status]"), browsed.locator(".source [role=group] button")
    browsed.locator("details.source textarea").fill("a;b;y\n1.200;1;2\n900;?;3\n1.500;5;1\n1.100;2;7\n")
    browsed.locator("details.source button").first.click()
    assert question in told.inner_text()
    assert answers.all_inner_texts() == ["1200", "1.2"]
    browsed.keyboard.press("Tab")  # over the file
    browsed.keyboard.press("Tab")
    browsed.keyboard.press("Enter")
    assert "“?”" in told.inner_text()
    assert browsed.evaluate("() => document.activeElement.textContent") == answers.first.inner_text()
    browsed.keyboard.press("Enter")
    settle(browsed)
    assert read in told.inner_text()
    assert answers.count() == 0
    run = dl.descend(dl.Problem([[1200, 1], [1500, 5], [1100, 2]], [2, 1, 7]), lr=1e-9, epochs=1)
    assert float(table(browsed)[0][-1].replace(",", "")) == pytest.approx(run.history.cost[0], rel=1e-5)
    assert watched.complaints == []


def test_another_language_keeps_everything_else(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&lr=0.05&n=20")
    before = [row[1:] for row in table(browsed)]
    browsed.get_by_role("button", name="한국어").click()
    browsed.wait_for_selector(".descentlab[lang=ko]")
    settle(browsed)
    assert [row[1:] for row in table(browsed)] == before
    assert "에포크부터" in browsed.inner_text(".status")
    assert browsed.locator("h1").inner_text() == "경사하강법 실험실"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("#v=2&lr=0.1", "another version"),
        ("#lr=0.1", "another version"),
        ("#v=1&lr=abc", "damaged"),
        ("#v=1&lr=-1", "damaged"),
        ("#v=1&what=1", "damaged"),
        ("#v=1&lr=%E0%A4%A", "damaged"),
        ("#v=1&d=no-such-data", "damaged"),
        ("#v=1&p=1,2;3", "damaged"),
        ("#v=1&n=1e9", "damaged"),
    ],
)
def test_an_address_that_cannot_be_read_opens_the_lesson_and_says_so(
    watched: Watched, tmp_path: Path, address: str, said: str
) -> None:
    browsed = opened(watched, tmp_path, address=address)
    settle(browsed)
    assert said in browsed.inner_text(".notice")
    assert table(browsed)[1][1] == "1.400"
    assert watched.complaints == []


def test_a_teachers_link_hides_controls(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&hide=momentum,code,data,rate")
    settle(browsed)
    for hidden in (".momentum", ".panel.code", ".control.data", ".control.rate"):
        assert not browsed.locator(hidden).first.is_visible()
    for shown in (".panel.cost", ".transport", ".reduction"):
        assert browsed.locator(shown).first.is_visible()


def test_a_saved_page_opens_in_the_state_it_was_saved_in(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&lr=0.07&n=25")
    before = table(browsed)
    open_saved(browsed, tmp_path)
    assert table(browsed) == before
    assert watched.complaints == []


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("name", ["lesson", "many"])
def test_saved_pictures_are_one_that_stands_alone(watched: Watched, tmp_path: Path, name: str, lang: str) -> None:
    browsed = opened(watched, tmp_path, name, "#v=1&th=dark", lang=lang)
    settle(browsed)
    titles = [each.text_content() for each in browsed.locator(".panel:has(svg.picture) h2").all()]
    browsed.locator(".share > summary").click()
    with browsed.expect_download() as downloading:
        browsed.locator(".sheet button").nth(2).click()
    saved = tmp_path / "saved.svg"
    downloading.value.save_as(saved)
    texts = [each.text for each in ElementTree.parse(saved).iter("{http://www.w3.org/2000/svg}text")]  # valid XML
    assert [text for text in texts if text in titles] == titles
    browsed.goto(saved.as_uri())
    paper, sizes, room = browsed.evaluate(
        """() => {
          const texts = [...document.querySelectorAll("text")];
          const all = texts.filter((each) => each.checkVisibility() && each.textContent);
          const boxes = all.map((each) => each.getBoundingClientRect());
          const { width, height } = document.documentElement.getBoundingClientRect();
          const out = boxes.filter((b) => b.left < 0 || b.top < 0 || b.right > width || b.bottom > height);
          const sizes = [...new Set(all.map((each) => getComputedStyle(each).fontSize))];
          return [document.querySelector("rect").getAttribute("fill"), sizes, out.length];
        }"""
    )
    assert paper == "rgb(21, 24, 28)"
    assert set(sizes) <= {"11.5px", "12px", "13px", "14px"}
    assert room == 0
    assert watched.complaints == []


def test_no_rule_of_accessibility_is_broken(watched: Watched, tmp_path: Path) -> None:
    rules = (files("axe_core_python") / "axe.min.js").read_text("utf-8")
    for name in ("lesson", "many"):
        for address in ("#v=1", "#v=1&th=dark&l=ko"):
            browsed = opened(watched, tmp_path, name, address)
            settle(browsed)
            browsed.evaluate(rules)
            found = browsed.evaluate("() => axe.run(document)")
            assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found["violations"]] == []


def test_everything_that_can_be_moved_has_a_name(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    snapshot = browsed.locator(".descentlab").aria_snapshot()
    for line in snapshot.splitlines():
        if line.strip().startswith(("- slider", "- button", "- checkbox", "- combobox", "- textbox", "- spinbutton")):
            assert '"' in line, line
    for name in ("Learning rate", "Momentum", "Epoch shown", "The start", "Point 1", "Learning rate and momentum"):
        assert f'slider "{name}"' in snapshot
    assert 'heading "Gradient descent lab"' in snapshot
    assert "status" in snapshot


@pytest.mark.parametrize("width", [390, 820, 1280])
@pytest.mark.parametrize("name", ["lesson", "many"])
def test_no_width_overflows(watched: Watched, tmp_path: Path, name: str, width: int) -> None:
    watched.page.set_viewport_size({"width": width, "height": 844})
    browsed = opened(watched, tmp_path, name)
    settle(browsed)
    assert browsed.evaluate("() => document.documentElement.scrollWidth") <= width


def test_states_make_the_round_trip_through_the_address(watched: Watched, tmp_path: Path) -> None:
    """Random states, written to the address and read again by a page of its own."""
    browsed = opened(watched, tmp_path)
    draw = np.random.default_rng(3)
    for reduction in ("mean", "half_mean", "sum", "half_sum") * 2:
        state = {
            "lr": float(f"{10 ** draw.uniform(-4, 0.5):.3g}"),
            "n": int(draw.integers(1, 500)),
            "m": float(f"{draw.uniform(0, 1):.2f}"),
            "r": reduction,
            "b": int(draw.integers(0, 2)),
            "k": int(draw.integers(1, 9)),
        }
        address = "#v=1&" + "&".join(f"{key}={value}" for key, value in state.items())
        browsed.goto("about:blank")
        browsed.goto((tmp_path / "lab.html").as_uri() + address)
        browsed.wait_for_selector(".descentlab .status:not(:empty)")
        settle(browsed)
        written = dict(part.split("=") for part in address_of(browsed)[1:].split("&"))
        base = {"lr": 0.15, "n": 10, "m": 0, "r": "mean", "b": 0, "k": 1}
        assert {key: str(value) for key, value in written.items() if key != "v"} == {
            key: json.dumps(value).strip('"') if not isinstance(value, str) else value
            for key, value in state.items()
            if value != base[key]
        }
        assert browsed.inner_text(".notice") == ""
    assert watched.complaints == []


def test_a_link_keeps_the_chosen_columns_and_their_names(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    browsed.locator("summary", has_text="Your own").click()
    browsed.get_by_role("textbox", name="CSV text").fill("size,rooms,price\n50,2,110\n80,3,160\n65,2,130\n120,4,250\n")
    browsed.get_by_role("button", name="Use it").click()
    browsed.get_by_role("combobox", name="Target").select_option("rooms")
    browsed.get_by_label("size", exact=True).uncheck()
    settle(browsed)
    before, address = table(browsed), address_of(browsed)
    browsed.goto("about:blank")
    browsed.goto((tmp_path / "lab.html").as_uri() + address)
    browsed.wait_for_selector(".descentlab .status:not(:empty)")
    settle(browsed)
    assert table(browsed) == before
    assert browsed.get_by_role("combobox", name="Target").input_value() == "rooms"
    assert not browsed.get_by_label("size", exact=True).is_checked()
    assert browsed.inner_text(".notice") == ""


def test_the_page_has_keys_of_its_own(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&n=40")
    browsed.keyboard.press("r")
    settle(browsed)
    assert browsed.get_attribute(".panel.table tr[aria-current]", "data-t") == "0"
    browsed.keyboard.press("Shift+ArrowRight")
    browsed.keyboard.press("ArrowRight")
    settle(browsed)
    assert "11 updates" in browsed.inner_text(".transport")
    browsed.keyboard.press(" ")
    browsed.wait_for_function("() => document.querySelector('.status').textContent.includes('Stopped')")


COLLIDING = """() => [...document.querySelectorAll('.panel .picture')].flatMap((picture) => {
  const frame = picture.getBoundingClientRect();
  const seen = (each) => each.textContent && getComputedStyle(each).visibility === 'visible';
  const boxes = [...picture.querySelectorAll('text')]
    .filter(seen)
    .map((each) => ({ text: each.textContent, box: each.getBoundingClientRect() }))
    .filter(({ box }) => box.width > 0);
  const beside = (a, b) => a.right < b.left + 1 || b.right < a.left + 1;
  const above = (a, b) => a.bottom < b.top + 4 || b.bottom < a.top + 4;
  const apart = ({ box: a }, { box: b }) => beside(a, b) || above(a, b);
  const clipped = boxes
    .filter(({ box }) => box.left < frame.left - 2 || box.right > frame.right + 2)
    .map(({ text }) => `clipped: ${text}`);
  const pairs = boxes
    .flatMap((a, i) => boxes.slice(i + 1).filter((b) => !apart(a, b)).map((b) => `${a.text} | ${b.text}`));
  return [...clipped, ...pairs];
})"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PROBLEMS)
def test_no_label_lies_on_another(watched: Watched, tmp_path: Path, name: str, width: int) -> None:
    """In every picture, at the start, on the way and at the end; nor is one cut off."""
    watched.page.set_viewport_size({"width": width, "height": 900})
    times = {"m": (0.0, 0.5, 0.9, 0.2), "log": (1, 0, 1, 0), "e": (0, 3, 10, 1)}
    browsed = opened(watched, tmp_path, name)
    for m, log, e in zip(*times.values(), strict=True):
        for lang in ("en", "ko"):
            browsed.evaluate(f"() => {{ location.hash = 'v=1&l={lang}&m={m}&log={log}&e={e}'; }}")
            browsed.wait_for_timeout(150)  # milliseconds: the panels below are drawn when things have come to rest
            assert browsed.evaluate(COLLIDING) == [], (m, log, e, lang)


def test_long_numbers_lie_apart_on_a_phone(watched: Watched, tmp_path: Path) -> None:
    """Epoch timestamps below, and millions at the left."""
    watched.page.set_viewport_size({"width": 390, "height": 900})
    rows = "1700000000,25000000;1700000400,25000010;1700000900,25000040"
    browsed = opened(watched, tmp_path, address=f"#v=1&p={rows}&b=1&lr=1e-20")
    browsed.wait_for_timeout(120)  # milliseconds
    assert browsed.evaluate(COLLIDING) == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("#v=1&p=0,1;0,2&b=0", "Nothing moves: the cost is the same for all parameters."),
        ("#v=1&s=1", "Nothing moves: the start is at the minimum."),
        ("#v=1&lr=0.05", "Each epoch multiplies the error by 0.5333: it approaches the minimum from one side."),
        ("#v=1&m=0.5", "In the long run, each epoch multiplies the error by 0.7071: it overshoots and converges."),
        (
            "#v=1&p=1,1;2,2;3,4&b=1&lr=0.16",
            "It overshoots along W and converges. Each epoch multiplies the error there by",
        ),
    ],
)
def test_the_status_says_what_errors_do(watched: Watched, tmp_path: Path, address: str, said: str) -> None:
    browsed = opened(watched, tmp_path, address=address)
    settle(browsed)
    assert browsed.inner_text(".status").startswith(said)
    assert browsed.locator(".panel.map").is_visible() == ("same for all" not in said)


def test_what_a_link_cannot_carry_is_said(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    share = browsed.locator("details.share")
    said = share.locator("p")
    browsed.locator("summary", has_text="Your own").click()
    for rows, silent in ((60, True), (61, False)):
        text = "x,y\n" + "\n".join(f"{i},{i % 7}" for i in range(rows))
        browsed.get_by_role("textbox", name="CSV text").fill(text)
        browsed.get_by_role("button", name="Use it").click()
        settle(browsed)
        share.locator("summary").click()
        assert said.is_hidden() == silent
        browsed.keyboard.press("Escape")
        assert share.get_attribute("open") is None
        assert browsed.evaluate("() => document.activeElement.textContent") == "Share"
    share.locator("summary").click()
    browsed.locator("h1").click()
    assert share.get_attribute("open") is None


def test_the_focus_stays_where_it_was_pressed(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&e=9")
    on = browsed.get_by_role("button", name="One epoch forward")
    on.focus()
    for _ in range(3):
        browsed.keyboard.press("Enter")
        settle(browsed)
    assert on.get_attribute("aria-disabled") == "true"
    assert browsed.evaluate("() => document.activeElement.ariaLabel") == "One epoch forward"
    browsed.get_by_role("button", name="한국어").focus()
    browsed.keyboard.press("Enter")
    browsed.wait_for_selector(".descentlab[lang=ko]")
    assert browsed.evaluate("() => document.activeElement.textContent") == "English"


def test_columns_as_people_name_them(watched: Watched, tmp_path: Path) -> None:
    """The same name twice is refused; long names and many columns are all there, on a phone too."""
    watched.page.set_viewport_size({"width": 390, "height": 844})
    browsed = opened(watched, tmp_path)
    browsed.locator("summary", has_text="Your own").click()
    paste, use = browsed.get_by_role("textbox", name="CSV text"), browsed.get_by_role("button", name="Use it")
    paste.fill("a,a,y\n1,2,3\n2,3,5\n4,1,2\n")
    use.click()
    settle(browsed)
    assert "Two columns are called a." in browsed.inner_text(".source [role=status]")
    names = [f"a very long name of column number {j} that nobody would like to read" for j in range(15)]
    draw = np.random.default_rng(0)
    rows = [",".join(f"{value:.3f}" for value in draw.normal(size=15)) for _ in range(30)]
    paste.fill(",".join(names) + "\n" + "\n".join(rows))
    use.click()
    settle(browsed)
    assert browsed.locator(".features input").count() == 14
    assert browsed.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert browsed.evaluate(COLLIDING) == []
    assert "The first 4 of 15 parameters" in browsed.inner_text(".panel.table figcaption")
    browsed.locator(".panel.table summary").click()
    settle(browsed)
    assert browsed.locator(".panel.table details tbody tr").count() == 15


def test_findings_stand_beside_their_own_data_only(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, "many")
    findings = browsed.locator(".findings")
    assert findings.is_visible()
    assert findings.locator("code").count() > 0
    browsed = opened(watched, tmp_path, "many", "#v=1&p=1,1;2,2;3,4")
    assert browsed.locator(".findings").is_hidden()


def test_another_speed_does_not_jump(watched: Watched, tmp_path: Path) -> None:
    """Two seconds at 2 epochs a second, then 20: the epoch goes on from where it is."""
    browsed = opened(watched, tmp_path, address="#v=1&n=24&e=0&lr=0.01")
    browsed.get_by_role("combobox", name="Speed").select_option("slow")
    browsed.get_by_role("button", name="Play", exact=True).click()
    browsed.wait_for_function("() => Number(document.querySelector('.transport [type=range]').value) >= 3")
    before = int(browsed.get_by_role("slider", name="Epoch shown").input_value())
    browsed.get_by_role("combobox", name="Speed").select_option("fast")
    settle(browsed)
    assert before <= int(browsed.get_by_role("slider", name="Epoch shown").input_value()) <= before + 4


@pytest.mark.parametrize(
    ("address", "row"),
    [("#v=1&r=sum&lr=1&n=25", 25), ("#v=1&p=5,1;5,2;5,3&b=1&z=1&n=12", 12), ("#v=1&r=sum&lr=1&n=40&b=1&e=3", 4)],
)
def test_the_code_by_hand_does_what_the_page_shows(watched: Watched, tmp_path: Path, address: str, row: int) -> None:
    """Also where whole numbers would overflow, and where a column is constant."""
    browsed = opened(watched, tmp_path, address=address)
    browsed.get_by_role("button", name="NumPy by hand").click()
    browsed.wait_for_timeout(150)
    code = browsed.locator(".panel.code code").inner_text()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed = float(done.stdout.splitlines()[row - 1].split()[-1])
    shown = next(cells[-1] for cells in table(browsed) if cells[0] == str(row))
    assert printed == pytest.approx(float(shown.replace("−", "-").replace(",", "")), rel=1e-5)


def test_a_rate_that_would_diverge_from_elsewhere_is_told_apart(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&r=sum&lr=0.3&s=1")
    said = browsed.inner_text(".status")
    assert said.startswith("Nothing moves: the start is at the minimum. From almost any other start this rate diverges")
    assert "multiplies" not in said


def test_a_cost_that_is_no_number_is_not_drawn(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, address="#v=1&r=sum&lr=1e9&n=30")
    drawn = browsed.evaluate("() => document.querySelector('.history .future').getAttribute('d')")
    first, *others = drawn.split("L")  # the first update leaves the frame, and nothing comes back
    assert [each.split()[1] for each in others] == ["24.00"], drawn  # drawn to the frame's upper edge
    assert float(first.split()[1]) > 24


def test_a_link_without_its_data_says_so(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path)
    browsed.locator("summary", has_text="Your own").click()
    browsed.get_by_role("textbox", name="CSV text").fill("x,y\n" + "\n".join(f"{i},{i % 7}" for i in range(61)))
    browsed.get_by_role("button", name="Use it").click()
    settle(browsed)
    before, address = table(browsed), address_of(browsed)
    open_saved(browsed, tmp_path)
    assert (table(browsed), browsed.inner_text(".notice")) == (before, "")
    browsed = opened(watched, tmp_path, address=address)
    settle(browsed)
    assert "data it could not contain" in browsed.inner_text(".notice")
    assert table(browsed)[1][1] == "1.400"


@pytest.mark.parametrize(
    ("encoding", "target"),
    [("utf-8", "가격"), ("utf-8-sig", "가격"), ("cp949", "가격"), ("utf-16", "가격"), ("cp1252", "Größe (°C)")],
)
def test_a_file_is_read_in_the_encoding_it_has(watched: Watched, tmp_path: Path, encoding: str, target: str) -> None:
    browsed = opened(watched, tmp_path)
    path = tmp_path / "집.csv"
    path.write_bytes(f"x,{target}\n50,110\n80,160\n65,130\n".encode(encoding))
    browsed.locator("summary", has_text="Your own").click()
    browsed.locator("input[type=file]").set_input_files(path)
    browsed.wait_for_function("() => document.querySelector('.source [role=status]').textContent.includes('3 rows')")
    settle(browsed)
    assert target in browsed.inner_text(".headline")
    other = tmp_path / "other.csv"
    for content, said in (
        (b"a,b\n\xff\xff\xff,1\n", "encoding of the file is not certain"),
        (b"PK\0", "not a text file"),
    ):
        other.write_bytes(content)
        browsed.locator("input[type=file]").set_input_files([])
        browsed.locator("input[type=file]").set_input_files(other)
        browsed.wait_for_function(
            f"() => document.querySelector('.source [role=status]').textContent.includes('{said}')"
        )
