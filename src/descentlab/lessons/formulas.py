r"""The course's formulas by name: LaTeX for pages and notebooks, and a line of text for a terminal.

In a lesson, ``$cost$`` is the formula of that name; both languages use the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """One formula, twice."""

    latex: str
    text: str


def replace_formulas(text: str, render: Callable[[str], str]) -> str:
    """The text with each ``$name$`` replaced by what ``render`` makes of the name."""
    return _FORMULA_NAME.sub(lambda match: render(match[1]), text)


def formula_to_text(name: str) -> str:
    """A formula in one line of text."""
    return FORMULAS[name].text


_FORMULA_NAME = re.compile(r"\$(\w+)\$")

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
    "hypothesis_bias": Formula(r"H(x) = W x + b", "H(x) = W·x + b"),
    "gradients_bias": Formula(
        r"g_W = \frac{2}{m} \sum_{i=1}^{m} \bigl(W x_i + b - y_i\bigr)\, x_i, \qquad "
        r"g_b = \frac{2}{m} \sum_{i=1}^{m} \bigl(W x_i + b - y_i\bigr)",
        "g_W = (2/m) · Σ (W·xᵢ + b - yᵢ)·xᵢ,   g_b = (2/m) · Σ (W·xᵢ + b - yᵢ)",
    ),
    "hypothesis_several": Formula(r"H(x) = w_1 x_1 + w_2 x_2 + w_3 x_3 + b", "H(x) = w₁·x₁ + w₂·x₂ + w₃·x₃ + b"),
    "standardized": Formula(r"z = \frac{x - \mu}{\sigma}", "z = (x - μ) / σ"),
    "unscaled": Formula(
        r"W_j = \frac{V_j}{\sigma_j}, \qquad b = c - \sum_j W_j \mu_j", "Wⱼ = Vⱼ / σⱼ,   b = c - Σ Wⱼ·μⱼ"
    ),
    "condition": Formula(r"\kappa = \frac{\lambda_{\max}}{\lambda_{\min}}", "κ = λmax / λmin"),
    "heavy_ball": Formula(
        r"v \leftarrow \beta\, v + g, \qquad W \leftarrow W - \mathrm{lr} \cdot v", "v ← β·v + g,   W ← W - lr·v"
    ),
    "heavy_ball_roots": Formula(
        r"r^2 - (1 + \beta - \mathrm{lr} \cdot \lambda)\, r + \beta = 0", "r² - (1 + β - lr·λ)·r + β = 0"
    ),
    "heavy_ball_best": Formula(
        r"\beta = \left(\frac{\sqrt{\kappa} - 1}{\sqrt{\kappa} + 1}\right)^2, \qquad "
        r"\mathrm{lr} = \frac{4}{(\sqrt{\lambda_{\max}} + \sqrt{\lambda_{\min}})^2}",
        "β = ((√κ - 1) / (√κ + 1))²,   lr = 4 / (√λmax + √λmin)²",
    ),
    "batch_gradient": Formula(
        r"g_B = \frac{2}{|B|} \sum_{i \in B} \bigl(W x_i - y_i\bigr)\, x_i", "g_B = (2/|B|) · Σ_{i∈B} (W·xᵢ - yᵢ)·xᵢ"
    ),
}
