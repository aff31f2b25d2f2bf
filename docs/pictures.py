"""``python docs/pictures.py``: the lab's page as docs/lab.md and the READMEs show it, by Chromium without a window."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from PIL import Image

import descentlab as dl
from descentlab.lab.lab import Lab

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).parent / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT, MARGIN = 1280, 1400, 12  # pixels
COLOURS = 128  # of a flat drawing: more cannot be told apart
LARGEST = 150_000  # bytes of one picture
WHOLE, STATUS, VIEWS = "body", ".descentlab .status", ".descentlab .views"

# The state that the page's address asks for, and where the picture begins; all end below the table.
DIVERGING = "r=mean&lr=0.3&n=20&e=5"
CONTOURS = "r=mean&b=1&lr=0.16&n=40"
SHOTS = {
    "lesson-en": ("l=en&th=light", WHOLE),
    "lesson-ko": ("l=ko&th=dark", WHOLE),
    "diverging-en": (f"l=en&th=light&{DIVERGING}", STATUS),
    "diverging-ko": (f"l=ko&th=dark&{DIVERGING}", STATUS),
    "contours-en": (f"l=en&th=light&{CONTOURS}", STATUS),
    "contours-ko": (f"l=ko&th=dark&{CONTOURS}", STATUS),
}


def main() -> None:
    """Write every picture anew."""
    FOLDER.mkdir(exist_ok=True)
    lesson = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    lab = Lab.from_problem(lesson, None, "lesson", {"lr": 0.01, "reduction": "sum", "epochs": 10})
    with TemporaryDirectory() as folder, opened() as page:
        file = Path(folder) / "lab.html"
        lab.save(file)
        for name, (state, first) in SHOTS.items():
            page.goto("about:blank")  # else the next address is the same page's, and is not opened anew
            page.goto(f"{file.as_uri()}#v=1&{state}")
            page.wait_for_selector(f"{VIEWS} tbody tr")
            size = taken(page, FOLDER / f"{name}.png", first)
            print(f"{name}.png  {size:,} bytes")
            if size > LARGEST:
                sys.exit(f"{name}.png is larger than {LARGEST:,} bytes")


def taken(page: Page, path: Path, first: str) -> int:
    """The size of the picture, once it is on disk: from the top of ``first`` to the end of the four views."""
    page.wait_for_timeout(300)  # milliseconds, in which what moves comes to rest
    begin, end = page.locator(first).first.bounding_box(), page.locator(VIEWS).first.bounding_box()
    if begin is None or end is None:
        sys.exit(f"{path.name}: the page is not there")
    top = max(begin["y"] - MARGIN, 0)
    height = end["y"] + end["height"] + MARGIN - top
    shot = page.screenshot(clip={"x": 0, "y": top, "width": WIDTH, "height": height})
    Image.open(BytesIO(shot)).convert("RGB").quantize(COLOURS).save(path, optimize=True)  # a third of the bytes
    return path.stat().st_size


@contextmanager
def opened() -> Iterator[Page]:
    """A page of the Chromium on this machine."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit("no Chromium found; install it: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1)
        browser.close()


if __name__ == "__main__":
    main()
