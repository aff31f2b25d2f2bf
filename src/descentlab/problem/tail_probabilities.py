"""Tail probabilities of Student's t and of F, accurate to about 12 digits down to the smallest float64.

Both are regularized incomplete beta functions; the argument that is not close to 1 is the one that is passed.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def student_two_sided(t: Any, df: float) -> Any:
    """``P(|T| >= |t|)`` for Student's t with ``df`` > 0 degrees of freedom; nan stays nan.

    Below 1e-308 the result has fewer digits, and below 5e-324 it is 0.

    >>> float(student_two_sided(12.706204736174698, 1).round(12))
    0.05
    """
    return f_upper_tail(np.square(np.asarray(t, dtype=np.float64)), 1.0, df)


def student_quantile(level: float, df: float) -> float:
    """The q with ``P(|T| <= q) = level``, for ``0 < level < 1``.

    >>> round(student_quantile(0.95, 1), 6)
    12.706205
    """
    from scipy.special import stdtrit

    return float(-stdtrit(df, (1 - level) / 2))


def f_upper_tail(f: Any, df_model: float, df_residual: float) -> Any:
    """``P(F >= f)`` for the F distribution; ``f`` >= 0. nan for nan, or without degrees of freedom.

    >>> float(f_upper_tail(161.4476387975881, 1, 1).round(12))
    0.05
    """
    from scipy.special import betainc, betaincc

    if not (df_model > 0 and df_residual > 0):
        return np.full(np.shape(f), np.nan)
    ratio = np.asarray(f, dtype=np.float64) * (df_model / df_residual)
    small = np.where(ratio < 1, ratio, 0.0)
    return np.where(
        ratio < 1,
        betaincc(df_model / 2, df_residual / 2, small / (1 + small)),
        betainc(df_residual / 2, df_model / 2, 1 / (1 + np.where(ratio < 1, 1.0, ratio))),
    )
