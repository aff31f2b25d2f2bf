"""Tensors on a device. Where there is no GPU, the same code runs on torch's CPU, and what only a GPU has is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import descentlab as dl
from descentlab.data.selection import ColumnSelection
from descentlab.data.tensors import TensorSource, source_device
from descentlab.factor.build import build_factor
from descentlab.factor.executors import torch_device

rng = np.random.default_rng(5)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def on(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    """Treat tensors on this device as lying elsewhere, so that torch's CPU can stand for a GPU."""
    monkeypatch.setattr("descentlab.data.arrays.is_device_tensor", lambda data: isinstance(data, torch.Tensor))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("n", "k"), [(1, 2), (5, 3), (511, 4), (512, 4), (5_000, 6), (300_000, 3), (700, 600)])
def test_a_device_gives_the_same_triangle(device: str, n: int, k: int) -> None:
    values = rng.normal(size=(n, k)) + 1000 * np.arange(k)
    weights = rng.random(n)
    names = tuple(f"c{j}" for j in range(k))
    origin = np.median(values, axis=0)
    for w in (None, weights):
        tensors = [None if each is None else torch.tensor(each, device=device) for each in (values, w)]
        made = torch_device.factor_from_tensor(tensors[0], names, origin, tensors[1])
        expected = dl.Factor.from_blocks([(values, w)], names, origin)
        assert made.rows == n
        assert made.weight == pytest.approx(expected.weight, rel=1e-14)
        size = np.linalg.norm(expected.R_centered, axis=0)
        np.testing.assert_allclose(made.R_centered, expected.R_centered, atol=1e-12 * size.max())
        assert (np.tril(made.R_centered, -1) == 0).all()
        assert (made.rounding_error >= expected.rounding_error * 0.5).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_problem_of_tensors_there(device: str, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, w = rng.normal(size=(300_000, 3)), rng.normal(size=300_000), rng.random(300_000)
    plain = dl.Problem(X, y, weights=w if weighted else None)
    on(monkeypatch, device)
    there = {"X": torch.tensor(X, device=device), "y": torch.tensor(y, device=device)}
    seen: list[Any] = []

    def watched(*given: Any) -> dl.Factor:
        seen.append(given)
        return made(*given)

    monkeypatch.setattr(torch_device, "factor_from_tensor", watched)
    problem = dl.Problem(**there, weights=torch.tensor(w, device=device) if weighted else None)
    assert len(seen) == 3  # pieces, all of them compressed where they lie
    assert seen[0][0].device.type == device
    np.testing.assert_allclose(problem.solve().params, plain.solve().params, rtol=1e-11)
    np.testing.assert_array_equal(problem.rows().X, X)
    assert problem.parameters == ("x1", "x2", "x3", "bias")


made = torch_device.factor_from_tensor


def test_what_is_wrong_with_a_value_there_is_said_as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "cpu")
    X, y = torch.ones(10, 2), torch.arange(10.0)
    X[3, 1] = torch.nan
    with pytest.raises(dl.DataError, match=r"missing in 1 row \(`x2`: 1"):
        dl.Problem(X, y)
    assert dl.Problem(X, y, missing="drop").n == 9
    X[3, 1] = torch.inf
    with pytest.raises(dl.DataError, match="infinite"):
        dl.Problem(X, y)
    with pytest.raises(dl.DataError, match="Negative weights"):
        dl.Problem(torch.ones(3, 1), torch.ones(3), weights=torch.tensor([1.0, -1, 1]))
    with pytest.raises(dl.DataError, match=r"\(2, 2, 2\)"):
        dl.Problem(torch.ones(2, 2, 2), torch.ones(2))


def test_other_rows_on_a_gpu_engine_are_compressed_as_ever() -> None:
    X, y = rng.normal(size=(1000, 2)), rng.normal(size=1000)
    factor = build_factor(ColumnSelection(X, y, None, None, None, "error", {}), torch_device.Gpu("cpu"))
    assert (factor.R_centered == dl.Problem(X, y).factor.R_centered).all()
    assert source_device(TensorSource(torch.ones(2, 2), None)) == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_is_refused_plainly() -> None:
    with pytest.raises(dl.SettingError, match=r"on cuda: .*Leave out the engine"):
        dl.Gpu()
    with pytest.raises(dl.SettingError, match="on toaster"):
        dl.Gpu("toaster")


def test_more_joints_are_counted_as_more_rounding() -> None:
    values = rng.normal(size=(300_000, 3))
    origin = np.zeros(3)
    few, many = (
        torch_device.factor_from_tensor(torch.tensor(values[:n]), ("a", "b", "c"), origin) for n in (1024, 300_000)
    )
    relative = [made.rounding_error / np.linalg.norm(made.R_centered[:, 1:], axis=0) for made in (few, many)]
    assert (relative[1] > 1.3 * relative[0]).all()
