"""Least squares on the factor, without any step, and bounds on the rounding error of the solution.

Columns are taken one after another at unit length, centered if there is a bias. One that is, within rounding, a
combination of the columns before it is dependent. On the independent columns ``W = T^-1 Q't`` by back substitution,
and if rounding moved column j by ``e_j`` and the target by ``e_t`` (norms), then to first order

    |dW_i| <= |row i of T^-1| (sum_j e_j |W_j| + e_t) + sum_j |(T'T)^-1|_ij e_j |r|

(Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., sections 20.1-20.2, column by column). The bounds
returned are twice that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from descentlab.factor.factor import Factor
from descentlab.messages import Message, format_number, message
from descentlab.problem.decomposition import MIN_LARGE_COLUMNS
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

FAR_FROM_ZERO = 100  # a column whose mean is this many times its standard deviation
CERTAIN_RANK_ROUNDINGS = 7  # a remainder of at most the values' rounding and this many more is certainly dependence
MAX_RELATIVE_PERTURBATION = 0.5  # of the columns by rounding, relative to how independent they are: no bound above it


class Fit(NamedTuple):
    """The target, and every dependent column, as combinations of the independent columns.

    Attributes:
        dependent: the indices of the k dependent features.
        params: (p, 1 + k) coefficients of the features in order, then the bias if there is one. Column 0 fits
            the target, the others the dependent columns; 0 at every dependent feature.
        error_bounds: (p, 1 + k) bounds on their rounding errors, in the data as given or in this computation; inf
            if the data, to the last place of a float64, does not determine them.
        cost: the least mean squared error, without the ridge penalty.
        cost_error: a bound on its error, from the same roundings.
        origins: (d + 1,) numbers near each column's values, 0 for columns near zero: relations are written relative
            to them, since a rounded coefficient times a large value is not near the column any more.
        relative_constants: (k,) the constants of the dependent columns' relations, relative to ``origins``.
        covariance_root: (p, r + bias) L with ``L L' = (Z'Z + penalty)^-1`` over the r independent columns and the ones;
            0 at every dependent feature.
        column_errors: (d + 1,) bounds on the rounding errors of the columns (norms) that the bounds here follow from.
    """

    dependent: tuple[int, ...]
    params: FloatArray
    error_bounds: FloatArray
    cost: float
    cost_error: float
    origins: FloatArray
    relative_constants: FloatArray
    covariance_root: FloatArray
    column_errors: FloatArray

    @property
    def null_space(self) -> FloatArray:
        """(p, k) a flat direction of the cost for each dependent feature."""
        null_space = -self.params[:, 1:]
        null_space[list(self.dependent), range(len(self.dependent))] = 1.0
        return null_space

    def describe_null_space(self, parameters: Sequence[str], has_bias: bool) -> tuple[Message, ...]:
        """For each flat direction a message that names its columns; ``parameters`` are (p,) names."""
        d = len(parameters) - has_bias
        return tuple(
            _describe_relation(
                parameters[j], float(self.origins[j]), parameters[:d], self.origins, weights, float(constant), has_bias
            )
            for j, weights, constant in zip(self.dependent, self.params[:d, 1:].T, self.relative_constants, strict=True)
        )


def _describe_relation(
    name: str,
    origin: float,
    features: Sequence[str],
    origins: FloatArray,
    weights: FloatArray,
    relative_constant: float,
    has_bias: bool,
) -> Message:
    """``name`` = a combination of the columns before it, each relative to its origin."""
    constant = Decimal(origin) + Decimal(f"{relative_constant:.12g}")
    if not weights.any():
        return (
            message("flat.constant", name=name, value=float(constant)) if has_bias else message("flat.zero", name=name)
        )
    terms = [_format_term(float(weights[j]), features[j], origins[j]) for j in np.flatnonzero(weights).tolist()]
    if constant:
        terms.append(f"{constant:f}" if origin else format_number(round(relative_constant, 12)))
    return message("flat.relation", name=name, terms=" + ".join(terms).replace("+ -", "- "))


def _format_term(weight: float, column: str, origin: float) -> str:
    coefficient = format_number(float(f"{weight:.12g}"))
    shifted_column = f"(`{column}` - {Decimal(origin):f})".replace("- -", "+ ") if origin else f"`{column}`"
    return {"1": "", "-1": "-"}.get(coefficient, f"{coefficient}·") + shifted_column


@dataclass(frozen=True)
class _System:
    """Scaled features and target: ``rows`` (m, d + 1), with the ridge's rows last.

    ``column_scales`` (d + 1,) are the divisors of the columns: powers of two, which round nothing. ``column_errors``,
    the part of them due to the given values, ``input_errors``, and ``means`` (d + 1,) are scaled like the columns.
    """

    rows: FloatArray
    column_scales: FloatArray
    column_errors: FloatArray
    input_errors: FloatArray
    means: Any
    weight: float
    bias: bool

    @classmethod
    def from_factor(cls, factor: Factor, bias: bool, penalty: FloatArray) -> _System:
        rows = factor.R_centered[1:, 1:] if bias else factor.R[:, 1:]
        # The second part is due to R and to substitution.
        column_errors = factor.column_error + (2 if bias else 6) * UNIT_ROUNDOFF * np.linalg.norm(rows, axis=0)
        if penalty.any():
            rows = np.vstack([rows, np.eye(len(penalty), len(penalty) + 1) * np.sqrt(factor.weight * penalty)[:, None]])
        norms = np.linalg.norm(rows, axis=0)
        column_scales = np.exp2(np.rint(np.log2(np.where(norms > 0, norms, 1.0))))
        input_errors = factor.value_error + CERTAIN_RANK_ROUNDINGS * UNIT_ROUNDOFF * np.linalg.norm(rows, axis=0)
        means = factor.origin + factor.R_centered[0, 1:].astype(np.longdouble) / factor.R_centered[0, 0]
        return cls(
            rows / column_scales,
            column_scales,
            column_errors / column_scales,
            input_errors / column_scales,
            means / column_scales,
            factor.weight,
            bias,
        )


def solve_least_squares(factor: Factor, bias: bool, penalty: FloatArray) -> Fit:
    """Fit the factor's last column with its d others; ``penalty`` (d,) is the ridge on each of their weights."""
    system = _System.from_factor(factor, bias, penalty)
    d = len(penalty)
    T, rotated_rows, independent, uncertain = _rank_revealing_triangle(system)
    dependent = [j for j in range(d) if j not in independent]
    if dependent or penalty.any():  # these need further reflections and sums
        system = replace(
            system, column_errors=system.column_errors + (4 + d) * UNIT_ROUNDOFF * np.linalg.norm(system.rows, axis=0)
        )
    W, errors, solution_operator = _solve_with_error_bounds(system, T, rotated_rows, independent, [d, *dependent])

    row_indices = [*independent, *([d] if bias else [])]
    scale_ratios = np.append(system.column_scales[:d], 1.0)[row_indices, None] / system.column_scales[[d, *dependent]]
    params, error_bounds = np.zeros((2, d + bias, 1 + len(dependent)))
    params[row_indices], error_bounds[row_indices] = (
        W / scale_ratios,
        (errors + 2 * UNIT_ROUNDOFF * np.abs(W)) / scale_ratios,
    )
    root = np.zeros((d + bias, len(T) + bias))
    root[row_indices, : len(T)] = solution_operator / np.append(system.column_scales[:d], 1.0)[row_indices, None]
    if bias:
        root[d, -1] = 1 / np.sqrt(factor.weight)
    # Their weights may be anything that the relation allows: no digit is certain. A penalty always tells columns apart,
    # so one that is dependent in spite of it has a penalty below rounding.
    for j in {*uncertain, *(j for j in dependent if penalty[j] > 0)}:
        relation = params[:, 1 + dependent.index(j)] != 0
        relation[j] = True
        error_bounds[relation, 0] = np.inf
    data_rows = len(factor.R_centered) - bias
    residual = (
        system.rows[:data_rows, :d] @ (params[:d, 0] * system.column_scales[:d] / system.column_scales[d])
        - system.rows[:data_rows, d]
    )
    cost_unit = float(system.column_scales[d]) ** 2 / factor.weight
    cost = float(residual @ residual) * cost_unit
    cost_error = _bound_cost_error(system, residual, params[:d, 0], error_bounds[:d, 0], penalty) * cost_unit
    origins, centers = _relation_origins(factor)
    relative_constants = np.zeros(len(dependent))
    if bias:
        relative_constants = (centers[dependent] - centers[:d] @ params[:d, 1:]).astype(np.float64)
        relative_constants[params[d, 1:] == 0] = 0.0
    column_errors = system.column_errors * system.column_scales
    return Fit(
        tuple(dependent), params, error_bounds, cost, cost_error, origins, relative_constants, root, column_errors
    )


def _bound_cost_error(
    system: _System, residual: FloatArray, weights: FloatArray, weight_errors: FloatArray, penalty: FloatArray
) -> float:
    """A bound on the error of ``|residual|^2``, in squared units of the scaled target.

    Rounding moves the residual by at most ``sum_j e_j |W_j| + e_t``, with W the exact weights. At a minimum without a
    penalty the errors of the weights have no effect of first order. If they have no bound, neither has what a better
    fit would take away: then the cost itself is added.
    """
    d = len(weights)
    scales = system.column_scales[:d] / system.column_scales[d]
    is_bounded = np.isfinite(weight_errors)
    sizes = np.abs(weights) + np.where(is_bounded, weight_errors, 0.0)
    shift = float(system.column_errors[:d] @ (sizes * scales) + system.column_errors[d])
    error = shift * (2 * float(np.linalg.norm(residual)) + shift)
    if not is_bounded.all():
        error += float(residual @ residual)
    if penalty.any():
        gradient = 2 * np.abs(system.rows[: len(residual), :d].T @ residual)
        error += float(gradient @ np.where(gradient > 0, weight_errors * scales, 0.0))
    return error


def _relation_origins(factor: Factor) -> tuple[FloatArray, Any]:
    """(d + 1,) the origins that relations are written relative to, and the columns' means relative to them.

    The origin of a column far from zero is a number near its mean; that of another column is 0.
    """
    is_far = np.abs(factor.means) > FAR_FROM_ZERO * factor.std
    exact = np.zeros(len(factor.columns), dtype=bool) if factor.shifted is None else factor.shifted
    origins = np.where(
        exact | (is_far & ~factor.is_constant), np.where(exact, factor.origin, np.rint(factor.origin)), 0.0
    )
    relative_means = factor.origin - origins + factor.R_centered[0, 1:].astype(np.longdouble) / factor.R_centered[0, 0]
    return origins, relative_means


def _rank_revealing_triangle(system: _System) -> tuple[FloatArray, FloatArray, list[int], list[int]]:
    """T (r, r), the rotated rows (m, d + 1), the r independent columns, and the uncertain ones.

    Uncertain are dependent columns whose remainder exceeds the rounding of the given values, but not that of
    compressing many rows.
    """
    d = len(system.column_errors) - 1
    if d >= MIN_LARGE_COLUMNS and (triangle := _triangle_of_independent_columns(system)) is not None:
        return triangle
    rows, column_errors = system.rows.copy(), system.column_errors
    T, inverse = np.zeros((d, d), order="F"), np.zeros((d, d))
    independent: list[int] = []
    uncertain: list[int] = []
    for j in range(d):
        r = len(independent)
        above, below = rows[:r, j], rows[r:, j]
        abs_coefficients = np.abs(inverse[:r, :r] @ above)
        norm = np.linalg.norm(below)
        if norm <= column_errors[j] + abs_coefficients @ column_errors[independent]:
            if norm > system.input_errors[j] + abs_coefficients @ system.input_errors[independent]:
                uncertain.append(j)
            continue
        if below[1:].any():
            v = below.copy()
            v[0] += np.copysign(norm, v[0])
            rows[r:, j:] -= np.outer(v * (2 / (v @ v)), v @ rows[r:, j:])
        T[: r + 1, r] = rows[: r + 1, j]
        inverse[r, r] = 1 / T[r, r]
        inverse[:r, r] = inverse[:r, :r] @ T[:r, r] * -inverse[r, r]
        independent.append(j)
    r = len(independent)
    return T[:r, :r], rows, independent, uncertain


def _triangle_of_independent_columns(system: _System) -> tuple[FloatArray, FloatArray, list[int], list[int]] | None:
    """What :func:`_rank_revealing_triangle` returns, by whole matrices; None if a column is dependent."""
    from scipy.linalg.lapack import dtrtri

    errors = system.column_errors[:-1]
    d = len(errors)
    if len(system.rows) < d:
        return None
    is_triangular = not np.tril(system.rows, -1).any()
    rows = system.rows if is_triangular else np.asarray(np.linalg.qr(system.rows, mode="r"))
    T = np.asfortranarray(rows[:d, :d])
    remainders = np.abs(T.diagonal())
    if not remainders.all():
        return None
    abs_coefficients = np.abs(np.triu(dtrtri(T)[0], 1)) * remainders  # column j: of the columns before column j
    return (T, rows, list(range(d)), []) if (remainders > errors + errors @ abs_coefficients).all() else None


def _solve_with_error_bounds(
    system: _System, T: FloatArray, rows: FloatArray, independent: list[int], targets: list[int]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients (r, or r + 1 with a bias, by targets), in the system's units, bounds on their errors, and the
    operator that maps a rotated target to them.
    """
    from scipy.linalg.blas import dtrsm, dtrsv  # LAPACK's trtrs starts every thread, also for a 5 x 5 triangle

    r, column_errors = len(T), system.column_errors[independent]
    # dtrsv divides by the diagonal; dtrsm multiplies by its reciprocal, so that 14 / 14 is not 1.
    W = np.array([dtrsv(T, rows[:r, j]) for j in targets]).T if r else np.zeros((0, len(targets)))
    inverse = dtrsm(1.0, T, np.eye(r)) if r else np.zeros((0, 0))
    residual = np.linalg.norm(rows[r:, targets], axis=0)
    perturbations = column_errors @ np.abs(W) + system.column_errors[targets]
    W[:, 1:][np.abs(W[:, 1:]) <= perturbations[1:]] = 0.0  # coefficients within rounding are 0
    direct_errors = np.zeros((r, len(targets)))
    solution_operator = inverse  # maps a target to its coefficients
    if system.bias:
        means = system.means[independent]
        constant = (system.means[targets] - means @ W).astype(np.float64)
        constant[1:][np.abs(constant[1:]) <= perturbations[1:] / np.sqrt(system.weight)] = 0.0
        terms = (np.abs(means) @ np.abs(W) + np.abs(system.means[targets])).astype(np.float64)
        W = np.vstack([W, constant])
        direct_errors = np.vstack([direct_errors, perturbations / np.sqrt(system.weight) + 4 * UNIT_ROUNDOFF * terms])
        solution_operator = np.vstack([inverse, -(means @ inverse).astype(np.float64)])
    errors = direct_errors + np.linalg.norm(solution_operator, axis=1)[:, None] * perturbations
    errors += (np.abs(solution_operator @ inverse.T) @ column_errors)[:, None] * residual
    relative_perturbation = float(column_errors @ np.linalg.norm(inverse, axis=1))  # the bounds hold well below 1
    if relative_perturbation > MAX_RELATIVE_PERTURBATION:
        return W, np.full_like(errors, np.inf), solution_operator
    return W, 2 * errors / (1 - relative_perturbation), solution_operator
