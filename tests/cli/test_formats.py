"""JSON output has the schema of the earlier version: the same keys, types, names and numbers. Sentences may change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.helpers import cli

FORMATS = Path(__file__).parents[1] / "formats"
HOUSES = "size,rooms,city,price\n50,2,Seoul,155\n80,3,Busan,230\n120,4,Seoul,333\n65,2,Jeju,190\n"
COMMANDS = {
    "run": "run houses.csv --target price --lr 0.0001 --epochs 5 --json",
    "diagnosis": "diagnose houses.csv --target price --lr 0.01 --json",
    "losses": "diagnose --losses 1,1.21,1.4641,1.77 --lr 0.01 --json",
    "solve": "solve houses.csv --target price --json",
    "compress": "compress houses.csv --target price -o h.factor --json",
    "error": "run nothing.csv --target y --json",
}
# Fields added since then do no harm; lost ones would.
ADDED_FIELDS = {
    "about",
    "answer",
    "action",
    "checked",
    "unchecked",
    "cost_error",
    "lr_bound_if_ascent",
    "may_be_ascent",
    "reading",
    "epochs_to_coefficients",
    "coefficients_converged",
    "furthest",
    "recommendation",
}


def check_same_format(found: Any, expected: Any, path: str) -> None:
    """Compare keys, types, numbers and single words; a text with a space is a sentence, which may differ."""
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() - expected.keys() <= ADDED_FIELDS, path
        assert expected.keys() <= found.keys(), path
        for key in expected:
            check_same_format(found[key], expected[key], f"{path}.{key}")
    elif isinstance(expected, list):
        if path.endswith(".findings"):  # a later version may find more
            names = {finding["name"] for finding in expected}
            found = [finding for finding in found if finding["name"] in names]
        assert len(found) == len(expected), path
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            check_same_format(one, other, f"{path}[{i}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True), path
    elif not (isinstance(expected, str) and " " in expected):
        assert found == expected, path


@pytest.mark.parametrize("name", COMMANDS)
def test_json_keeps_its_format(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "houses.csv").write_text(HOUSES)
    monkeypatch.chdir(tmp_path)
    result = cli(*COMMANDS[name].split())
    expected = json.loads((FORMATS / f"{name}.json").read_text())
    check_same_format(json.loads(result.out or result.err), expected, name)
