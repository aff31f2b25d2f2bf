"""What travels to the page: the factor, at most 500 rows to show, and the settings to begin with.

The schema is ``descentlab.lab/1``; docs/json.md describes it.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from descentlab.data.builtin import BUILT_IN
from descentlab.descent.descent import Descent
from descentlab.doctor.report import sections
from descentlab.errors import SettingError
from descentlab.messages import LANGUAGES, jsonable, sentence
from descentlab.problem.problem import Problem, Rows
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array

SCHEMA = "descentlab.lab/1"
MOST_POINTS, MOST_NUMBERS, FEWEST = 500, 2_000, 50  # rows shown, and of wide ones fewer: so many numbers, or rows
MOST_COLUMNS = 100  # the page decomposes their triangle in a frame
DIGITS = 5  # of a shown point that nobody can drag
RATE = 0.1  # where every rate is stable, or none
SETS = tuple(BUILT_IN.values())  # data that the page offers beside its own
STEP = ("lr", "reduction", "epochs", "momentum", "dampening", "nesterov", "weight_decay", "zero_grad")


def spec(problem: Problem, descent: Descent | None = None, name: str = "", report: Any = None) -> dict[str, Any]:
    """Everything the page needs, in JSON's own types.

    Args:
        problem: what is fitted; from rows, or from a factor: then no point is shown.
        descent: what the page shows first; None is :func:`first_try`.
        name: what to call the data.
        report: a :class:`~descentlab.doctor.diagnosis.Diagnosis` whose findings the page tells.

    Raises:
        SettingError: more columns than the page can hold, or a start of the wrong length.
    """
    factor, columns = problem.factor, (*problem.features, problem.target)
    if len(columns) > MOST_COLUMNS:
        raise SettingError("lab_columns", count=len(columns), most=MOST_COLUMNS)
    most = min(MOST_POINTS, max(MOST_NUMBERS // len(columns), FEWEST))
    rows = problem.sample(most) if problem.has_rows else None
    whole = rows is not None and problem.n <= most and _unweighted(rows.weights)
    spread = factor.centred[1:, 1:]
    content = {
        "schema": SCHEMA,
        "name": name,
        "columns": columns,
        "rows": problem.n,
        "weight": problem.weight,
        "means": factor.means,
        "noise": factor.noise,
        "triangle": [spread[i, i:] for i in range(len(columns))],
        "points": [] if rows is None else _points(rows, whole),
        "whole": whole,
        "hypothesis": {
            "bias": problem.bias,
            "center": problem.center,
            "standardize": problem.standardize,
            "ridge": problem.ridge,
        },
        "settings": _settings(problem, descent or first_try(problem)),
        "sets": [{"name": each.name, "columns": (*each.features, each.target), "rows": each.rows} for each in SETS],
        "report": None if report is None else _told(report),
    }
    safe: dict[str, Any] = jsonable(content)
    return safe


def first_try(problem: Problem, **settings: Any) -> Descent:
    """These settings; where lr is not among them, at half the largest stable rate, rounded down to two digits."""
    if "lr" in settings:
        return Descent(**settings)
    descent = Descent(lr=1.0, **settings)
    bound = Theory(problem, descent).lr_bound
    return replace(descent, lr=_rounded_down(bound / 2) if 0 < bound < inf else RATE)


def _rounded_down(value: float) -> float:
    digits, power = f"{value:.17e}".split("e")
    return float(f"{digits[:3]}e{power}")


def unshown(descent: Descent) -> list[str]:
    """The settings that the page, which is of full-batch SGD at a constant rate, leaves out."""
    said = {
        "schedule": descent.schedule is not None,
        "batch_size": descent.batch_size is not None,
        "average": descent.average is not None,
        "optimizer": not descent.is_sgd,
    }
    return [name for name, there in said.items() if there]


def _unweighted(weights: Array | None) -> bool:
    return weights is None or bool((weights == 1).all())


def _points(rows: Rows, whole: bool) -> list[list[float]]:
    table = np.column_stack([rows.X, rows.y]).tolist()
    return [[_short(value, whole) for value in row] for row in table]


def _short(value: float, whole: bool) -> float:
    """A shown value in few characters; all its digits where points can be dragged and are the data themselves."""
    kept = value if whole else float(f"{value:.{DIGITS}g}")
    return int(kept) if kept.is_integer() and abs(kept) < 2**53 else kept


def _settings(problem: Problem, descent: Descent) -> dict[str, Any]:
    problem.start(descent.start)  # raises for a start that does not fit
    every = descent.to_dict()
    return {name: every[name] for name in (*STEP, "start")}


def _told(report: Any) -> dict[str, Any]:
    """The verdict and every finding, with the notices about the data, in each language."""
    findings = [finding for section in sections(report) for finding in section.findings]
    left_out = unshown(report.descent)
    told = {
        lang: [
            {"name": each.name, "weight": each.weight, "about": each.about, "text": each.text(lang)}
            for each in findings
        ]
        for lang in LANGUAGES
    }
    if left_out:
        for lang, texts in told.items():
            text = sentence("notice.lab_plain", names=left_out).text(lang)
            texts.append({"name": "notice", "weight": "caution", "about": "run", "text": text})
    return {"verdict": report.verdict, "findings": told}
