"""The result of a descent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.dependencies import LazyMethod
from descentlab.descent.descent import Descent
from descentlab.messages import Message, format_number, message, to_json_types
from descentlab.messages.html import html_fragment, html_paragraph, html_preformatted
from descentlab.model.build import model_of_descent
from descentlab.model.model import Model
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending
from descentlab.run.history import History
from descentlab.run.plot import plot_run
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

MAX_NAMED_PARAMETERS = 12  # in a sentence
HTML_TABLE_ROWS = 20


@dataclass(frozen=True, eq=False)
class Run:
    """A descent that took place.

    Attributes:
        problem, descent, engine: what was run.
        history: the recorded epochs, each before its update.
        params: (p,) after the last update, in the data's units: features in order, then the bias.
        cost, gradient_norm: there.
        ending: why the run ended.
        notices: messages about the order in which the engine took the rows.
        scaled_params: (p,) the last parameters of the columns that descent acts on, as the engine left them.
    """

    problem: Problem
    descent: Descent
    engine: str
    history: History
    params: FloatArray
    cost: float
    gradient_norm: float
    ending: Ending
    notices: tuple[Message, ...] = ()
    scaled_params: FloatArray | None = None

    lab = LazyMethod("descentlab.lab.methods", "lab_of_run")

    def table(self, rows: int | None = None) -> str:
        """The history as a table; see :meth:`History.table`."""
        return self.history.table(rows)

    @property
    def params_by_name(self) -> dict[str, float]:
        """The last parameters by name."""
        return dict(zip(self.problem.parameters, self.params.tolist(), strict=True))

    @cached_property
    def model(self) -> Model:
        """The :class:`descentlab.Model` of the last parameters, to be saved and to predict with.

        Statistics and intervals are those of least squares, and are given if no prediction is further from that of the
        minimum than 0.01 of its standard error.

        Raises:
            SettingError: the parameters are not finite.
        """
        problem, minimum = self.problem, self.problem.solve(self.descent.start)
        scaled = problem.scaled_params(self.params) if self.scaled_params is None else self.scaled_params
        with np.errstate(over="ignore", invalid="ignore"):
            gap = problem.quadratic.A @ (scaled - problem.scaled_params(minimum.params))
            distance = float(np.linalg.norm(gap)) / minimum.sigma
        at_means = float(scaled[-1]) if problem.center and problem.bias else None
        settings = {"engine": self.engine, "epochs": self.ending.epoch, "ending": self.ending.reason.value}
        settings |= {"cost": self.cost, "least_cost": minimum.cost}
        settings |= {name: problem.to_dict()[name] for name in ("ridge", "center", "standardize")}
        settings["settings"] = self.descent.to_dict()
        return model_of_descent(minimum, self.params, at_means, distance, to_json_types(settings))

    @property
    def messages(self) -> list[Message]:
        """The parameters after the last update, in the data's units, and how the run ended."""
        pairs = [f"{name} = {format_number(value)}" for name, value in self.params_by_name.items()]
        shown = ", ".join(pairs[:MAX_NAMED_PARAMETERS]) + (", ..." if len(pairs) > MAX_NAMED_PARAMETERS else "")
        return [message("cli.last", params=shown, cost=format_number(self.cost)), *self.ending.messages]

    @property
    def summary(self) -> list[str]:
        """The settings, the scaling and the engine in words."""
        return [*self.descent.summary, *self.problem.summary, f"engine {self.engine}"]

    def _repr_html_(self) -> str:
        header = [self.problem.title, ", ".join(self.summary), *self.problem.notices, *self.notices]
        return html_fragment(
            *map(html_paragraph, header),
            html_preformatted(self.table(HTML_TABLE_ROWS)),
            *map(html_paragraph, self.messages),
        )

    def plot(self, path: str | os.PathLike[str] | None = None, *, lang: str | None = None) -> Any:
        """The cost by epoch, predictions against targets, and the cost's surface with the path; needs matplotlib.

        Axes are logarithmic where the cost falls by more than a decade, or in the first few of many epochs.

        Args:
            path: a file to write (``.png``, ``.svg``, ``.pdf``); None only returns the figure.
            lang: the labels' language.

        Returns:
            The :class:`matplotlib.figure.Figure`.
        """
        return plot_run(FullBatchTheory(self.problem, self.descent), self.history, self.params, self.ending, path, lang)

    def __repr__(self) -> str:
        return f"Run({self.engine}, {len(self.history)} epochs recorded, {self.ending.reason}, cost {self.cost:.6g})"
