"""The largest curvature of a loss, by products of its Hessian with vectors: Lanczos on the graph the loss already has.

    H v = d/dp (g(p) . v)        A = S (H + decay) S,   S = diag(scale)
    A q_k = beta_(k-1) q_(k-1) + alpha_k q_k + beta_k q_(k+1)

The greatest eigenvalue of the tridiagonal matrix of alphas and betas rises towards that of A, and ``beta_m |s_m|`` (s
its eigenvector) bounds how far it is from some eigenvalue. Sources: B. A. Pearlmutter, *Fast exact multiplication by
the Hessian* (1994); B. N. Parlett, *The symmetric eigenvalue problem* (1980), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from descentlab.errors import EngineError

MAX_LANCZOS_PRODUCTS = 32
MIN_LANCZOS_PRODUCTS = 4
CHANGE_RTOL = 1e-3  # of the eigenvalue in one product: less than it, and the search ends
RESIDUAL_RTOL = 2e-2  # of the eigenvalue: its own error is about the square of it


class TopEigenvalue(NamedTuple):
    """The greatest eigenvalue found, a bound on its distance from a true one, its vector, and the products it took."""

    value: float
    error: float
    vector: Any
    n_products: int


def find_top_eigenvalue(
    product: Callable[[Any], Any],
    start: Any,
    max_products: int = MAX_LANCZOS_PRODUCTS,
    deadline: float = math.inf,
) -> TopEigenvalue:
    """The greatest (not the largest in size) eigenvalue of a symmetric matrix known by its products.

    Args:
        product: (p,) to (p,), torch tensors on one device.
        start: (p,) any vector that is not zero.
        max_products: products at most; with full reorthogonalisation p of them are exact.
        deadline: a time of ``time.perf_counter``, after which no more than ``MIN_LANCZOS_PRODUCTS`` are made.
    """
    import torch

    basis = [start / start.norm()]
    alphas: list[float] = []
    betas: list[float] = []
    previous = math.nan
    while True:
        residual = product(basis[-1])
        alphas.append(float(residual @ basis[-1]))
        basis_matrix = torch.stack(basis)
        for _ in range(2):  # twice is enough (Kahan, in Parlett's book), once is not
            residual = residual - basis_matrix.T @ (basis_matrix @ residual)
        betas.append(float(residual.norm()))
        if not (math.isfinite(alphas[-1]) and math.isfinite(betas[-1])):
            return TopEigenvalue(math.nan, math.inf, basis[0], len(alphas))
        values, vectors = np.linalg.eigh(_tridiagonal_matrix(alphas, betas))
        value, error = float(values[-1]), betas[-1] * abs(float(vectors[-1, -1]))
        converged = abs(value - previous) <= CHANGE_RTOL * abs(value) and error <= RESIDUAL_RTOL * abs(value)
        scale = float(np.abs(values).max())
        out_of_time = len(alphas) >= MIN_LANCZOS_PRODUCTS and perf_counter() >= deadline
        n_most = min(max_products, len(start))
        if converged or out_of_time or len(alphas) >= n_most or betas[-1] <= 1e-6 * scale:
            weights = torch.as_tensor(vectors[:, -1], dtype=start.dtype, device=start.device)
            rounding = torch.finfo(start.dtype).eps * scale  # of the products, however well the residual came out
            return TopEigenvalue(value, max(error, rounding), basis_matrix.T @ weights, len(alphas))
        previous = value
        basis.append(residual / betas[-1])


def _tridiagonal_matrix(alphas: Sequence[float], betas: Sequence[float]) -> Any:
    off = betas[: len(alphas) - 1]
    return np.diag(alphas) + np.diag(off, 1) + np.diag(off, -1)


def make_hessian_vector_product(
    loss: Any, parameters: Sequence[Any], scale: Sequence[Any], weight_decay: Sequence[float]
) -> Callable[[Any], Any]:
    """Products with ``S (H + decay) S`` of a loss whose graph is still there; it stays, and no ``.grad`` is touched.

    Args:
        loss: a scalar tensor with a graph.
        parameters: the tensors that H is taken over.
        scale, weight_decay: S for each of them (a number or a tensor of its shape), and what is added to H.

    Raises:
        LookupError: the loss does not depend on any of them.
        EngineError: some operation says that it can be differentiated only once.
        RuntimeError: from torch, if some operation has no second derivative.
    """
    import torch

    gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    differentiable = [i for i, gradient in enumerate(gradients) if gradient is not None and gradient.requires_grad]
    if all(gradient is None for gradient in gradients):
        raise LookupError
    _check_twice_differentiable([gradient.grad_fn for gradient in gradients if gradient is not None])
    sizes = [parameter.numel() for parameter in parameters]

    def product(vector: Any) -> Any:
        scaled_pieces = [
            each.view_as(p) * s for each, p, s in zip(vector.split(sizes), parameters, scale, strict=True)
        ]  # S v
        hessian_products: list[Any] = [None] * len(parameters)
        if differentiable:  # a loss that is linear in every parameter has no second derivative at all
            outputs, grad_outputs = [gradients[i] for i in differentiable], [scaled_pieces[i] for i in differentiable]
            hessian_products = list(
                torch.autograd.grad(
                    outputs, parameters, grad_outputs=grad_outputs, retain_graph=True, allow_unused=True
                )
            )
        with torch.no_grad():
            products = [
                (piece * d if h is None else h + d * piece) * s
                for h, piece, s, d in zip(hessian_products, scaled_pieces, scale, weight_decay, strict=True)
            ]
            return torch.cat([part.reshape(-1) for part in products])

    return product


def _check_twice_differentiable(pending: list[Any]) -> None:
    """Such operations cut the graph silently, and what is left of the Hessian would be taken for all of it."""
    visited = set(pending)
    while pending:
        node = pending.pop()
        if node is None:
            continue
        if type(node).__name__ == "Error":  # torch's own node, which raises only if a derivative passes it
            raise EngineError("watch_once")
        new_nodes = {each for each, _ in node.next_functions} - visited
        visited |= new_nodes
        pending += new_nodes


def make_start_vector(parameters: Sequence[Any], previous: Any, seed: int = 0) -> Any:
    """(p,) a random vector from a generator of its own, mostly along the last eigenvector where there is one."""
    import torch

    n_values = sum(parameter.numel() for parameter in parameters)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_values, generator=generator, dtype=parameters[0].dtype).to(parameters[0].device)
    if previous is None or previous.shape != noise.shape:
        return noise
    return previous + 0.3 * noise / noise.norm()  # where the sharpest direction has changed, the noise finds it
