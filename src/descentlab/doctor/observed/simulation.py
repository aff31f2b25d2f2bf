"""Where loops have their parameters after any number of updates: the descent as stated, and loops with a mistake.

Full-batch descent is affine in its state z = (p, m, s, 1), the parameters, the momentum buffer and the gradient kept:
``z(t) = M^(t-1) M_1 z(0)``, with M_1 the first update, which starts the buffer. So is descent with a wrong gradient,
as long as the mistake is linear: ``s' = T (c (A'A + weight penalty) p - c A't)``, with T = -1 for a wrong sign, T a
permutation, T with zeros for what is never updated, or s added to it where it is never cleared; another matrix in the
place of A' takes residuals times something else than the columns; then ``d = s' + decay p`` as torch takes it. Where
parameters are updated one group after another, the gradient of a later group sees the earlier ones moved.
Parameters are the descended ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.engines import Engine, make_engine
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray, IntArray

# Most numbers visited when updates are simulated one by one, and the cost of an update in addition to its rows.
MAX_WORK, WORK_PER_UPDATE = 1e9, 1000
INTERLEAVE_FROM_RANGES = 16  # strides of even steps from which on every second epoch is taken apart


def simulate_descent(problem: Problem, descent: Descent, updates: IntArray) -> FloatArray:
    """(k, p) parameters after these many updates, ascending, of the descent as it is, in float64.

    Raises:
        EngineError, MissingDependencyError: no engine here can carry it out.
    """
    descent = replace(descent, dtype="float64", device="cpu", epochs=max(int(updates[-1]) + 1, 1))
    engine = make_engine("auto", problem, descent)
    engine.initialize(problem, descent)
    ranges = list(_even_ranges(updates + 1))
    if (
        engine.random_access and len(ranges) > INTERLEAVE_FROM_RANGES
    ):  # two rows of epochs in each other: one after the other
        params = np.empty((len(updates), len(problem.parameters)))
        for offset in (0, 1):
            params[offset::2] = _params_at(engine, list(_even_ranges(updates[offset::2] + 1)))
        return params
    return _params_at(engine, ranges)


def _params_at(engine: Engine, ranges: list[range]) -> FloatArray:
    return np.concatenate([snapshots.params for epochs in ranges for snapshots in engine.snapshots_at(epochs)])


def _even_ranges(epochs: IntArray) -> Iterator[range]:
    """Ascending numbers as ranges, each as long as its steps are equal: engines look at epochs in equal steps."""
    first = 0
    while first < len(epochs):
        step = int(epochs[first + 1] - epochs[first]) if first + 1 < len(epochs) else 1
        last = first
        while last + 1 < len(epochs) and epochs[last + 1] - epochs[last] == step:
            last += 1
        yield range(int(epochs[first]), int(epochs[last]) + 1, step)
        first = last + 1


def is_affordable(problem: Problem, descent: Descent, updates: int) -> bool:
    """Whether this many updates can be simulated within seconds; with a closed form always."""
    return descent.has_closed_form or updates * (problem.n + WORK_PER_UPDATE) * len(problem.parameters) <= MAX_WORK


def simulate_linear_bug(
    problem: Problem,
    descent: Descent,
    updates: IntArray,
    gradient_transform: FloatArray | float = 1.0,
    target: FloatArray | None = None,
    accumulate: bool = False,
    residual_map: FloatArray | None = None,
    update_order: Sequence[Sequence[int]] = (),
) -> FloatArray:
    """(k, p) parameters after these many updates where the gradient is not the cost's.

    Args:
        problem, descent: as stated; a constant rate, full batch.
        updates: ascending.
        gradient_transform: T, what the gradient is multiplied by: -1, or a (p, p) matrix.
        target: (m,) a target column of the triangle, instead of the problem's own.
        accumulate: whether gradients are never cleared.
        residual_map: (p, m) what residuals are multiplied by, instead of A'.
        update_order: groups of parameters that are updated one after another; of plain descent only.
    """
    quadratic, p = problem.quadratic, len(problem.parameters)
    T = gradient_transform * np.eye(p) if isinstance(gradient_transform, float) else gradient_transform
    L, c = quadratic.A.T if residual_map is None else residual_map, gradient_scale(descent.reduction, problem.weight)
    H = c * (L @ quadratic.A + problem.weight * np.diag(quadratic.penalty))
    G = np.zeros((p, 3 * p + 1))  # the gradient as it is taken, from the state
    G[:, :p] = T @ H
    G[:, -1] = -c * (T @ L @ (quadratic.t if target is None else target))
    G[:, 2 * p : 3 * p] = np.eye(p) if accumulate else 0.0
    for i, group in enumerate(update_order):
        earlier_parameters = [j for earlier in update_order[:i] for j in earlier]
        G[group] -= descent.lr * H[np.ix_(group, earlier_parameters)] @ G[earlier_parameters]
    state = np.concatenate([problem.scaled_params(descent.start), np.zeros(2 * p), [1.0]])
    updates_done, params = 0, []
    powers: dict[int, FloatArray] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        first, later = _update_matrix(G, descent, first=True), _update_matrix(G, descent, first=False)
        for count in updates.tolist():
            if updates_done == 0 < count:
                state, updates_done = first @ state, 1
            if count - updates_done not in powers:
                powers[count - updates_done] = np.linalg.matrix_power(later, count - updates_done)
            state, updates_done = powers[count - updates_done] @ state, count
            params.append(state[:p])
    return np.stack(params)


def _update_matrix(G: FloatArray, descent: Descent, first: bool) -> FloatArray:
    """(3p + 1, 3p + 1) one update of the state (p, m, s, 1), with s the gradients so far where they are kept."""
    p = len(G)
    mu, tau = descent.momentum, 0.0 if first else descent.dampening
    M = np.eye(3 * p + 1)
    d = G + descent.weight_decay * M[:p]
    buffer = (1 - tau) * d + mu * M[p : 2 * p]  # which is 0 before the first update
    step = d + mu * buffer if descent.nesterov else buffer if mu else d
    M[:p] -= descent.lr * step
    M[p : 2 * p], M[2 * p : 3 * p] = buffer, G
    return M


def simulate_per_sample(problem: Problem, descent: Descent) -> Iterator[tuple[FloatArray, float]]:
    """Epoch after epoch of plain updates by one row at a time, in the rows' order.

    Yields:
        (p,) the parameters after the epoch, and the mean over its rows of the squared error each had at its turn.
    """
    rows = problem.scaled_rows()
    d, c, lr = rows.X.shape[1], gradient_scale(descent.reduction, 1.0), descent.lr
    table = list(zip(rows.X.tolist(), rows.y.tolist(), strict=True))
    w = problem.scaled_params(descent.start).tolist()
    decay, penalty = lr * descent.weight_decay, lr * (c * problem.ridge + descent.weight_decay)
    while True:
        total = 0.0
        for x, y in table:
            r = sum([a * b for a, b in zip(w, x, strict=False)], w[d] if problem.bias else 0.0) - y  # w may end in b
            total += r * r
            for j in range(d):
                w[j] -= lr * c * r * x[j] + penalty * w[j]
            if problem.bias:
                w[d] -= lr * c * r + decay * w[d]
        yield np.array(w), total / len(table)
