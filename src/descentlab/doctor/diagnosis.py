"""The diagnosis of one descent: the verdict, the rates, the remedies and the findings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from descentlab.dependencies import LazyMethod
from descentlab.descent.descent import Descent
from descentlab.doctor.code import CODE_LANGUAGES
from descentlab.doctor.directions import Direction
from descentlab.doctor.finding import Finding
from descentlab.doctor.forecast import Curve, Forecast, Verdict
from descentlab.doctor.headline import Headline, observed_headline
from descentlab.doctor.recommendation import Recommendation
from descentlab.doctor.remedies import Remedy
from descentlab.errors import check_choice
from descentlab.messages import Message, to_json_types, use_language
from descentlab.messages.document import Presentable, make_blocks, to_text
from descentlab.problem.problem import Problem
from descentlab.run.coefficients import CoefficientError
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.learning_rates import RateChoice
from descentlab.theory.overflow import FLOAT_TYPES, Overflow
from descentlab.typing import FloatArray

if TYPE_CHECKING:
    from descentlab.model_selection.validation import Validation


DIAGNOSIS_SCHEMA = "descentlab.diagnosis/1"


@dataclass(frozen=True, eq=False)
class Diagnosis(Presentable):
    """The result of :func:`descentlab.diagnose`. It prints, and renders in a notebook.

    The theory is that of full-batch descent on a quadratic cost: in the eigendirection of curvature lambda, every epoch
    multiplies the error by ``1 - lr lambda`` (with momentum, by the larger root of the recursion), so that descent is
    stable for ``lr < 2 / lambda_max``. Costs are mean squared errors, rates are in the user's reduction.

    Attributes:
        problem, descent: what was asked about.
        within: how near to the minimum counts as converged, as a part of its cost; of every coefficient where the data
            is fitted exactly.
        verdict: ``diverges``, ``too slow``, ``converges-monotone``, ``converges-oscillating``, or ``cannot tell``.
        headline: the verdict with the number that decides it (``answer``), what to do (``action``), and a mark.
        lr_bound: the largest stable learning rate in the user's reduction, with the momentum and weight decay asked
            for; None for an optimizer whose bound is not known.
        epochs_to_tolerance: the number of updates after which the descent stays within; None for never.
        epochs_to_coefficients: the same for every coefficient, which a cost near its minimum does not imply.
        coefficients_converged: whether every coefficient is within after the last update; None if that is not known.
        furthest: the coefficients that are not, the furthest first, at most three.
        overflow_epoch: by type, the number of updates after which a weight first leaves its range, within the epochs
            asked for; None if none does. ``overflow`` has the gradient and the cost as well, however late.
        params, cost: after the last update, in the data's units and as a mean squared error; None if they are not
            finite, or not known.
        least_cost, goal: the mean squared error and the parameters that the descent converges to.
        slowest, fastest: the directions of least and greatest curvature, with their factor per epoch.
        condition: greatest over least positive curvature.
        rates: the recommended rates, by name: ``textbook``, ``fastest`` (plain), ``own_momentum`` (with that asked
            for), ``heavy_ball``, ``fastest_pair``.
        remedies: the gain of each remedy.
        recommendation: the best of them as settings; None where nothing is known to help, or nothing is much faster.
        findings: every conclusion: the verdict, then what was observed, then facts about the data.
        checked, unchecked: what was checked and is fine, and what could not be checked and why, a phrase each.
        curve: the predicted mean squared error by updates.
        validation: the cost on held-out rows, if there were any.

    >>> import descentlab as dl
    >>> problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    >>> diagnosis = dl.diagnose(problem, lr=0.25, epochs=10)
    >>> print(diagnosis.headline.answer)
    Diverges: lr = 0.25 is 1.17 times the largest stable rate, 0.214.
    >>> bool(abs(diagnosis.lr_bound - 2 / (2 * 14 / 3)) < 1e-12)  # 2 / lambda_max, lambda_max = 2 mean(x^2)
    True
    """

    problem: Problem
    descent: Descent
    within: float
    forecast: Forecast
    lr_bound: float | None
    slowest: Direction | None
    fastest: Direction | None
    condition: float
    least_cost: float
    goal: FloatArray
    rates: Mapping[str, RateChoice]
    remedies: tuple[Remedy, ...]
    recommendation: Recommendation | None
    findings: tuple[Finding, ...]
    headline: Headline
    furthest: tuple[CoefficientError, ...] = ()
    checked: tuple[Message, ...] = ()
    unchecked: tuple[Message, ...] = ()
    validation: Validation | None = None
    lab = LazyMethod("descentlab.lab.methods", "lab_of_diagnosis")

    @property
    def observed_headline(self) -> Headline | None:
        """The answer where the observed losses show what is wrong in the loop; None otherwise."""
        return observed_headline(self.findings)

    @property
    def verdict(self) -> Verdict:
        return self.forecast.verdict

    @property
    def epochs_to_tolerance(self) -> int | None:
        return self.forecast.epochs_to_tolerance

    @property
    def epochs_to_coefficients(self) -> int | None:
        return self.forecast.epochs_to_coefficients

    @property
    def coefficients_converged(self) -> bool | None:
        return self.forecast.coefficients_converged_at_end

    @property
    def overflow(self) -> Overflow | None:
        return self.forecast.overflow

    @property
    def overflow_epoch(self) -> dict[str, int | None]:
        epochs: dict[str, int | None] = dict.fromkeys(FLOAT_TYPES)
        for dtype, table in (self.overflow or {}).items():
            weights = table["weights"]
            epochs[dtype] = weights if weights is not None and weights <= self.descent.epochs else None
        return epochs

    @property
    def params(self) -> dict[str, float] | None:
        if self.forecast.params is None:
            return None
        return dict(zip(self.problem.parameters, self.forecast.params.tolist(), strict=True))

    @property
    def cost(self) -> float | None:
        return self.forecast.cost

    @property
    def curve(self) -> Curve | None:
        return self.forecast.curve

    @property
    def cost_scale(self) -> float:
        """The cost in the user's reduction, as a multiple of the mean squared error."""
        return FullBatchTheory(self.problem, self.descent).cost_scale

    @property
    def lr_ratio(self) -> float | None:
        """The rate asked for over the bound."""
        return self.descent.lr / self.lr_bound if self.lr_bound else None

    def text(
        self,
        lang: str | None = None,
        name: str = "",
        *,
        code: str | Sequence[str] = "descentlab",
        more: bool = False,
    ) -> str:
        """The answer, what to do, the findings and the tables, 80 columns wide.

        Args:
            lang: the language.
            name: what to call the data.
            code: what the lines to paste are for: ``descentlab``, or a loop in ``numpy`` or ``torch``; or these lines.
            more: whether to add when numbers overflow, the recommended rates, and the bounds of the remedies.

        Raises:
            SettingError: ``code`` is something else.
        """
        if isinstance(code, str):
            check_choice("code", code, CODE_LANGUAGES)
        with use_language(lang):
            return to_text(make_blocks(self, name, code=code, more=more))

    def __repr__(self) -> str:
        return (
            f"Diagnosis({self.verdict}, lr {self.descent.lr:.6g}, bound {self.lr_bound}, {len(self.findings)} findings)"
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        lang: str | None = None,
        name: str = "",
        code: str | Sequence[str] = "descentlab",
    ) -> None:
        """Write the page of :meth:`lab` to an ``.html`` file that needs nothing else.

        Args:
            path: the file.
            lang: the language that the page opens in.
            name: what to call the data.
            code: what the lines to paste are for, as in :meth:`text`.

        Raises:
            SettingError: the file's name does not end in .html.
        """
        self.lab(name, code=code).save(path, lang=lang)

    def to_dict(self, lang: str | None = None) -> dict[str, Any]:
        """The whole diagnosis as JSON types, with None for numbers that are not finite; docs/json.md describes it."""
        problem = self.problem
        with use_language(lang):
            content = {
                "schema": DIAGNOSIS_SCHEMA,
                "problem": problem.to_dict(),
                "descent": self.descent.to_dict(),
                "within": self.within,
                "verdict": self.verdict.value,
                "answer": (self.observed_headline or self.headline).answer,
                "action": (self.observed_headline or self.headline).action,
                "oscillates": self.forecast.oscillates,
                "lr_bound": self.lr_bound,
                "lr_ratio": self.lr_ratio,
                "epochs_to_tolerance": self.epochs_to_tolerance,
                "epochs_to_coefficients": self.epochs_to_coefficients,
                "coefficients_converged": self.coefficients_converged,
                "furthest": [each._asdict() for each in self.furthest],
                "overflow_epoch": self.overflow_epoch,
                "overflow": self.overflow,
                "params": self.params,
                "cost": self.cost,
                "loss": None if self.cost is None else self.cost * self.cost_scale,
                "least_cost": self.least_cost,
                "goal": dict(zip(problem.parameters, self.goal.tolist(), strict=True)),
                "condition": self.condition,
                "slowest": _rename(self.slowest, one_minus_factor="gap"),
                "fastest": _rename(self.fastest, one_minus_factor="gap"),
                "rates": [
                    _rename(rate, lr_text="shown", momentum_text="shown_momentum") for rate in self.rates.values()
                ],
                "remedies": [_rename(remedy, lr_text="shown") for remedy in self.remedies],
                "recommendation": self.recommendation and self.recommendation.to_dict(),
                "findings": [finding.to_dict() for finding in self.findings],
                "checked": self.checked,
                "unchecked": self.unchecked,
                "validation": None if self.validation is None else self.validation.to_dict(),
                "curve": self.curve and {name: values.tolist() for name, values in vars(self.curve).items()},
                "notices": problem.notices,
            }
            json_content: dict[str, Any] = to_json_types(content)
        return json_content


def _rename(value: object, **json_names: str) -> dict[str, Any] | None:
    """The fields of a dataclass under their names in JSON."""
    return None if value is None else {json_names.get(name, name): each for name, each in vars(value).items()}
