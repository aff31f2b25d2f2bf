"""Real questions that people asked in public, as facts: the data, the settings, and what is true of them.

``clinic.json`` holds twelve (``source_url`` says where each was asked), with answers that were worked out apart from
this package. Two have rows that a seed makes; they are made here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import descentlab as dl

SHARED = Path(__file__).parents[3] / "shared" / "clinic" / "cases.jsonl"
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "clinic.json").read_text("utf-8"))


def uniform() -> tuple[Any, Any]:
    """Forty points of a line with noise."""
    rng = np.random.RandomState(1)
    x = rng.uniform(0, 1, 40)
    return x[:, None], 2 * x + 0.2 * rng.randn(40)


def counting() -> tuple[Any, Any]:
    """1 .. 1000, with noise on three times it."""
    noise = np.random.default_rng(0).standard_normal(1000)
    x = np.arange(1, 1001.0)
    return x[:, None], 3 * x + 200 * noise


def rows(case: dict[str, Any]) -> tuple[Any, Any]:
    if "rows" in case:
        return {"uniform": uniform, "counting": counting}[case["rows"]]()
    return np.array(case["x"], dtype=float), np.array(case["y"], dtype=float)


def problem(case: dict[str, Any]) -> dl.Problem:
    return dl.Problem(*rows(case), bias=case["fit_intercept"])


def settings(case: dict[str, Any]) -> dict[str, Any]:
    return {name: case[name] for name in ("lr", "reduction", "momentum", "epochs")} | {"start": case["w0"]}
