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
    "batch_gradient": Formula(
        r"g_B = \frac{2}{|B|} \sum_{i \in B} \bigl(W x_i - y_i\bigr)\, x_i", "g_B = (2/|B|) · Σ_{i∈B} (W·xᵢ - yᵢ)·xᵢ"
    ),
}
