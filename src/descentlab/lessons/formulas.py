r"""The course's formulas by name: LaTeX for pages and notebooks, and a line of text for a terminal.

In a lesson, ``$cost$`` is the formula of that name; both languages use the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """One formula, twice."""

    latex: str
    text: str


FORMULAS = {
    "hypothesis": Formula(r"H(x) = W x", "H(x) = W·x"),
    "cost": Formula(r"J(W) = \frac{1}{m} \sum_{i=1}^{m} \bigl(W x_i - y_i\bigr)^2", "J(W) = (1/m) · Σ (W·xᵢ - yᵢ)²"),
    "gradient_sum": Formula(r"g = 2 \sum_{i=1}^{m} \bigl(W x_i - y_i\bigr)\, x_i", "g = 2 · Σ (W·xᵢ - yᵢ)·xᵢ"),
    "update": Formula(r"W \leftarrow W - \mathrm{lr} \cdot g", "W ← W - lr·g"),
    "uncleared": Formula(
        r"W \leftarrow W - \mathrm{lr} \cdot (g_1 + g_2 + \dots + g_t)", "W ← W - lr·(g₁ + g₂ + … + gₜ)"
    ),
    "curvature": Formula(r"\lambda = \frac{2}{m} \sum_{i=1}^{m} x_i^2", "λ = (2/m) · Σ xᵢ²"),
    "error_factor": Formula(r"e \leftarrow (1 - \mathrm{lr} \cdot \lambda)\, e", "e ← (1 - lr·λ)·e"),
    "rate_bound": Formula(r"0 < \mathrm{lr} < \frac{2}{\lambda}", "0 < lr < 2/λ"),
    "epoch_factor": Formula(
        r"W_{k+1} - W^{*} = \Bigl(1 - \mathrm{lr} \cdot 2 \sum_{i=1}^{m} x_i^2\Bigr) \bigl(W_k - W^{*}\bigr)",
        "Wₖ₊₁ - W* = (1 - lr · 2 · Σ xᵢ²) · (Wₖ - W*)",
    ),
    "after_epochs": Formula(
        r"W_k - W^{*} = \Bigl(1 - \mathrm{lr} \cdot 2 \sum_{i=1}^{m} x_i^2\Bigr)^{k} \bigl(W_0 - W^{*}\bigr)",
        "Wₖ - W* = (1 - lr · 2 · Σ xᵢ²)ᵏ · (W₀ - W*)",
    ),
    "convention": Formula(r"g = c \sum_{i=1}^{m} \bigl(W x_i - y_i\bigr)\, x_i", "g = c · Σ (W·xᵢ - yᵢ)·xᵢ"),
    "same_trajectory": Formula(r"\mathrm{lr} \cdot c = \mathrm{lr}' \cdot c'", "lr·c = lr'·c'"),
}
