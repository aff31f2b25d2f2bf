"""Statistics of a fit: their share of the time, and correct digits of standard errors beside statsmodels."""

from __future__ import annotations

import statistics
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import descentlab as dl
from benchmarks.measure import Row, report
from tests.problem.test_nist import SETS, as_floats, observations
from tests.problem.test_statistics import digits, exact_statistics

N, D, ROUNDS = 10_000_000, 20, 3
MAX_SHARE = 0.02
TIMED = """
import sys, time, descentlab as dl
started = time.perf_counter()
fit = dl.Problem(sys.argv[1], target="y").solve()
fit.text()
solved = time.perf_counter()
fit.summary().text()
counted = time.perf_counter()
fit.robust("HC3").summary().text()
print(solved - started, counted - solved, time.perf_counter() - counted)
"""
EXACT_FITS = ("wampler1", "wampler2")


def main() -> None:
    rows = [*times(), *nist(), *traps()]
    import statsmodels

    report(
        "statistics",
        f"Statistics beside statsmodels {statsmodels.__version__}",
        rows,
        "Digits are the fewest of any standard error, against exact rational arithmetic on the float64 that both are "
        "given. `OLS` has its default settings (`pinv`) and a column of ones. It drops singular values below 1e-15 of "
        "the largest, and its summary warns of a large condition number in these cases.",
    )


def times() -> list[Row]:
    """In fresh processes, since the first statistics import SciPy's special functions."""
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "rows.parquet")
        _write_rows(path, np.random.default_rng(0))
        runs = [subprocess.check_output([sys.executable, "-c", TIMED, path], text=True).split() for _ in range(ROUNDS)]
    read, counted, robust = (statistics.median(map(float, seconds)) for seconds in zip(*runs, strict=True))
    share = counted / read
    what = f"summary of {N:,} x {D}, Parquet"
    return [
        Row(what, f"{counted:.3f} s after {read:.1f} s", f"{share:.2%} more", "at most 2% more", share <= MAX_SHARE),
        Row("HC3 in one more pass", f"{robust:.1f} s", f"{robust / read:.2f} of the time of the fit"),
    ]


def _write_rows(path: str, rng: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    names = [*(f"x{j}" for j in range(D)), "y"]
    writer: Any = None
    for _ in range(10):
        X = rng.standard_normal((N // 10, D))
        table = pa.table([*X.T, X @ np.arange(D) + rng.standard_normal(len(X))], names=names)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def nist() -> list[Row]:
    rows = []
    for data in SETS:
        columns, y = observations(data)
        X, target = as_floats(data, columns), np.array([float(v) for v in y])
        rows.append(_compare(f"standard errors, NIST {data.name}", X, target, data.bias, exact=data.name in EXACT_FITS))
    return rows


def traps() -> list[Row]:
    """A clock within a day, an hour and a minute; an offset; a small unit: 200 rows, a slope and noise."""
    rng, rows = np.random.default_rng(0), []
    for name, seconds in (("a day", 86400), ("an hour", 3600), ("a minute", 60)):
        for unit, ticks in (("s", 1), ("ms", 10**3), ("us", 10**6)):
            x = np.sort(rng.integers(0, seconds * ticks, 200))
            y = 3.0 * x / ticks + rng.standard_normal(200)
            rows.append(
                _compare(f"a clock in {unit} within {name}", (x + 1_700_000_000 * ticks).astype(float)[:, None], y)
            )
    z = rng.standard_normal(200)
    rows.append(_compare("1e8 +- 1", (1e8 + z)[:, None], 3 * z + rng.standard_normal(200)))
    two = np.column_stack([z * 1e-8, rng.standard_normal(200)])
    rows.append(_compare("one column times 1e-8", two, 3 * z + two[:, 1] + rng.standard_normal(200)))
    return rows


def _compare(what: str, X: Any, y: Any, bias: bool = True, *, exact: bool = False) -> Row:
    import statsmodels.api as sm

    columns = [[Fraction(float(v)) for v in column] for column in X.T]
    ones = [Fraction(1)] * len(y)
    expected = exact_statistics(columns, [Fraction(float(v)) for v in y], ones, Fraction(len(y)), bias=bias)
    fit = dl.Problem(X, y, bias=bias).solve()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sm.OLS(y, np.column_stack([X, np.ones(len(y))]) if bias else X).fit().bse
    if exact:
        said = "not given" if np.isnan(fit.standard_errors).all() else "given"
        return Row(what, f"{said} (0 up to rounding)", f"statsmodels {max(theirs):.0e}")
    ours, other = (
        max(
            0.0, min(min(digits(float(s), v, root=True), 16.0) for s, v in zip(errors, expected.variances, strict=True))
        )
        for errors in (fit.standard_errors, theirs)
    )
    return Row(what, f"{ours:.1f}", f"statsmodels {other:.1f}", "at least equal", round(ours, 1) >= round(other, 1))
