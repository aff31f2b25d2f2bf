"""The diagnosis: every finding about one descent, put together. :func:`diagnose` makes it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.arrays import Array
from descentlab.descent import Descent
from descentlab.doctor.aim import Aim
from descentlab.doctor.conclusions import conclusions, held_out_finding
from descentlab.doctor.direction import Direction, Namer, direction
from descentlab.doctor.facts import facts, inflation
from descentlab.doctor.finding import Finding
from descentlab.doctor.forecast import Curve, Forecast, Verdict, forecast, whole_batch
from descentlab.doctor.overflow import TYPES, Overflow
from descentlab.doctor.rates import Rate, fastest, fastest_pair, heavy_ball, textbook
from descentlab.doctor.remedies import Pharmacy, Remedy
from descentlab.doctor.verdicts import Case
from descentlab.errors import SettingError, finite_number
from descentlab.problem import Problem
from descentlab.run import rate_needed
from descentlab.stability import gap
from descentlab.theory import NEAR, Theory

if TYPE_CHECKING:
    from descentlab.doctor.folds.validation import Validation
    from descentlab.doctor.losses.reading import LossDiagnosis
    from descentlab.lab.sheet import Lab


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What gradient descent will do to a problem, why, and what would help. It prints, and renders in a notebook.

    Attributes:
        problem, descent: what was asked about.
        within: what counts as being at the minimum, as a part of its cost, or of every coefficient where it fits
            exactly.
        verdict: ``diverges``, ``too slow``, ``converges-monotone``, ``converges-oscillating``, or ``cannot tell``.
        lr_bound: the largest stable learning rate in the asker's own convention, with their momentum and weight
            decay; None for an optimizer that no bound is known for.
        epochs_to_tolerance: the number of updates from which on their descent stays within; None for never.
        overflow_epoch: by type, the number of updates after which a weight first leaves its range, within the
            epochs asked for; None where none does. ``overflow`` has the gradient and the cost too, however late.
        params, cost: after their last update, in the data's units and as a mean squared error; None where they are
            no numbers, or not known.
        least_cost, goal: the mean squared error and the parameters that the descent is bound for.
        slowest, fastest: the directions of least and greatest curvature, with the factor per epoch.
        condition: greatest over least positive curvature.
        rates: the rates to use, by name: ``textbook``, ``fastest`` (plain), ``own_momentum`` (with that asked for),
            ``heavy_ball``, ``fastest_pair``.
        remedies: what each remedy buys.
        findings: every conclusion, the verdict first, then what was observed, then facts about the data.
        curve: the predicted mean squared error by updates.
        validation: the cost on held-out rows, if there were any.
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
    goal: Array
    rates: Mapping[str, Rate]
    remedies: tuple[Remedy, ...]
    findings: tuple[Finding, ...]
    validation: Validation | None = None

    @property
    def verdict(self) -> Verdict:
        return self.forecast.verdict

    @property
    def epochs_to_tolerance(self) -> int | None:
        return self.forecast.epochs_to_tolerance

    @property
    def overflow(self) -> Overflow | None:
        return self.forecast.overflow

    @property
    def overflow_epoch(self) -> dict[str, int | None]:
        found: dict[str, int | None] = dict.fromkeys(TYPES)
        for kind, table in (self.overflow or {}).items():
            weights = table["weights"]
            found[kind] = weights if weights is not None and weights <= self.descent.epochs else None
        return found

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
    def scale(self) -> float:
        """The cost in the asker's reduction, as a multiple of the mean squared error."""
        return Theory(self.problem, self.descent).scale

    @property
    def lr_ratio(self) -> float | None:
        """The asker's rate over the bound."""
        return self.descent.lr / self.lr_bound if self.lr_bound else None

    def text(self, lang: str | None = None, name: str = "") -> str:
        """The diagnosis in plain sentences and tables, 80 columns wide; ``name`` is what to call the data."""
        from descentlab.doctor.report import text

        return text(self, lang, name)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return (
            f"Diagnosis({self.verdict}, lr {self.descent.lr:.6g}, bound {self.lr_bound}, {len(self.findings)} findings)"
        )

    def _repr_html_(self) -> str:
        from descentlab.doctor.page import html

        return html(self)

    def lab(self, name: str = "") -> Lab:
        """A page with these findings, on which the descent can be seen and changed; see :meth:`Problem.lab`."""
        from descentlab.lab.sheet import of_diagnosis

        return of_diagnosis(self, name)

    def save(self, path: str | os.PathLike[str], *, lang: str | None = None, name: str = "") -> None:
        """Write that page to an ``.html`` file that needs nothing else: the findings are in it in every language.

        Args:
            path: the file.
            lang: the language that the page opens in.
            name: what to call the data.

        Raises:
            SettingError: the file's name does not end in .html.
        """
        self.lab(name).save(path, lang=lang)

    def to_dict(self, lang: str | None = None) -> dict[str, Any]:
        """Everything for a machine, JSON-safe; docs/json.md describes it."""
        from descentlab.doctor.report import to_dict

        return to_dict(self, lang)


def diagnose(
    problem: Problem | None = None,
    descent: Descent | None = None,
    *,
    losses: Sequence[object] | None = None,
    observed: object = None,
    validation: object = None,
    within: float = NEAR,
    every: int = 1,
    **settings: Any,
) -> Diagnosis | LossDiagnosis:
    """Say what gradient descent will do before it runs, and why it went wrong. Nothing is run, nothing altered.

    Args:
        problem: what is fitted; from rows or from a factor.
        descent: how to step; or give its settings as keywords: ``diagnose(problem, lr=0.01, epochs=500)``.
        losses: printed losses, instead of a problem: then only ``lr``, ``momentum``, ``dampening``, ``nesterov``
            and ``every`` (losses were printed every so many epochs) are used, and a
            :class:`~descentlab.doctor.losses.LossDiagnosis` comes back.
        observed: the final loss, or the losses by epoch, that the asker's own run printed, in their reduction.
        validation: held-out rows: a factor, a problem, a table or file with the same columns, or a pair (X, y).
        within: how near to the minimum's cost counts as there, as a part of it: 1e-12 to 1.
        **settings: those of :class:`descentlab.Descent`.

    Raises:
        SettingError: a rate without data, no rate, a setting outside what it may be, a start of the wrong length or so
            far off that its cost is beyond float64, losses that are no numbers.
    """
    if losses is not None:
        return _of_losses(problem, losses, every, settings)
    if every != 1:
        raise SettingError("every_without_losses")
    if problem is None:
        raise SettingError("nothing_to_diagnose")
    if not isinstance(problem, Problem):
        raise SettingError("not_a_problem_to_diagnose", given=type(problem).__name__)
    if descent is None and settings.get("lr") is None:
        settings.pop("lr", None)
        raise rate_needed(problem, settings)
    if descent is None:
        descent = Descent(**settings)
    elif settings:
        raise SettingError("settings_twice", names=tuple(settings))
    within = finite_number("within", within, 1e-12, 1.0)
    return _of_problem(problem, descent, within, observed, validation)


def _of_losses(problem: object, losses: Sequence[object], every: int, settings: dict[str, Any]) -> LossDiagnosis:
    from descentlab.doctor.losses.reading import of_losses

    if problem is not None:
        raise SettingError("losses_beside_data")
    usable = ("lr", "momentum", "dampening", "nesterov")
    unusable = [name for name in settings if name not in usable]
    if unusable:
        raise SettingError("losses_settings", names=unusable, usable=usable)
    return of_losses(losses, settings.pop("lr", None), every=every, **settings)


def _of_problem(problem: Problem, asked: Descent, within: float, observed: object, held_out: object) -> Diagnosis:
    # In exact arithmetic: what float32 makes of it is told as overflow.
    descent = replace(whole_batch(problem, asked), dtype="float64", device="cpu")
    whole = asked.batch_size is not None and descent.batch_size is None
    theory = Theory(problem, descent)
    _refuse_too_far(theory)
    aim = Aim.of(theory, within)
    future = forecast(theory, aim, within)
    rates = _rates(theory, aim) if future.epochs_to_tolerance != 0 else {}  # at the minimum none is needed
    start = problem.coordinates.to_units(problem.start(descent.start))
    slowest, steepest = _directions(theory)
    vif = inflation(problem)
    findings = conclusions(Case(theory, future, within, slowest, steepest, rates, whole))
    if observed is not None:
        from descentlab.doctor.observed.compare import compare

        findings += [replace(each, about="observed") for each in compare(problem, descent, observed)]
    validated = None
    if held_out is not None:
        from descentlab.doctor.folds.validation import validate

        pair = held_out if isinstance(held_out, tuple) else (held_out,)
        validated = validate(problem, descent, *pair)
        findings.append(held_out_finding(validated, descent.epochs))
    bound = theory.lr_bound if descent.is_sgd and theory.applies else None
    return Diagnosis(
        problem,
        asked,
        within,
        future,
        bound,
        slowest,
        steepest,
        theory.condition,
        theory.least_cost,
        problem.coordinates.to_units(theory.destination),
        rates,
        Pharmacy(theory, aim, within, start, vif).remedies(rates) if rates else (),
        (*findings, *(replace(each, about="data") for each in facts(problem, vif))),
        validated,
    )


def _refuse_too_far(theory: Theory) -> None:
    """A start whose squared error float64 cannot hold leaves nothing to compare costs with."""
    start = theory.problem.start(theory.descent.start)
    with np.errstate(over="ignore", invalid="ignore"):
        if not math.isfinite(theory.scale * float(theory.problem.quadratic.objective(start))):
            furthest = float(np.abs(theory.problem.coordinates.to_units(start)).max())
            raise SettingError("start_too_far", furthest=furthest)


def _rates(theory: Theory, aim: Aim) -> dict[str, Rate]:
    largest, smallest = theory.largest, theory.smallest
    if not smallest > 0 or not math.isfinite(largest):
        return {}
    own = theory.descent.recursion
    found = [textbook(aim, largest, smallest), fastest(aim, largest)]
    found += [fastest(aim, largest, own)] if 0 < own["momentum"] < 1 and theory.descent.is_sgd else []
    polyak = heavy_ball(aim, largest, smallest)
    found += [polyak, fastest_pair(aim, largest, polyak)]
    return {rate.name: rate for rate in found if rate is not None}


def _directions(theory: Theory) -> tuple[Direction | None, Direction | None]:
    """The flattest and the steepest direction."""
    rank = theory.spectrum.rank
    if not rank:
        return None, None
    namer = Namer(theory.problem)
    x = theory.descent.lr * theory.curvature[[rank - 1, 0]]
    gaps = np.asarray(gap(x, **theory.descent.recursion))
    return direction(theory, namer, rank - 1, float(gaps[0])), direction(theory, namer, 0, float(gaps[1]))
