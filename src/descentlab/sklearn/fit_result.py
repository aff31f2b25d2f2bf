"""The result of fitting one target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.engines import Snapshots
from descentlab.messages import to_json_types
from descentlab.model.build import model_of_descent
from descentlab.model.model import Model
from descentlab.model_selection.validation import Validation
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray


@dataclass(frozen=True, eq=False)
class FitResult:
    """The fit of one target.

    Attributes:
        theory: the theory of the descent; it holds the problem and the settings.
        params: (p,) in the data's units: features in order, then the intercept if there is one.
        updates: the epochs of updates that led to ``params``.
        ending: why the descent ended.
        snapshots: epochs, params, costs and gradient norms of the history, in the data's units; the end last.
        validation_cost: the held-out cost of each snapshot, with early stopping.
        validation: the result of early stopping.
        engine: the name of the engine that made the steps.
        reached_limit: whether nothing but rounding is left of the way to the minimum.
    """

    theory: FullBatchTheory
    params: FloatArray
    updates: int
    ending: Ending
    snapshots: Snapshots
    validation_cost: FloatArray | None
    validation: Validation | None
    engine: str
    reached_limit: bool

    @property
    def problem(self) -> Problem:
        return self.theory.problem

    @property
    def descent(self) -> Descent:
        return self.theory.descent

    @property
    def converged(self) -> bool:
        """Whether it is within 1% of the minimum's cost, or, where that is 0, of every coefficient."""
        return bool(self.theory.is_converged(self.problem.scaling.to_scaled(self.params)))


def model_of_result(result: FitResult) -> Model:
    """The model of the parameters that were fitted."""
    problem, minimum = result.problem, result.problem.solve(result.descent.start)
    gap = problem.quadratic.A @ (problem.scaled_params(result.params) - problem.scaled_params(minimum.params))
    distance = float(np.linalg.norm(gap)) / minimum.sigma
    settings = {"engine": result.engine, "epochs": result.updates, "ending": result.ending.reason.value}
    settings |= {"cost": problem.cost(result.params), "least_cost": minimum.cost, "settings": result.descent.to_dict()}
    return model_of_descent(minimum, result.params, None, distance, to_json_types(settings))
