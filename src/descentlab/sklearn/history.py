"""What a fit went through, as one tidy table: a row for each epoch looked at and each target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.errors import require
from descentlab.messages import Sentence, number, sentence

if TYPE_CHECKING:
    from descentlab.sklearn.fitting import Fitted

ABOUT = (
    "target",
    "epoch",
    "lr",
    "cost",
    "gradient_norm",
    "validation_cost",
    "intercept",
)  # whatever features are called


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
    """

    columns: Mapping[str, np.ndarray[Any, Any]]
    inside: Mapping[str, object]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self.columns[name]

    def keys(self) -> Iterator[str]:
        """The names of the columns, in order."""
        yield from self.columns

    @property
    def said(self) -> Sentence:
        """What was done inside, in words."""
        given = {name: value for name, value in self.inside.items() if value not in (None, False)}
        scaled, centred = given.pop("standardize", False), given.pop("center", False)
        parts = [
            f"{name} {number(value) if isinstance(value, int | float) else value}" for name, value in given.items()
        ]
        if scaled:
            return sentence("estimator.inside_scaled", settings=parts)
        if centred:
            return sentence("estimator.inside_centered", settings=parts)
        return sentence("estimator.inside", settings=parts)

    def to_arrow(self) -> Any:
        """A pyarrow table of the columns."""
        pa = require("pyarrow", "pyarrow", None, "tables")
        return pa.table(dict(self.columns))

    def to_pandas(self) -> Any:
        """A pandas data frame of the columns."""
        pandas = require("pandas", "pandas", "pandas", "frames")
        return pandas.DataFrame(dict(self.columns))

    def __repr__(self) -> str:
        return f"FitHistory({len(self):,} rows of {', '.join(self.keys())}; {self.said.text('en')})"


def history_of(found: Sequence[Fitted], features: Sequence[str], reduction: str) -> FitHistory:
    """The history of a fit: of each target in turn; a reduction other than the one asked for is said."""
    columns: dict[str, list[Any]] = {}
    named = labels(features)
    for j, one in enumerate(found):
        looks, params = one.looks, one.looks.params.T
        parts = {
            "target": np.full(len(looks.epochs), j),
            "epoch": looks.epochs,
            "lr": one.descent.rates(looks.epochs - 1),
            "cost": looks.cost,
            "gradient_norm": looks.gradient_norm,
            **({} if one.validation_cost is None else {"validation_cost": one.validation_cost}),
            **dict(zip(named, params, strict=False)),
            **({"intercept": params[-1]} if one.problem.bias else {}),
        }
        for name, values in parts.items():
            columns.setdefault(name, []).append(np.asarray(values))
    one = found[0]
    inside = {
        "standardize": one.problem.standardize,
        "center": one.problem.center and not one.problem.standardize,
        "lr": one.descent.lr,
        "momentum": one.descent.momentum,
        "epochs": one.descent.epochs,
        "batch_size": one.descent.batch_size,
        "reduction": None if one.descent.reduction == reduction else one.descent.reduction,
        "engine": one.engine,
    }
    return FitHistory({name: np.concatenate(values) for name, values in columns.items()}, inside)


def labels(features: Sequence[str]) -> tuple[str, ...]:
    """What the columns of coefficients are called: as their features, which are all different, and so are these."""
    found = []
    for name in features:
        label = name
        while label in ABOUT or (label != name and label in features):
            label = f"coef:{label}"
        found.append(label)
    return tuple(found)
