"""Factor files of the earlier version are read, to the last bit. A change of the format needs a new fixture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from descentlab import Factor, Problem
from descentlab.factor.file import load_with_provenance

FORMATS = Path(__file__).parents[1] / "formats"


@pytest.mark.parametrize("name", ["houses.factor", "weighted.factor", "categories.factor"])
def test_every_array_is_read_and_written_as_it_was(name: str) -> None:
    factor, provenance = load_with_provenance(FORMATS / name)
    input_ids = provenance.input_ids if provenance.job_id else ()  # a factor of rows from memory stores no ids
    written = BytesIO(factor.to_bytes(input_ids, provenance.job_id))
    with np.load(FORMATS / name) as stored, np.load(written) as again:
        assert factor.columns == tuple(stored["columns"])
        assert (factor.rows, factor.weight) == (stored["rows"], stored["weight"])
        np.testing.assert_array_equal(factor.R_centered, stored["centred"])
        np.testing.assert_array_equal(factor.origin, stored["origin"])
        np.testing.assert_array_equal(factor.rounding_error, stored["rounding"])
        assert stored.files == again.files
        for array in stored.files:
            np.testing.assert_array_equal(stored[array], again[array])


def test_r_has_the_same_bits() -> None:
    expected = np.load(FORMATS / "weighted.factor.expected.npz")["R"]
    np.testing.assert_array_equal(Factor.load(FORMATS / "weighted.factor").R, expected)


def test_a_stored_factor_is_solved_as_its_rows() -> None:
    rows = [[50, 2], [80, 3], [120, 4], [65, 2]]
    expected = Problem(rows, [155, 230, 333, 190]).solve().params
    found = Problem(FORMATS / "houses.factor").solve()
    np.testing.assert_allclose(found.params, expected, rtol=1e-12)


def test_the_design_of_a_stored_factor_is_read() -> None:
    problem = Problem(FORMATS / "categories.factor")
    assert problem.design is not None
    assert problem.design.formula == "price ~ size + C(city) + poly(size, 2) + size:C(city)"
    assert problem.design.levels == {"city": ("Busan", "Jeju", "Seoul")}
    assert problem.features[-2:] == ("size:C(city)[Jeju]", "size:C(city)[Seoul]")
