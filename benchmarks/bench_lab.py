"""The lab's page in Chromium: how large it is, when its charts stand, what a slider event costs, what memory does."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import descentlab as dl
from benchmarks.measure import Row, report
from descentlab.lab.page import render_lab_page

EVENTS, MANY = 200, 10_000
ROWS = 10_000_000

# A slider event as a person makes one: the value moves, and the page draws the frame.
SLIDE = """(count) => new Promise((done) => {
  const slider = document.querySelector(".rail input");
  let i = 0;
  const step = () => {
    if (i === count) return done();
    slider.value = 500 + (i % 100);
    i += 1;
    slider.dispatchEvent(new Event("input"));
    requestAnimationFrame(step);
  };
  step();
})"""


def problems() -> dict[str, dl.Problem]:
    rng = np.random.default_rng(0)
    x, wide = rng.uniform(0, 5, 500), rng.standard_normal((500, 10))
    many = rng.standard_normal(ROWS)
    return {
        "the lesson, 3 rows": dl.Problem([1, 2, 3], [1, 2, 3], bias=False),
        "one feature, 500 rows": dl.Problem(x, 2 * x + 1 + rng.standard_normal(500)),
        "ten features, 500 rows": dl.Problem(wide, wide.sum(axis=1) + rng.standard_normal(500)),
        "one feature, 10 million rows": dl.Problem(many, 2 * many + 1 + rng.standard_normal(ROWS)),
    }


def main() -> None:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        print("The lab's page is measured in Chromium; install it: apt-get install chromium")
        return
    from playwright.sync_api import sync_playwright

    rows: list[Row] = []
    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, problem in problems().items():
            text = render_lab_page(problem.lab(epochs=100).spec)
            file = Path(folder) / "lab.html"
            file.write_text(text, "utf-8")
            rows += measured(browser, file, name, len(text.encode()))
        browser.close()
    report(
        "lab",
        "The lab's page",
        rows,
        f"A slider event is Chromium's TaskDuration over {EVENTS} moves of the learning rate, drawn frames included, "
        "divided by their number; charts stand when the status sentence does, from the navigation's start on. Rendered "
        "in software.",
    )


def measured(browser: Any, file: Path, name: str, size: int) -> list[Row]:
    """One page: its size, its start, its slider."""
    starts = []
    for _ in range(5):
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        began = time.perf_counter()
        opened.goto(file.as_uri())
        opened.wait_for_selector(".descentlab .status:not(:empty)")
        starts.append(time.perf_counter() - began)
        opened.close()
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(file.as_uri())
    opened.wait_for_selector(".descentlab .status:not(:empty)")
    session = opened.context.new_cdp_session(opened)
    session.send("Performance.enable")
    opened.evaluate(SLIDE, EVENTS)  # warm
    costs = []
    for _ in range(5):
        before = metric(session, "TaskDuration")
        opened.evaluate(SLIDE, EVENTS)
        costs.append((metric(session, "TaskDuration") - before) / EVENTS)
    cost, start = statistics.median(costs), statistics.median(starts)
    rows = [
        Row(f"{name}: page", f"{size / 1e3:.0f} kB", "", "under 100 kB", size < 100_000),
        Row(f"{name}: charts stand after", f"{start:.2f} s", "", "under 0.5 s", start < 0.5),
        Row(f"{name}: a slider event", f"{cost * 1e3:.1f} ms", "", "under 8 ms", cost < 0.008),
    ]
    if name.startswith("the lesson"):
        heap = [collected(session)]
        for _ in range(2):
            opened.evaluate(SLIDE, MANY // 2)
            heap.append(collected(session))
        grown = (heap[-1] - heap[1]) / 1e6
        figure = f"{grown:+.2f} MB over the second half of {MANY:,} events"
        rows.append(Row(f"{name}: memory", figure, "", "flat: under 0.5 MB", grown < 0.5))
    opened.close()
    return rows


def metric(session: Any, name: str) -> float:
    return next(
        float(each["value"]) for each in session.send("Performance.getMetrics")["metrics"] if each["name"] == name
    )


def collected(session: Any) -> float:
    """Bytes on the heap once the garbage is gone."""
    session.send("HeapProfiler.collectGarbage")
    return metric(session, "JSHeapUsedSize")
