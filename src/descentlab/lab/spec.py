"""The data of the page: the factor, at most 500 rows to show, and the first settings.

The schema is ``descentlab.lab/1``; docs/json.md describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from textwrap import dedent
from typing import Any

import numpy as np

from descentlab.data.builtin import DATASETS
from descentlab.descent.descent import Descent
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.report import answer_blocks, group_findings, make_tables
from descentlab.errors import SettingError
from descentlab.messages import LANGUAGES, Table, message, to_json_types, use_language
from descentlab.messages.document import Block, Preformatted
from descentlab.problem.problem import Problem, RowArrays
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

LAB_SCHEMA = "descentlab.lab/1"
MAX_POINTS = 500  # rows shown,
MAX_POINT_VALUES = 2_000  # fewer of wide ones, to stay below this many values,
MIN_POINTS = 50  # but at least these
MAX_LAB_COLUMNS = 100  # the page decomposes their triangle between two frames
POINT_DIGITS = 5  # of shown points that cannot be dragged
FALLBACK_LR = 0.1  # if every rate is stable, or none
BUILT_IN_DATASETS = tuple(DATASETS.values())  # offered by the page in addition to its own data
ADDRESS_VERSION = "1"  # of the page's address
PAGE_TABLES = 2  # the remedies and the rates
MAX_OPENING_EPOCHS = 1_000_000  # the page's most
MIN_OPENING_EPOCHS = 10
GROWN_TIMES = 1e3  # of the first cost: a descent that diverges is shown so far,
FRAME_TIMES = 30.0  # and the frame of the curve so far
REST_OF_FALL = 0.05
STEP_SETTINGS = ("lr", "reduction", "epochs", "momentum", "dampening", "nesterov", "weight_decay", "zero_grad")


def make_spec(
    problem: Problem,
    descent: Descent | None = None,
    name: str = "",
    diagnosis: Any = None,
    code: str | Sequence[str] = "descentlab",
) -> dict[str, Any]:
    """Everything the page needs, in JSON's own types.

    Args:
        problem: what is fitted; from rows, or from a factor: then no point is shown.
        descent: what the page shows first; None is :func:`default_descent`.
        name: what to call the data.
        diagnosis: a :class:`~descentlab.doctor.diagnosis.Diagnosis` whose answer and findings the page shows.
        code: what its lines to paste are for, as in :meth:`~descentlab.doctor.diagnosis.Diagnosis.text`.

    Raises:
        SettingError: more columns than the page can hold, or a start of the wrong length.
    """
    factor, columns = problem.factor, (*problem.features, problem.target)
    if len(columns) > MAX_LAB_COLUMNS:
        raise SettingError("lab_columns", count=len(columns), most=MAX_LAB_COLUMNS)
    max_points = min(MAX_POINTS, max(MAX_POINT_VALUES // len(columns), MIN_POINTS))
    rows = problem.sample_rows(max_points) if problem.has_rows else None
    shows_all_rows = rows is not None and problem.n <= max_points and _has_unit_weights(rows.weights)
    triangle = factor.R_centered[1:, 1:]
    content = {
        "schema": LAB_SCHEMA,
        "name": name,
        "columns": columns,
        "rows": problem.n,
        "weight": problem.weight,
        "means": factor.means,
        "noise": factor.column_error,
        "triangle": [triangle[i, i:] for i in range(len(columns))],
        "points": [] if rows is None else _shown_points(rows, shows_all_rows),
        "whole": shows_all_rows,
        "hypothesis": {
            "bias": problem.bias,
            "center": problem.center,
            "standardize": problem.standardize,
            "ridge": problem.ridge,
        },
        "settings": _page_settings(problem, descent or default_descent(problem)),
        "sets": [
            {"name": dataset.name, "columns": (*dataset.features, dataset.target), "rows": dataset.rows}
            for dataset in BUILT_IN_DATASETS
        ],
        "report": None,
    }
    if diagnosis is not None:
        content["report"] = _findings_by_language(diagnosis) | {"answer": _answer_by_language(diagnosis, code)}
        content["opening"] = opening_address(diagnosis)
    json_content: dict[str, Any] = to_json_types(content)
    return json_content


def default_descent(problem: Problem, **settings: Any) -> Descent:
    """These settings; without lr, half the largest stable rate, rounded down to two digits."""
    if "lr" in settings:
        return Descent(**settings)
    descent = Descent(lr=1.0, **settings)
    lr_bound = FullBatchTheory(problem, descent).lr_bound
    return replace(descent, lr=_round_down(lr_bound / 2) if 0 < lr_bound < inf else FALLBACK_LR)


def _round_down(value: float) -> float:
    digits, power = f"{value:.17e}".split("e")
    return float(f"{digits[:3]}e{power}")


def unsupported_settings(descent: Descent) -> list[str]:
    """The settings that the page does not support: all but full-batch SGD at a constant rate."""
    is_used = {
        "schedule": descent.schedule is not None,
        "batch_size": descent.batch_size is not None,
        "average": descent.average is not None,
        "optimizer": not descent.is_sgd,
    }
    return [name for name, used in is_used.items() if used]


def _has_unit_weights(weights: FloatArray | None) -> bool:
    return weights is None or bool((weights == 1).all())


def _shown_points(rows: RowArrays, keep_digits: bool) -> list[list[float]]:
    table = np.column_stack([rows.X, rows.y]).tolist()
    return [[_shorten_value(value, keep_digits) for value in row] for row in table]


def _shorten_value(value: float, keep_digits: bool) -> float:
    """A shown value in few characters; with all digits if the points are the data and can be dragged."""
    shown = value if keep_digits else float(f"{value:.{POINT_DIGITS}g}")
    return int(shown) if shown.is_integer() and abs(shown) < 2**53 else shown


def _page_settings(problem: Problem, descent: Descent) -> dict[str, Any]:
    problem.scaled_params(descent.start)  # raises for a start that does not fit
    settings = descent.to_dict()
    return {name: settings[name] for name in (*STEP_SETTINGS, "start")}


def _answer_by_language(diagnosis: Any, code: str | Sequence[str]) -> dict[str, Any]:
    """The verdict, what to do and the tables as objects, in each language."""
    answers = {}
    for lang in LANGUAGES:
        with use_language(lang):
            blocks = [*answer_blocks(diagnosis, code), *make_tables(diagnosis)[:PAGE_TABLES]]
            answers[lang] = [_block_to_dict(block) for block in blocks]
    return answers


def _block_to_dict(block: Block) -> dict[str, Any]:
    if isinstance(block, Table):
        return {"kind": "table", **block._asdict()}
    if isinstance(block, Preformatted):
        return {"kind": "code", "text": dedent(block.text)}
    return {"kind": "verdict" if getattr(block, "strong", False) else "text", "text": block.text}


def opening_address(diagnosis: Any) -> str:
    """Where the page opens: with as many epochs as show the curve, at the epoch up to which most happens.

    A descent that diverges is shown until its cost has grown a thousandfold. Another is shown to four times the epoch
    from which on it is near its minimum, or, if it never is, after which less than 5% of its fall is left. Empty where
    no curve is known.
    """
    curve, epochs = diagnosis.curve, min(diagnosis.descent.epochs, MAX_OPENING_EPOCHS)
    if curve is None:
        return ""
    first, last = float(curve.cost[0]), float(curve.cost[-1])
    if diagnosis.verdict is Verdict.DIVERGES:
        grown = curve.updates[curve.cost > GROWN_TIMES * first]
        shown = min(epochs, max(int(grown[0]), MIN_OPENING_EPOCHS) if grown.size else epochs)
        epoch = int(curve.updates[curve.cost <= FRAME_TIMES * first].max(initial=0))
        return f"v={ADDRESS_VERSION}&n={shown}&e={max(min(epoch, shown), 1)}"
    fallen = curve.updates[curve.cost - last <= REST_OF_FALL * (first - last)]
    needed = diagnosis.epochs_to_tolerance
    knee = needed if needed and needed <= epochs else int(fallen[0]) if fallen.size else epochs
    shown = min(epochs, max(4 * knee, MIN_OPENING_EPOCHS))
    return f"v={ADDRESS_VERSION}&n={shown}&e={max(min(knee, shown), 1)}"


def _findings_by_language(diagnosis: Any) -> dict[str, Any]:
    """The verdict and every finding, with the notices about the data, in each language."""
    findings = [finding for _, group in group_findings(diagnosis) for finding in group]
    unsupported = unsupported_settings(diagnosis.descent)
    findings_by_language = {
        lang: [
            {"name": entry.name, "weight": entry.severity, "about": entry.topic, "text": entry.text(lang)}
            for entry in findings
        ]
        for lang in LANGUAGES
    }
    if unsupported:
        for lang, texts in findings_by_language.items():
            text = message("notice.lab_plain", names=unsupported).text(lang)
            texts.append({"name": "notice", "weight": "caution", "about": "run", "text": text})
    return {"verdict": diagnosis.verdict, "findings": findings_by_language}
