"""What the engine minibatch compiles: steps over a block of rows, and cost and gradient in one reading of all rows.

Every loop lets Python's lock go. Sums may be reordered and products joined with sums (``reassoc``, ``contract``), but
NaN and infinity keep their meaning, since a descent that leaves the range has to be noticed.
"""

from __future__ import annotations

from typing import Any

from descentlab import dependencies
from descentlab.typing import FloatArray

COLUMN_CHUNK_ROWS = (
    512  # rows of columns that lie apart: their residuals and one column of them stay in the first-level cache
)
jit = dependencies.jit(fastmath=("reassoc", "contract", "nsz"))


@jit
def residual(row: FloatArray, params: FloatArray, start: Any) -> Any:
    """``row @ params + start``. Rows are handed over as views from 0, which lets the compiler use wide registers."""
    for j in range(params.size):
        start += row[j] * params[j]
    return start


@jit
def residuals(
    W: FloatArray, rows: tuple[FloatArray, FloatArray, FloatArray, FloatArray], zero: Any
) -> tuple[Any, Any, Any, Any]:
    """Four rows at a time: W is loaded once for all of them."""
    one, two, three, four = rows
    a, b, c, e = zero, zero, zero, zero
    for j in range(W.size):
        a += one[j] * W[j]
        b += two[j] * W[j]
        c += three[j] * W[j]
        e += four[j] * W[j]
    return a, b, c, e


@jit
def axpy(total: FloatArray, row: FloatArray, r: Any) -> None:
    """``total += r * row``."""
    for j in range(total.size):
        total[j] += r * row[j]


@jit
def axpy_four(
    total: FloatArray, rows: tuple[FloatArray, FloatArray, FloatArray, FloatArray], r: tuple[Any, Any, Any, Any]
) -> None:
    """:func:`axpy` of four rows: the total is loaded and stored once for all of them."""
    one, two, three, four = rows
    for j in range(total.size):
        total[j] += (r[0] * one[j] + r[1] * two[j]) + (r[2] * three[j] + r[3] * four[j])


@jit
def residuals_and_accumulate(
    W: FloatArray,
    rows: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    total: FloatArray,
    previous: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    r: tuple[Any, Any, Any, Any],
    zero: Any,
) -> tuple[Any, Any, Any, Any]:
    """:func:`residuals` of four rows, and :func:`axpy_four` of the four before them, in one loop.

    The rows before are in the cache, so that memory goes on sending the next ones: measured 1.1 to 1.5 times as fast.
    """
    one, two, three, four = rows
    o, p, q, s = previous
    a, b, c, e = zero, zero, zero, zero
    for j in range(W.size):
        a += one[j] * W[j]
        b += two[j] * W[j]
        c += three[j] * W[j]
        e += four[j] * W[j]
        total[j] += (r[0] * o[j] + r[1] * p[j]) + (r[2] * q[j] + r[3] * s[j])
    return a, b, c, e


@jit
def copy_rows(
    X: FloatArray, y: FloatArray, w: FloatArray, rows: Any, block: tuple[FloatArray, FloatArray, FloatArray]
) -> None:
    """Copy these rows to the head of a block: loads that wait for nothing, as those of steps would."""
    x, t, v = block
    for i in range(rows.size):
        source, copy = X[rows[i]], x[i]
        for j in range(source.size):
            copy[j] = source[j]
        t[i] = y[rows[i]]
        if w.size:
            v[i] = w[rows[i]]


@jit
def update_average(mean: FloatArray, counters: Any, params: FloatArray) -> None:
    """The mean of the parameters after each step since the averaging began, this one too."""
    counters[1] += 1
    for j in range(params.size):
        mean[j] += (params[j] - mean[j]) / counters[1]


@jit
def sgd_step(
    state: tuple[FloatArray, FloatArray, FloatArray, Any],
    gradient: FloatArray,
    coefficients: tuple[Any, Any, FloatArray],
) -> None:
    """One step as ``torch.optim.SGD`` defines it.

    Args:
        state: parameters, momentum's buffer, the mean of the parameters, and marks: whether the buffer has begun, how
            many steps are in the mean, whether the next ones are.
        gradient: (p,).
        coefficients: lr, weight decay, and (3,): momentum, 1 - dampening, and 1 for Nesterov's.
    """
    params, buffer, mean, counters = state
    lr, decay, momentum_settings = coefficients
    mu, one_minus_dampening, nesterov = momentum_settings[0], momentum_settings[1], momentum_settings[2] != 0
    if mu == 0:
        for j in range(params.size):
            params[j] -= lr * (gradient[j] + decay * params[j])
    else:
        is_first_step = counters[0] == 0
        for j in range(params.size):
            g = gradient[j] + decay * params[j]
            v = g if is_first_step else mu * buffer[j] + one_minus_dampening * g
            buffer[j] = v
            params[j] -= lr * (g + mu * v if nesterov else v)
        counters[0] = 1
    if counters[2]:
        update_average(mean, counters, params)


@jit
def block_gradient(
    block: tuple[FloatArray, FloatArray, FloatArray],
    params: FloatArray,
    ridge: FloatArray,
    c: tuple[float, float],
    out: FloatArray,
) -> None:
    """The gradient over the rows of a block; its scale is ``c[0] / total weight + c[1]``, see descent/reductions."""
    x, t, w = block
    dtype = params.dtype.type
    total = dtype(len(t))
    if w.size:
        total = dtype(0)
        for i in range(w.size):
            total += w[i]
    out[:] = 0
    if total == 0:  # every row of this batch has weight zero: it has nothing to say
        return
    for i in range(len(t)):
        r = residual(x[i], params, -t[i])
        axpy(out, x[i], r * w[i] if w.size else r)
    scale = dtype(c[0] / total + c[1])
    for j in range(params.size):
        out[j] = scale * (out[j] + total * ridge[j] * params[j])


@jit
def run_batches(
    block: tuple[FloatArray, FloatArray, FloatArray],
    batch: int,
    state: tuple[FloatArray, FloatArray, FloatArray, Any],
    gradient_buffer: FloatArray,
    coefficients: tuple[Any, Any, FloatArray],
    ridge: FloatArray,
    c: tuple[float, float],
) -> None:
    """The steps of a block of rows, ``batch`` of them a step.

    Args:
        block: (m, p) rows, the bias's column of ones among them, (m,) targets, (m,) weights or none.
        batch: rows a step; the last one takes what is left.
        state, coefficients: as :func:`sgd_step` has them.
        gradient_buffer: (p,) room for a gradient.
        ridge: (p,) the penalty on each parameter.
        c: what :func:`block_gradient` scales by.
    """
    x, t, w = block
    for first in range(0, len(t), batch):
        last = min(first + batch, len(t))
        batch_rows = (x[first:last], t[first:last], w[first:last])
        block_gradient(batch_rows, state[0], ridge, c, gradient_buffer)
        sgd_step(state, gradient_buffer, coefficients)


@jit
def run_single_rows(
    block: tuple[FloatArray, FloatArray, FloatArray],
    state: tuple[FloatArray, FloatArray, FloatArray, Any],
    coefficients: tuple[Any, Any, FloatArray],
    ridge: FloatArray,
    c: tuple[float, float],
) -> None:
    """:func:`run_batches` with one row a step: the gradient is a multiple of the row, and needs no room of its own."""
    x, t, w = block
    params, buffer, mean, counters = state
    lr, decay, momentum_settings = coefficients
    dtype = params.dtype.type
    mu, one_minus_dampening, nesterov = momentum_settings[0], momentum_settings[1], momentum_settings[2] != 0
    for i in range(len(t)):
        row = x[i]
        scale = dtype(c[0] + c[1])
        if w.size:
            scale = dtype(c[0] + c[1] * w[i]) if w[i] > 0 else dtype(0)
        r = scale * residual(row, params, -t[i])
        if mu == 0:
            r = lr * r
            for j in range(params.size):
                params[j] -= r * row[j] + lr * (scale * ridge[j] + decay) * params[j]
        else:
            is_first_step = counters[0] == 0
            for j in range(params.size):
                g = r * row[j] + (scale * ridge[j] + decay) * params[j]
                v = g if is_first_step else mu * buffer[j] + one_minus_dampening * g
                buffer[j] = v
                params[j] -= lr * (g + mu * v if nesterov else v)
            counters[0] = 1
        if counters[2]:
            update_average(mean, counters, params)


@jit
def residual_sums(
    rows: tuple[FloatArray, FloatArray, FloatArray],
    W: FloatArray,
    b: Any,
    size: int,
    chunks: tuple[int, int],
    out: FloatArray,
) -> None:
    """Of each chunk of ``size`` rows into its row of ``out``: X'(w r), the sum of w r, and that of w r^2.

    X is read once: four rows are still in the cache when their residuals are known. Four rows behind the reading, the
    gradient is summed.

    Args:
        rows: (n, d) features, (n,) targets, (n,) weights or none.
        W, b: the hypothesis.
        size: rows a chunk.
        chunks: the first of them, and the one after the last.
        out: (chunks, d + 2).
    """
    X, y, w = rows
    d = X.shape[1]
    zero = b - b
    for k in range(chunks[0], chunks[1]):
        total = out[k, :d]
        total[:] = 0
        residual_sum, square_sum = zero, zero
        start, stop = k * size, min((k + 1) * size, len(y))
        unrolled_stop = stop - (stop - start) % 4
        before, v = start, (zero, zero, zero, zero)
        for i in range(start, unrolled_stop, 4):
            four = (X[i], X[i + 1], X[i + 2], X[i + 3])
            previous = (X[before], X[before + 1], X[before + 2], X[before + 3])
            r = residuals_and_accumulate(W, four, total, previous, v, zero)
            e = (r[0] + (b - y[i]), r[1] + (b - y[i + 1]), r[2] + (b - y[i + 2]), r[3] + (b - y[i + 3]))
            v = (w[i] * e[0], w[i + 1] * e[1], w[i + 2] * e[2], w[i + 3] * e[3]) if w.size else e
            residual_sum += (v[0] + v[1]) + (v[2] + v[3])
            square_sum += (v[0] * e[0] + v[1] * e[1]) + (v[2] * e[2] + v[3] * e[3])
            before = i
        if unrolled_stop > start:
            axpy_four(total, (X[before], X[before + 1], X[before + 2], X[before + 3]), v)
        for i in range(unrolled_stop, stop):
            one = residual(X[i], W, b - y[i])
            weighted = w[i] * one if w.size else one
            axpy(total, X[i], weighted)
            residual_sum += weighted
            square_sum += weighted * one
        out[k, d], out[k, d + 1] = residual_sum, square_sum


@jit
def residual_sums_by_column(
    rows: tuple[FloatArray, FloatArray, FloatArray],
    W: FloatArray,
    b: Any,
    size: int,
    chunks: tuple[int, int],
    out: FloatArray,
) -> None:
    """:func:`residual_sums` where the columns of X lie one after the other."""
    X, y, w = rows
    d = X.shape[1]
    buffer = y[:COLUMN_CHUNK_ROWS].copy()
    zero = b - b
    for k in range(chunks[0], chunks[1]):
        out[k] = 0
        stop = min((k + 1) * size, len(y))
        for start in range(k * size, stop, COLUMN_CHUNK_ROWS):
            end = min(start + COLUMN_CHUNK_ROWS, stop)
            e, t = buffer[: end - start], y[start:end]
            for i in range(e.size):
                e[i] = b - t[i]
            for j in range(0, d - 3, 4):
                four = (X[start:end, j], X[start:end, j + 1], X[start:end, j + 2], X[start:end, j + 3])
                axpy_four(e, four, (W[j], W[j + 1], W[j + 2], W[j + 3]))
            for j in range(d - d % 4, d):
                axpy(e, X[start:end, j], W[j])
            residual_sum, square_sum = zero, zero
            v = w[start:end]
            for i in range(e.size):
                r = v[i] * e[i] if v.size else e[i]
                square_sum += r * e[i]
                residual_sum += r
                e[i] = r
            out[k, d] += residual_sum
            out[k, d + 1] += square_sum
            for j in range(0, d - 3, 4):
                four = (X[start:end, j], X[start:end, j + 1], X[start:end, j + 2], X[start:end, j + 3])
                s = residuals(e, four, zero)
                out[k, j] += s[0]
                out[k, j + 1] += s[1]
                out[k, j + 2] += s[2]
                out[k, j + 3] += s[3]
            for j in range(d - d % 4, d):
                out[k, j] += residual(X[start:end, j], e, zero)
