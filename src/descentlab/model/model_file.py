"""The model file: readable JSON with a format, a version and a checksum; every number is exact.

A number is written by ``repr``, the shortest text that reads back as the same float64. What is read is checked before
anything is computed from it, by comparing it with what the design of its terms needs.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from descentlab.data.design.design import Design
from descentlab.errors import DataError, DescentlabError
from descentlab.factor.archive import SIGNATURE_BYTES, has_signature
from descentlab.messages import Message
from descentlab.model.fitted_model import ColumnMoments, FittedData, FittedModel, input_columns
from descentlab.model.prediction_variance import PredictionVariance
from descentlab.problem.regression import WEIGHT_MEANINGS
from descentlab.storage import write_atomically
from descentlab.typing import FloatArray

ModelT = TypeVar("ModelT", bound=FittedModel)
MODEL_FORMAT, MODEL_VERSION = "descentlab.model", 1
MAX_MODEL_BYTES = 1 << 28
MAX_INDICATORS = 20_000  # columns of all levels that are named in memory
MOMENT_NAMES = ("center", "mean_less_center", "standard_deviation")  # of each column, in the order of ColumnMoments
INPUT_KINDS = ("number", "category", "date")
NO_INTERVAL_REASONS = ("ridge", "no_freedom", "exact_fit", "many_columns", "not_at_minimum", "estimator")


def save_model(model: FittedModel, path: str | os.PathLike[str]) -> None:
    """Write a model file; raises OSError if it cannot be written."""
    write_atomically(path, model_to_json(model).encode("utf-8", "backslashreplace"))  # \udc80 is an escape of JSON, too


def load_model(model_type: type[ModelT], path: str | os.PathLike[str]) -> ModelT:
    """Read a model file; raises DataError if it cannot be read or is not a model that is known."""
    label = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_MODEL_BYTES + 1)
    except (OSError, ValueError) as cause:
        raise DataError("unreadable", path=label, cause=getattr(cause, "strerror", None) or str(cause)) from cause
    if has_signature(content[:SIGNATURE_BYTES]):
        raise DataError("model_is_factor", path=label)
    if len(content) > MAX_MODEL_BYTES:
        raise DataError("model_giant", path=label, most=MAX_MODEL_BYTES >> 20)
    try:
        return model_from_json(model_type, content.decode("utf-8-sig"), label)
    except UnicodeDecodeError as cause:
        raise DataError("model_not_json", path=label) from cause


def model_to_json(model: FittedModel) -> str:
    """The text of a model file: a line for each parameter, level and number, but for the triangle."""
    content = _to_dict(model)
    content["checksum"] = _checksum(content)
    lines = [f"  {json.dumps(key)}: {_format_value(key, value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _format_value(key: str, value: Any) -> str:
    if key != "interval":
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2).replace("\n", "\n  ")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _to_dict(model: FittedModel) -> dict[str, Any]:
    interval: dict[str, Any] = {"available": model.variance is not None}
    if model.variance is not None:
        triangle = model.variance.triangle
        interval["triangle"] = [row[: i + 1].tolist() for i, row in enumerate(triangle)]
        interval["null_space"] = model.variance.null_space.tolist() if model.variance.null_space.size else []
    elif model.no_interval is not None:
        interval["reason"] = model.no_interval.key.removeprefix("model.")
        interval["values"] = dict(model.no_interval.values)
    moments = zip(*(each.tolist() for each in model.moments), strict=True)
    return {
        "format": MODEL_FORMAT,
        "version": MODEL_VERSION,
        "made_by": f"descentlab {model.version}".strip(),
        "predicts": model.target,
        "formula": model.design.formula,
        "parameters": dict(zip(model.parameters, model.params.tolist(), strict=True)),
        "standard_errors": {
            name: value if math.isfinite(value) else None
            for name, value in zip(model.parameters, model.standard_errors.tolist(), strict=True)
        },
        "statistics": dict(model.statistics),
        "fitted": dict(model.fitted),
        "data": asdict(model.data),
        "inputs": {name: dict(described) for name, described in model.inputs.items()},
        "design": model.design.to_dict(),
        "intercept": model.intercept,
        "columns": {
            name: dict(zip(MOMENT_NAMES, values, strict=True))
            for name, values in zip(model.features, moments, strict=True)
        },
        "interval": interval,
    }


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return sha256(text.encode()).hexdigest()


def model_from_json(model_type: type[ModelT], text: str, label: str) -> ModelT:
    """The inverse of :func:`model_to_json`; ``label`` names the text in errors.

    Raises:
        DataError: it is not JSON, not a model, of a newer version, or damaged.
    """
    content = _parse(text, label)
    if not isinstance(content, dict) or content.get("format") != MODEL_FORMAT:
        found = content.get("format", content.get("schema")) if isinstance(content, dict) else None
        raise DataError("model_other", path=label, found=f" ({found})" if isinstance(found, str) else "")
    version = content.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError("model_invalid", path=label, field="version")
    if version > MODEL_VERSION:
        raise DataError("model_newer", path=label, version=version, known=MODEL_VERSION)
    checksum = content.pop("checksum", None)
    if checksum is not None and checksum != _checksum(content):
        raise DataError("model_changed", path=label)
    return _from_dict(model_type, content, label)


def _parse(text: str, label: str) -> Any:
    def refuse(constant: str) -> float:
        raise DataError("model_file_not_finite", path=label, found=constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as cause:
        ends = text.rstrip().endswith("}") and cause.pos < len(text.rstrip()) - 1
        is_cut = text.lstrip().startswith("{") and not ends
        key = "model_cut" if is_cut else "model_not_json"
        raise DataError(key, path=label) from cause
    except DescentlabError:
        raise
    except (ValueError, RecursionError) as cause:  # a number of thousands of digits; lists in lists in lists
        raise DataError("model_not_json", path=label) from cause


def _from_dict(model_type: type[ModelT], content: Mapping[str, Any], label: str) -> ModelT:
    try:
        return _make_model(model_type, content)
    except _InvalidFieldError as cause:
        raise DataError("model_invalid", path=label, field=str(cause)) from cause
    except DescentlabError as cause:
        raise DataError("model_terms", path=label, reason=str(cause)) from cause
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as cause:
        raise DataError("model_invalid", path=label, field=str(cause).strip("'")[:60]) from cause


class _InvalidFieldError(Exception):
    """A field does not have what it must have."""


def _require(condition: bool, field: str) -> None:
    if not condition:
        raise _InvalidFieldError(field)


def _make_model(model_type: type[ModelT], content: Mapping[str, Any]) -> ModelT:
    design = _read_design(content["design"])
    parameters, params = tuple(content["parameters"]), _finite(content["parameters"].values(), "parameters")
    columns = content["columns"]
    features = tuple(columns)
    _require(parameters[: len(features)] == features and len(parameters) - len(features) in (0, 1), "columns")
    _require({*features} <= {*design.columns} and len(features) > 0, "parameters")
    moments = ColumnMoments(*(_finite([each[name] for each in columns.values()], "columns") for name in MOMENT_NAMES))
    errors = [content["standard_errors"][name] for name in parameters]
    variance, reason = _read_interval(content["interval"], len(features))
    statistics = {str(name): None if value is None else _number(value) for name, value in content["statistics"].items()}
    if variance is not None:
        _require((statistics.get("sigma") or 0) > 0 and (statistics.get("df_residual") or 0) > 0, "statistics")
    return model_type(
        design=design,
        parameters=parameters,
        params=params,
        intercept=_number(content["intercept"]),
        moments=moments,
        variance=variance,
        no_interval=reason,
        statistics=statistics,
        standard_errors=np.array([math.nan if each is None else _number(each) for each in errors]),
        inputs=_read_inputs(content["inputs"], design),
        data=_read_data(content["data"]),
        fitted={**content["fitted"], "method": str(content["fitted"]["method"])},
        version=str(content["made_by"]).removeprefix("descentlab").strip(),
    )


def _read_design(content: Mapping[str, Any]) -> Design:
    """A design whose columns can be computed: it is tried on one row."""
    design = Design.from_dict(content)
    _require(design.has_levels and not design.unfitted, "design")
    for levels in design.levels.values():
        _require(len(levels) > 0 and len(set(levels)) == len(levels), "levels")
        _require(all(isinstance(each, str) or math.isfinite(each) for each in levels), "levels")
    for constants in design.constants.values():
        numbers = [constants["mean"], constants["divisor"], *chain(*constants.get("polynomials", []))]
        _require(all(map(math.isfinite, numbers)) and constants["divisor"] != 0, "constants")
    _require(design.count_indicators() <= MAX_INDICATORS, "levels")
    leaves = {str(leaf): np.ones(1) for leaf in design.leaves}
    row = design.evaluate(leaves, {key: np.zeros(1) for key in design.categories}, 1)
    _require(row.shape == (1, len(design.columns)), "design")
    return design


def _read_interval(content: Mapping[str, Any], d: int) -> tuple[PredictionVariance | None, Message | None]:
    if content["available"] is not True:
        _require(content["reason"] in NO_INTERVAL_REASONS, "interval")
        values = {str(name): _number(value) for name, value in content["values"].items()}
        return None, Message(f"model.{content['reason']}", values)
    rows = content["triangle"]
    _require([len(row) for row in rows] == list(range(1, d + 2)), "triangle")
    triangle = np.zeros((d + 1, d + 1))
    for i, row in enumerate(rows):
        triangle[i, : i + 1] = _finite(row, "triangle")
    null_space = np.zeros((d, 0))
    if content["null_space"]:
        null_space = np.array([_finite(row, "null_space") for row in content["null_space"]])
    _require(null_space.shape[0] == d, "null_space")
    return PredictionVariance(triangle, null_space), None


def _read_inputs(content: Mapping[str, Any], design: Design) -> dict[str, dict[str, str]]:
    _require({*content} == {*input_columns(design)}, "inputs")
    _require(all(each["kind"] in INPUT_KINDS for each in content.values()), "inputs")
    return {name: {str(key): str(value) for key, value in each.items()} for name, each in content.items()}


def _read_data(content: Mapping[str, Any]) -> FittedData:
    values = {each.name: content[each.name] for each in fields(FittedData)}
    numbers = {name: _number(values[name]) for name in ("weight", "target_mean", "target_spread")}
    _require(values["weights_are"] in WEIGHT_MEANINGS, "weights_are")
    return FittedData(
        **values
        | numbers
        | {"rows": int(values["rows"]), "name": str(values["name"]), "checksum": str(values["checksum"])}
    )


def _number(value: Any) -> float:
    _require(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value), repr(value)[:40])
    return float(value)


def _finite(values: Any, field: str) -> FloatArray:
    try:
        return np.array([_number(value) for value in values], dtype=np.float64)
    except (_InvalidFieldError, OverflowError) as cause:
        raise _InvalidFieldError(f"{field}: {cause}") from cause
