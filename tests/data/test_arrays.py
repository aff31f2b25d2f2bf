from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from descentlab import Problem
from descentlab.data.arrays import ArraySource, as_column, as_matrix
from descentlab.data.source import BLOCK_ROWS
from descentlab.errors import DataError

VALUES = [[1, 2], [3, 4], [5, 6]]


def source_values(data: object) -> Any:
    source = ArraySource.from_matrix(as_matrix(data, "X"), None)
    return np.concatenate(list(source.blocks(source.names)))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">f8", ">i4"])
def test_every_real_dtype_arrives_as_its_numbers(dtype: str) -> None:
    got = source_values(np.array(VALUES, dtype=dtype))
    assert got.dtype == np.float64
    assert got.tolist() == VALUES


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "int64", "uint8", "bool"])
def test_every_real_tensor_arrives_as_its_numbers(dtype: str) -> None:
    tensor = torch.tensor(VALUES).to(getattr(torch, dtype))
    assert source_values(tensor).tolist() == tensor.double().tolist()


@pytest.mark.parametrize(
    "data",
    [
        VALUES,
        [tuple(row) for row in VALUES],
        [np.array(row) for row in VALUES],
        [torch.tensor(row, dtype=torch.bfloat16) for row in VALUES],
        np.array(VALUES)[::-1][::-1],
        np.asfortranarray(VALUES),
        np.array([[1, 0, 2, 0], [3, 0, 4, 0], [5, 0, 6, 0]])[:, ::2],
        torch.tensor([[1, 3, 5], [2, 4, 6]]).T,
        np.ma.array(VALUES),
    ],
)
def test_every_layout_arrives_as_its_numbers(data: object) -> None:
    assert source_values(data).tolist() == VALUES


def test_one_dimension_is_one_column_called_x() -> None:
    source = ArraySource.from_matrix(as_matrix([1, 2, 3], "X"), None)
    assert source.names == ("x",)
    assert as_column([1, 2, 3], "y").shape == (3, 1)


def test_booleans_are_zero_and_one() -> None:
    assert source_values(np.array([True, False])).tolist() == [[1], [0]]


def test_a_masked_entry_is_missing() -> None:
    masked = np.ma.array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    np.testing.assert_array_equal(source_values(masked), [[1, np.nan], [3, 4]])


@pytest.mark.parametrize("n", [1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 7])
def test_blocks_hold_every_row_once_and_columns_in_the_order_asked(n: int) -> None:
    matrix = np.arange(3.0 * n).reshape(n, 3)
    source = ArraySource(matrix, ["a", "b", "c"])
    blocks = list(source.blocks(["c", "a"]))
    assert max(map(len, blocks)) <= BLOCK_ROWS
    np.testing.assert_array_equal(np.concatenate(blocks), matrix[:, [2, 0]])


def test_whole_numbers_beyond_float64_are_noticed_by_name() -> None:
    problem = Problem(np.array([[1, 2**53 + 1], [2, -5], [3, 0]]), [1, 2, 3], features=["small", "id"])
    (notice,) = [str(n) for n in problem.notices if "2^53" in str(n)]
    assert "id" in notice
    assert "small" not in notice
    exact = Problem(np.array([[1, 2**53], [2, -5], [3, 0]]), [1, 2, 3])
    assert not any("2^53" in str(n) for n in exact.notices)


def test_a_long_double_beyond_float64_is_refused_as_infinite() -> None:
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        pytest.skip("long double is float64 here")
    with pytest.raises(DataError, match=r"infinite values \(`x`: 1\)"):
        Problem(np.array([1, 2, np.longdouble("1e400")]), [1, 2, 3])


REFUSED = [
    (np.array([1j, 2]), "complex numbers"),
    (torch.tensor([1j, 2]), "complex numbers"),
    (np.array([1, None]), "type object"),
    ([Fraction(1, 2), Fraction(1, 3)], "type object"),
    (np.array(["a", "b"]), "type <U1"),
    (["1", 2.5], "type <U32"),
    ([b"1", b"2"], "type |S1"),
    (np.array(["2020-01-01", "2020-01-02"], dtype="M8[D]"), "type datetime64[D]"),
    (np.array([1, 2], dtype="m8[s]"), "type timedelta64[s]"),
    (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), "which are not numbers"),
    ({"a": [1, 2]}, "type dict"),
    ({1, 2}, "type set"),
    (b"1,2", "type bytes"),
    (None, "type NoneType"),
    ([[1, 2], [3]], "different lengths"),
    ([1, [2]], "different lengths"),
    ([torch.ones(2), torch.ones(3)], "different lengths"),
    (5.0, "shape ()"),
    (np.array(5), "shape ()"),
    (torch.tensor(5.0), "shape ()"),
    (np.ones((2, 2, 2)), "shape (2, 2, 2)"),
    (torch.ones(2, requires_grad=True), ".detach()"),
    (torch.nn.Parameter(torch.ones(2)), ".detach()"),
    ([torch.ones(1, requires_grad=True)[0]] * 2, ".detach()"),
    (torch.eye(2).to_sparse(), ".to_dense()"),
    (torch.ones(2, device="meta"), "meta"),
]


@pytest.mark.parametrize(("data", "says"), REFUSED, ids=[says for _, says in REFUSED])
@pytest.mark.parametrize("what", ["X", "y"])
def test_what_is_not_real_numbers_is_refused_and_says_what_it_is(data: object, says: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        (as_matrix if what == "X" else as_column)(data, what)
    assert says in str(caught.value)
    assert what in str(caught.value)


def test_a_sparse_matrix_is_refused_with_the_way_out() -> None:
    from scipy.sparse import csr_array

    with pytest.raises(DataError, match=r"X\.toarray\(\)"):
        as_matrix(csr_array(np.eye(2)), "X")


@pytest.mark.parametrize("y", [np.ones((3, 1)), np.ones((1, 3)), torch.ones(3, 1), [[1], [2], [3]]])
def test_a_target_of_two_dimensions_is_refused_with_its_shape(y: Any) -> None:
    with pytest.raises(DataError) as caught:
        as_column(y, "y")
    assert str(tuple(np.shape(y))) in str(caught.value)
    assert "y.reshape(-1)" in str(caught.value)


def test_names_are_counted_and_distinct() -> None:
    with pytest.raises(DataError, match="1 name for 2 columns"):
        Problem(VALUES, [1, 2, 3], features=["a"])
    with pytest.raises(DataError, match="name a occurs more than once"):
        Problem(VALUES, [1, 2, 3], features=["a", "a"])
