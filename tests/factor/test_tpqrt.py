"""A block in one compiled call: the bits of the calls one by one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descentlab.factor.factor import Factor
from descentlab.factor.qr import householder, tpqrt
from tests.extras import needs

pytestmark = needs("numba")


def both(values: Any, origin: Any, weights: Any) -> tuple[householder.TriangularFactor, householder.TriangularFactor]:
    whole = householder.qr_of_block_compiled(values, origin, weights)
    assert whole is not None
    n, p = values.shape[0], values.shape[1] + 1
    return whole, householder.qr_of_panels(householder.augmented_panels(values, origin, weights), n, p)


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpqrt, "COMPILE_AFTER_CALLS", 0)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5000),
    k=st.integers(1, 40),
    layout=st.sampled_from(["C", "F", "reversed", "float32", "readonly", "integers"]),
    weighted=st.booleans(),
)
def test_the_bits_are_those_of_the_calls_one_by_one(n: int, k: int, layout: str, weighted: bool) -> None:
    rng = np.random.default_rng(n * 41 + k)
    values: Any = rng.standard_normal((n, k)) * 10.0 ** rng.integers(-8, 8, k)
    if layout == "F":
        values = np.asfortranarray(values)
    elif layout == "reversed":
        values = values[::-1, ::-1]
    elif layout == "float32":
        values = values.astype(np.float32)
    elif layout == "readonly":
        values.setflags(write=False)
    elif layout == "integers":
        values = rng.integers(-1000, 1000, (n, k))
    weights = rng.integers(0, 3, n) if weighted else None
    origin = np.median(values, axis=0).astype(np.float64)
    found, expected = both(values, origin, weights)
    np.testing.assert_array_equal(found.R, expected.R)
    assert found.relative_error == expected.relative_error


@pytest.mark.slow
def test_many_columns_are_taken_as_wide_as_elsewhere() -> None:
    values = np.random.default_rng(0).standard_normal((1500, householder.WIDE_FROM_COLUMNS + 10))
    found, expected = both(values, np.zeros(values.shape[1]), None)
    np.testing.assert_array_equal(found.R, expected.R)


def test_a_process_compiles_once_it_has_worked_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpqrt, "COMPILE_AFTER_CALLS", 3)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "numba")
    monkeypatch.setattr(tpqrt, "_load_block_qr", lambda: "compiled")
    blocks = tpqrt.CompiledBlockQR()
    found: list[Any] = [blocks.get() for _ in range(5)]
    assert found == [None, None, None, "compiled", "compiled"]


def test_without_numba_or_the_pointer_it_goes_on_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpqrt, "_tpqrt_pointer", lambda: None)
    tpqrt._load_block_qr.cache_clear()
    try:
        assert tpqrt.CompiledBlockQR().get() is None
    finally:
        tpqrt._load_block_qr.cache_clear()


@pytest.mark.slow
def test_a_short_work_loads_no_compiler() -> None:
    work = "dl.Problem(np.ones((9000, 2)), np.ones(9000))"
    code = f"import sys, numpy as np, descentlab as dl; {work}; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def test_a_factor_is_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).standard_normal((20_000, 4)) + 1e6
    found = Factor.from_block(values, "abcd", np.arange(20_000) % 3)
    monkeypatch.setattr(tpqrt.CompiledBlockQR, "get", lambda self: None)
    expected = Factor.from_block(values, "abcd", np.arange(20_000) % 3)
    np.testing.assert_array_equal(found.R_centered, expected.R_centered)
    np.testing.assert_array_equal(found.rounding_error, expected.rounding_error)
