"""A lab in hand: in a notebook, in a file, in a browser."""

from __future__ import annotations

import webbrowser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import descentlab as dl
from descentlab.errors import SettingError
from descentlab.lab.page import render_lab_page
from tests.browsing import Watched
from tests.lab.test_page import HOSTILE, Seen

LESSON = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)


def test_a_notebook_gets_the_page_in_a_frame_of_its_own() -> None:
    lab = dl.Problem([[1, 2], [3, 5], [5, 4]], [1, 2, 4], features=HOSTILE[:2]).lab(lr=0.1, name='a "quoted" & <b>name')
    seen: list[tuple[str, dict[str, str | None]]] = []

    class Outer(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, dict(attrs)))

        def handle_data(self, data: str) -> None:
            left.append(data)

    left: list[str] = []
    Outer().feed(lab._repr_html_())
    [(tag, attributes)] = seen
    assert tag == "iframe"
    assert attributes["srcdoc"] == lab.html
    assert attributes["sandbox"] == "allow-scripts allow-downloads"
    assert attributes["width"] == "100%"
    assert attributes["title"] == "Gradient descent lab"
    assert "Trust Notebook" in "".join(left)  # what JupyterLab leaves of it in a notebook that is not trusted


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_saved_file_is_the_page(tmp_path: Path, lang: str) -> None:
    lab = LESSON.lab(lr=0.1)
    lab.save(tmp_path / "lab.html", lang=lang)
    assert (tmp_path / "lab.html").read_text("utf-8") == render_lab_page(lab.spec, lang)
    lab.save(tmp_path / "lab.html", lang="en")  # as other outputs, it is written anew
    assert (tmp_path / "lab.html").read_text("utf-8") == lab.html
    with pytest.raises(SettingError, match=r"saved as \.html"):
        lab.save(tmp_path / "lab.pdf")
    assert not (tmp_path / "lab.pdf").exists()


def test_it_opens_in_a_browser_from_a_temporary_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lab = LESSON.lab(lr=0.1)
    path = lab.open()
    assert path.parent == tmp_path
    assert path.read_text("utf-8") == lab.html
    assert [unquote(urlsplit(each).path) for each in opened] == [str(path)]
    assert path.stat().st_mode & 0o077 == 0


def test_a_run_shows_its_own_settings() -> None:
    run = dl.descend(LESSON, lr=0.01, reduction="sum", momentum=0.5, epochs=4, start=[3])
    settings = run.lab("lesson").spec["settings"]
    assert {name: settings[name] for name in ("lr", "reduction", "momentum", "epochs", "start")} == {
        "lr": 0.01,
        "reduction": "sum",
        "momentum": 0.5,
        "epochs": 4,
        "start": [3.0],
    }
    assert run.lab("lesson").spec["name"] == "lesson"


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_diagnosis_saves_a_page_with_its_findings(tmp_path: Path, lang: str) -> None:
    found = dl.diagnose(LESSON, lr=0.1, reduction="sum")
    assert isinstance(found, dl.Diagnosis)
    found.save(tmp_path / "report.html", lang=lang, name="lesson")
    seen = Seen((tmp_path / "report.html").read_text("utf-8"))
    assert dict(seen.tags)["html"]["lang"] == lang
    for finding in found.findings:  # in the language for those without scripts, in both for the page's own
        assert finding.text(lang) in seen.texts["p"]
        assert finding.text("ko") in seen.texts["descentlab-spec"].replace("\\u003c", "<").replace("\\u003e", ">")


def test_settings_come_once() -> None:
    with pytest.raises(SettingError, match="Put them into the Descent"):
        LESSON.lab(dl.Descent(lr=0.1), epochs=3)


def test_a_lab_says_what_it_is_of() -> None:
    assert repr(dl.Problem([[1, 2], [2, 1]], [1, 2]).lab()) == "Lab(y ~ x1 + x2; 2 rows)"


def test_the_frame_works_within_another_page(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>n</title><link rel=icon href='data:,'>{LESSON.lab(lr=0.1)._repr_html_()}")
    watched.page.goto(path.as_uri())
    watched.page.wait_for_timeout(300)
    frame = watched.page.frames[1]
    assert frame.evaluate("document.getElementById('descentlab').innerText.length") > 0
    assert watched.complaints == []
    assert [each for each in watched.requests if not each.startswith(("data:", "blob:", "about:"))] == [path.as_uri()]


def test_the_frame_is_as_high_as_its_page_and_has_the_notebooks_theme(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "notebook.html"
    labs = "".join(LESSON.lab(lr=lr)._repr_html_() for lr in (0.1, 0.2))
    path.write_text(f"<!doctype html><title>n</title><body data-jp-theme-light='false'>{labs}")
    watched.page.goto(path.as_uri())
    fits = """([width]) => {
      const page = document.querySelector(".descentlab.dark")?.getBoundingClientRect();
      return page?.height > 1000 && innerWidth < width && innerHeight === Math.ceil(page.height);
    }"""
    for width in (1200, 700):
        watched.page.set_viewport_size({"width": width, "height": 8000})  # a frame out of sight is not drawn
        for frame in watched.page.frames[1:]:
            frame.wait_for_function(fits, arg=[width], polling=50)
    assert watched.complaints == []


def test_a_page_in_a_frame_has_no_link_to_copy_and_is_saved_without_the_notebook(
    watched: Watched, tmp_path: Path
) -> None:
    path, saved = tmp_path / "notebook.html", tmp_path / "saved.html"
    frame_html = LESSON.lab(lr=0.1)._repr_html_()
    path.write_text(f"<!doctype html><title>n</title><body data-jp-theme-light='false'>{frame_html}")
    watched.page.goto(path.as_uri())
    frame = watched.page.frame_locator("iframe")
    frame.locator("summary", has_text="Share").click()
    assert frame.locator(".sheet button:visible").all_inner_texts() == ["Save as one file", "Save the pictures"]
    frame.locator(".descentlab.dark").wait_for()
    with watched.page.expect_download() as downloading:
        frame.get_by_role("button", name="Save as one file").click()
    downloading.value.save_as(saved)
    watched.page.goto(saved.as_uri())
    watched.page.wait_for_selector(".descentlab:not(.dark) .status:not(:empty)")
    assert watched.complaints == []
