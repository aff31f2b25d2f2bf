"""``descentlab compress``, and factors where data goes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from tests.cli.helpers import cli
from tests.extras import needs


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, lines in (("mon.csv", 9), ("tue.csv", 5)):
        rows = "".join(f"{i},{i % 4},{3 * i + i % 4 + (i % 3) / 8},{1 + i % 2}\n" for i in range(lines))
        Path(name).write_text(f"a,b,y,w\n{rows}")
    return tmp_path


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_it_keeps_a_factor_and_says_so(day: Path, lang: str) -> None:
    result = cli("compress", "mon.csv", "--target", "y", "-o", "mon.factor", "--lang", lang)
    assert (result.code, result.err) == (0, "")
    assert "mon.factor" in result.out
    assert bool(re.search("[가-힣]", result.out)) is (lang == "ko")
    assert dl.Factor.load("mon.factor").columns == ("a", "b", "w", "y")
    again = cli("compress", "mon.csv", "--target", "y", "-o", "mon.factor", "--lang", lang)
    assert "--restart" in again.out
    helped = cli("compress", "--help", "--lang", lang).out
    assert "--checkpoint-every" in helped
    assert "help." not in helped


def test_every_option(day: Path) -> None:
    Path("gap.csv").write_text("a;y;w\n1,5;2;1\n;3;1\n2,5;5;2\n4;7,25;1\n")
    options = ("--features", "a", "--weights", "w", "--missing", "drop", "--delimiter", ";", "--decimal", ",")
    result = cli(
        *("compress", "gap.csv", "--target", "y", *options, "--workers", "2", "--checkpoint-every", "0", "--json"),
        *("-o", "gap.factor"),
    )
    found = json.loads(result.out)
    assert (found["schema"], found["rows"], found["weight"]) == ("descentlab.compress/1", 3, 4)
    assert (found["columns"], found["already"]) == (["a", "y"], False)
    assert any("left out" in notice for notice in found["notices"])
    assert json.loads(cli("compress", "gap.csv", "--target", "y", *options, "-o", "gap.factor", "--json").out)[
        "already"
    ]


def test_merging_day_by_day_is_all_days(day: Path) -> None:
    assert cli("compress", "mon.csv", "--target", "y", "-o", "all.factor").code == 0
    assert cli("compress", "tue.csv", "--target", "y", "--merge", "all.factor", "-o", "all.factor").code == 0
    both = dl.Problem(["mon.csv", "tue.csv"], target="y").solve().params
    np.testing.assert_allclose(dl.Problem("all.factor").solve().params, both, rtol=1e-9)
    twice = cli("compress", "tue.csv", "--target", "y", "--merge", "all.factor", "-o", "more.factor")
    assert (twice.code, "count them twice" in twice.err) == (2, True)
    cli("compress", "tue.csv", "--target", "y", "-o", "tue.factor")
    cli("compress", "mon.csv", "--target", "y", "-o", "mon.factor")
    assert cli("compress", "mon.factor", "tue.factor", "-o", "sum.factor").code == 0
    assert dl.Factor.load("sum.factor").rows == 14
    other = cli("compress", "tue.csv", "--target", "y", "--features", "a", "--merge", "mon.factor", "-o", "x.factor")
    assert (other.code, "`b`" in other.err or "b" in other.err) == (2, True)


@pytest.mark.parametrize("command", [("run", "--lr", "0.01"), ("diagnose", "--lr", "0.01"), ("solve",)])
def test_a_factor_goes_where_data_goes(day: Path, command: tuple[str, ...]) -> None:
    cli("compress", "mon.csv", "--target", "y", "-o", "mon.factor")
    cli("compress", "tue.csv", "--target", "y", "-o", "tue.factor")
    name, *options = command
    rows = cli(name, "mon.csv", "tue.csv", "--target", "y", *options, "--json")
    kept = cli(name, "mon.factor", "tue.factor", *options, "--json")
    assert kept.code == rows.code
    assert json.loads(kept.out).keys() == json.loads(rows.out).keys()
    other = cli(name, "mon.factor", "--target", "b", "--features", "a", *options)
    assert "b from a" in other.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("mon.csv",), "-o FILE"),
        ((), "DATA|data"),
        (("mon.csv", "--on", "spark://x", "-o", "x.factor"), "needs dask://"),
        (("mon.csv", "--workers", "0", "-o", "x.factor"), "workers"),
        (("mon.csv", "-o", "mon.csv"), "mon.csv"),
        (("mon.csv", "-o", "no/such/folder/x.factor"), "x.factor"),
        (("none.csv", "-o", "x.factor"), "no file"),
        (("mon.csv", "--merge", "mon.csv", "-o", "x.factor"), "mon.csv"),
        (("mon.csv", "--target", "z", "-o", "x.factor"), "`z`|z"),
        (("mon.csv", "--checkpoint-every", "-1", "-o", "x.factor"), "every"),
    ],
)
def test_what_is_refused_before_the_work(day: Path, arguments: tuple[str, ...], says: str) -> None:
    result = cli("compress", *arguments)
    assert result.code == 2
    assert re.search(says, result.err)
    assert not Path("x.factor").exists()


@needs("distributed")
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_was_named_is_used_for_little_too(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.factor.executors.dask.CONNECT_TIMEOUT", 1)
    result = cli("compress", "mon.csv", "--target", "y", "--on", "dask://127.0.0.1:9", "-o", "x.factor")
    assert result.code == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in result.err
