"""``descentlab solve``: statistics as text and JSON, robust errors, plots, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from tests.cli.helpers import cli
from tests.extras import needs

ROWS = "size,rooms,n,price\n50,2,1,155\n80,3,2,230\n120,4,1,333\n65,2,3,190\n90,3,1,260\n55,2,2,170\n"


@pytest.fixture
def houses(tmp_path: Path) -> str:
    path = tmp_path / "houses.csv"
    path.write_text(ROWS)
    return str(path)


def test_json_has_every_digit(houses: str) -> None:
    result = cli("solve", houses, "--target", "price", "--weights", "n", "--stats", "--level", "0.9", "--json")
    content = json.loads(result.out)["statistics"]
    fit = dl.Problem(houses, target="price", weights="n").solve()
    assert content["standard_errors"] == dict(zip(fit.parameters, fit.standard_errors.tolist(), strict=True))
    assert content["interval"]["size"] == fit.interval(0.9)[0].tolist()
    assert [content[name] for name in ("r2", "f", "aic", "sigma")] == [fit.r2, fit.f, fit.aic, fit.sigma]
    assert (content["n_observations"], content["weights_are"], content["robust"]) == (10, "frequency", None)
    assert content["digits"]["sigma"] > 10
    assert "statistics" not in json.loads(cli("solve", houses, "--target", "price", "--json").out)


def test_json_of_an_exact_fit_has_nulls() -> None:
    content = json.loads(cli("solve", "lesson", "--stats", "--json").out)["statistics"]
    assert content["sigma"] is content["f"] is content["standard_errors"]["x"] is None
    assert content["r2"] == 1


def test_options_that_include_the_statistics(houses: str) -> None:
    plain = cli("solve", houses, "--target", "price").out
    stats = cli("solve", houses, "--target", "price", "--stats").out
    robust = cli("solve", houses, "--target", "price", "--robust", "hc3").out
    assert "std. error" not in plain
    assert "std. error" in stats
    assert "HC3" in robust
    assert "[0.1" in cli("solve", houses, "--target", "price", "--level", "0.8").out
    analytic = cli("solve", houses, "--target", "price", "--weights", "n", "--weights-are", "analytic", "--stats").out
    assert "n is the number of rows, 6" in " ".join(analytic.split())


@needs("matplotlib")
def test_a_plot_is_saved(houses: str, tmp_path: Path) -> None:
    path = tmp_path / "fit.png"
    assert cli("solve", houses, "--target", "price", "--plot", str(path)).code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--robust", "HC9"], "HC0, HC1, HC2, HC3"),
        (["--level", "95"], "from 0 to 1"),
        (["--level", "1"], "between 0 and 1"),
        (["--weights-are", "precision"], "frequency, analytic"),
        (["--robust", "HC1", "--ridge", "0.1"], "Use ridge 0"),
        (["--plot", "fit.gif"], ".png, .svg or .pdf"),
    ],
)
def test_what_is_refused(houses: str, options: list[str], said: str) -> None:
    for lang in ("en", "ko"):
        result = cli("solve", houses, "--target", "price", *options, "--lang", lang)
        assert result.code == 2
        assert said in result.err or lang == "ko"


def test_a_factor_has_statistics_and_no_robust_errors(houses: str, tmp_path: Path) -> None:
    path = str(tmp_path / "houses.factor")
    assert cli("compress", houses, "--target", "price", "-o", path).code == 0
    from_rows, from_factor = (
        json.loads(cli("solve", data, "--target", "price", "--stats", "--json").out) for data in (houses, path)
    )
    assert from_rows["statistics"] == from_factor["statistics"]
    refused = cli("solve", path, "--robust", "HC3")
    assert refused.code == 2
    assert "does not contain the rows" in refused.err
    assert np.isfinite(from_factor["statistics"]["aic"])
