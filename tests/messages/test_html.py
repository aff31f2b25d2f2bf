"""Pages for notebooks: whole, harmless, in the language spoken, and the same words as in a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.messages import use_language
from descentlab.messages.html import (
    html_bullet_list,
    html_fragment,
    html_paragraph,
    html_preformatted,
    html_table,
    html_text,
)
from tests.extras import cases
from tests.pages import whole

SCRIPT, IMAGE = "</style></script><script>alert(1)</script>\"'&", "<img src=x onerror=alert(1)>"
rng = np.random.default_rng(4)
X = rng.normal(size=(40, 2)) * [1, 3] + [2, 0]
y = X @ [1.0, 0.5] + rng.normal(size=40)


def hostile(**given: Any) -> dl.Problem:
    return dl.Problem(X, y, features=[SCRIPT, IMAGE], target="`<b>`", **given)


def left_out() -> Any:
    import pandas as pd

    return pd.DataFrame({"x": X[:, 0], IMAGE: ["text"] * 40, "y": y})


PAGES: dict[str, Callable[[], Any]] = {
    "diagnosis": lambda: dl.diagnose(hostile(), lr=0.1),
    "diagnosis far from zero": lambda: dl.diagnose(dl.Problem(X + 1e6, y, features=[SCRIPT, IMAGE]), lr=0.1),
    "losses": lambda: dl.diagnose(losses=[36.4, 43.9, 53.0], lr=0.01),
    "run": lambda: dl.descend(hostile(), lr=0.01, epochs=50),
    "run that overflows": lambda: dl.descend(hostile(), lr=1e300, epochs=5, growth_limit=np.inf),
    "run with notices": lambda: dl.descend(dl.Problem(left_out(), target="y"), lr=0.01),
    "sweep": lambda: dl.sweep(hostile(), np.linspace(0.001, 0.5, 60)),
    "validation": lambda: dl.validate(hostile(), dl.Descent(lr=0.01), hostile()),
    "validation with notices": lambda: dl.validate(
        dl.Problem(left_out(), target="y"), dl.Descent(lr=0.01), np.where(X > 4, np.nan, X)[:, :1], y, missing="drop"
    ),
    "folds": lambda: dl.cross_validate(hostile(), ridge=[0.0, 0.1]),
    "folds with notices": lambda: dl.cross_validate(left_out(), target="y"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(PAGES, pandas=[name for name in PAGES if "notices" in name]))
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_pages_are_whole_in_either_language(name: str, lang: str) -> None:
    shown = PAGES[name]()
    with use_language(lang):
        html = shown._repr_html_()
    words, spoken = whole(html)
    assert spoken == lang
    assert bool(re.search("[가-힣]", words)) is (lang == "ko")
    assert not any(mark in html for mark in ("<script", "</script", "<img", "<b>"))
    assert html.count("</style>") == 1
    assert not re.search(r"\bnan\b", re.sub("inf and nan|trades nan|inf와 nan|낮추면 nan", "", words))


NOTICES = [name for name in PAGES if "notices" in name]


@pytest.mark.parametrize(
    "name", cases(["losses", "sweep", "validation", "validation with notices", "folds"], pandas=NOTICES)
)
def test_pages_say_what_a_terminal_says(name: str) -> None:
    shown = PAGES[name]()
    words, _ = whole(shown._repr_html_())
    said = re.sub(r"[`\s✗!·]", "", str(shown))
    assert sorted(re.sub(r"[`\s✗!·]", "", words)) == sorted(said)


def test_a_run_shows_its_table_its_settings_and_its_ending() -> None:
    run = dl.descend(dl.Problem([1, 2, 3], [1, 2, 3], bias=False), lr=0.01, reduction="sum", epochs=300)
    words, _ = whole(run._repr_html_())
    assert run.table(20) in words
    assert "H(x) = Wx, y from x, 3 rows" in words
    assert "lr 0.01, reduction sum, engine exact" in words
    for each in run.messages:
        assert str(each).replace("`", "") in words
    assert str(run.ending).split("\n")[0] in words


def test_hostile_names_are_still_legible() -> None:
    words, _ = whole(PAGES["diagnosis far from zero"]()._repr_html_())
    assert SCRIPT in words
    assert IMAGE in words


@pytest.mark.slow
def test_names_in_backticks_are_code() -> None:
    assert html_text("`a` and `b<c`: 1 > 0") == "<code>a</code> and <code>b&lt;c</code>: 1 &gt; 0"
    assert html_text("a ` alone") == "a ` alone"
    html = dl.diagnose(dl.Problem(X + 1e6, y, features=["size", "age"]), lr=0.1)._repr_html_()
    assert "<code>size</code>" in html
    assert "`" not in html


def test_pieces() -> None:
    html = html_fragment(
        html_paragraph("Yes & no", strong=True),
        html_preformatted("1 <  2"),
        html_bullet_list([("!", "caution", "caution", "mind `it`")]),
        html_table("The `title`", ("a", "b"), [("<x>", "1")]),
    )
    words, _ = whole(html)
    assert words == "Yes & no1 <  2!mind itThe titleab<x>1"
    assert '<span class="caution" role="img" aria-label="caution">!</span>mind <code>it</code>' in html
    assert '<th scope="row">&lt;x&gt;</th><td>1</td>' in html
