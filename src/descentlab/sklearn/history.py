"""The history of a fit as one table: a row for each recorded epoch and each target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from descentlab.dependencies import require
from descentlab.messages import Message, format_number, message
from descentlab.sklearn.fit_result import FitResult
from descentlab.sklearn.fitting import has_dependent_columns

RESERVED_COLUMNS = ("target", "epoch", "lr", "cost", "gradient_norm", "validation_cost", "intercept")


@dataclass(frozen=True, eq=False)
class FitHistory:
    """The history of a fit: ``history_["cost"]`` is a column, ``to_pandas()`` all of them.

    Row k holds the state **before** the update of ``epoch[k]``; the last row of each target is the end, after the last
    update. Coefficients are in the units of the data, whatever was done inside.

    Attributes:
        columns: by name, each of the same length: ``target`` (its number, from 0), ``epoch``, ``lr``, ``cost`` (mean
            squared error), ``gradient_norm`` (of the gradient descended, in the descended coordinates),
            ``validation_cost`` with early stopping, then a coefficient for each feature and ``intercept``. That of a
            feature that is called like one of these has ``coef:`` before it.
        inside: what was done inside, by the name of its setting: whether columns were standardized, the learning rate
            and momentum used, the epochs, the engine; for mini-batches of rows with weights, whose sums are descended.
        notes: what a reader should know of the point that was reached.
    """

    columns: Mapping[str, np.ndarray[Any, Any]]
    inside: Mapping[str, object]
    notes: tuple[Message, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self.columns[name]

    def keys(self) -> Iterator[str]:
        """The names of the columns, in order."""
        yield from self.columns

    @property
    def message(self) -> Message:
        """The preprocessing and the settings in words, and the notes."""
        inside = self._inside_message()
        return message("estimator.noted", inside=inside, notes=" ".join(map(str, self.notes))) if self.notes else inside

    def _inside_message(self) -> Message:
        settings = {name: value for name, value in self.inside.items() if value not in (None, False)}
        standardized, centered = settings.pop("standardize", False), settings.pop("center", False)
        setting_texts = [
            f"{name} {format_number(value) if isinstance(value, int | float) else value}"
            for name, value in settings.items()
        ]
        if standardized:
            return message("estimator.inside_scaled", settings=setting_texts)
        if centered:
            return message("estimator.inside_centered", settings=setting_texts)
        return message("estimator.inside", settings=setting_texts)

    def to_arrow(self) -> Any:
        """A pyarrow table of the columns."""
        pa = require("pyarrow", "pyarrow", None, "tables")
        return pa.table(dict(self.columns))

    def to_pandas(self) -> Any:
        """A pandas data frame of the columns."""
        pandas = require("pandas", "pandas", "pandas", "frames")
        return pandas.DataFrame(dict(self.columns))

    def __repr__(self) -> str:
        return f"FitHistory({len(self):,} rows of {', '.join(self.keys())}; {self.message.text('en')})"


def make_history(
    results: Sequence[FitResult], features: Sequence[str], reduction: str, begins_warm: bool
) -> FitHistory:
    """The history of a fit, target by target."""
    columns: dict[str, list[Any]] = {}
    coef_names = coefficient_columns(features)
    for j, result in enumerate(results):
        snapshots, params = result.snapshots, result.snapshots.params.T
        target_columns = {
            "target": np.full(len(snapshots.epochs), j),
            "epoch": snapshots.epochs,
            "lr": result.descent.learning_rates(snapshots.epochs - 1),
            "cost": snapshots.cost,
            "gradient_norm": snapshots.gradient_norm,
            **({} if result.validation_cost is None else {"validation_cost": result.validation_cost}),
            **dict(zip(coef_names, params, strict=False)),
            **({"intercept": params[-1]} if result.problem.bias else {}),
        }
        for name, values in target_columns.items():
            columns.setdefault(name, []).append(np.asarray(values))
    result = results[0]
    inside = {
        "standardize": result.problem.standardize,
        "center": result.problem.center and not result.problem.standardize,
        "lr": result.descent.lr,
        "momentum": result.descent.momentum,
        "epochs": result.descent.epochs,
        "batch_size": result.descent.batch_size,
        "reduction": None if result.descent.reduction == reduction else result.descent.reduction,
        "engine": result.engine,
    }
    notes = _make_notes(result, begins_warm)
    return FitHistory({name: np.concatenate(values) for name, values in columns.items()}, inside, notes)


def _make_notes(result: FitResult, begins_warm: bool) -> tuple[Message, ...]:
    """Which of several minima was reached, and what a warm start does not carry over."""
    notes = []
    if has_dependent_columns(result.problem):
        is_least_norm = result.reached_limit and not result.problem.standardize and not begins_warm
        notes.append(message("estimator.least_norm" if is_least_norm else "estimator.one_of_many"))
    if begins_warm and result.descent.momentum:
        notes.append(message("estimator.warm_velocity"))
    return tuple(notes)


def coefficient_columns(features: Sequence[str]) -> tuple[str, ...]:
    """The names of the coefficient columns: their features', prefixed where that is a reserved name."""
    labels = []
    for name in features:
        label = name
        while label in RESERVED_COLUMNS or (label != name and label in features):
            label = f"coef:{label}"
        labels.append(label)
    return tuple(labels)
