"""Formulas: what is read as what, compared with formulaic's own parser, and what is refused where."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from descentlab.data.design.formula import read_formula
from descentlab.data.design.parser import parse_formula
from descentlab.errors import SettingError
from descentlab.messages import load_catalog
from tests.extras import optional

warnings.filterwarnings("ignore", module="formulaic")
formulaic = optional("formulaic")


def terms_of(text: str) -> set[frozenset[str]]:
    formula = read_formula(f"y ~ {text}")
    return {term.key for term in formula.terms} | ({frozenset({"1"})} if formula.bias else set())


def random_formula(random: np.random.Generator) -> str:
    """A right side of sums, products and powers of four columns."""

    def expression(depth: int) -> str:
        if depth == 0 or random.random() < 0.3:
            return str(random.choice(list("abcd")))
        sign = random.choice([" + ", ":", "*", " - "], p=[0.45, 0.25, 0.25, 0.05])
        left, right = expression(depth - 1), expression(depth - 1)
        if sign == " - ":
            return f"({left} + {right} - {right})"
        inner = f"({left}{sign}{right})"
        return f"{inner}**2" if random.random() < 0.15 else inner

    return str(random.choice(["", "0 + "])) + expression(3)


def test_random_formulas_have_the_terms_that_formulaic_gives() -> None:
    random, compared = np.random.default_rng(0), 0
    for _ in range(150):
        text = random_formula(random)
        try:
            ours = terms_of(text)
        except SettingError:  # a part that is there twice, or nothing is left
            continue
        theirs = formulaic.Formula(f"y ~ {text}").rhs
        assert ours == {frozenset(str(factor) for factor in term.factors) for term in theirs}, text
        compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    "text",
    [
        "y ~ size * rooms + C(city)",
        "log(y) ~ I(a - (b - c)) + I(a / b * c) + I((a ** b) ** c) + I(-a ** 2)",
        'y ~ `house price`:a + C(`house type`, "a\'b") - 1',
        "가격 ~ 크기 + C(도시, reference='서울') + days(날짜, since='2020-01-31')",
        "~ .:a + Sepal.Length",
    ],
)
def test_a_formula_is_written_as_it_is_read(text: str) -> None:
    tree = parse_formula(text)
    assert parse_formula(str(tree)) == tree


def test_arithmetic_keeps_its_order() -> None:
    names = {name: value for value, name in enumerate("abc", start=2)}
    for text in ("a - (b - c)", "a / (b / c)", "a ** b ** c", "(a ** b) ** c", "-a ** b", "a - b - c", "a * (b + c)"):
        assert eval(str(parse_formula(text)), {}, names) == eval(text, {}, names)


@pytest.mark.parametrize(
    ("text", "key", "place"),
    [
        ("y ~ a + + b * )", "unexpected", 14),
        ("y ~ a +", "ends", 7),
        ("y ~ a b", "no_sign", 6),
        ("y ~ (a + b", "unclosed", 4),
        ("y ~ log(a", "unclosed", 7),
        ("y ~ a & b", "character", 6),
        ("y ~ `a", "open_quote", 4),
        ("y ~ a ~ b", "two_tildes", 0),
        ("y ~ 2*a", "number", 4),
        ("y ~ lgo(a)", "function", 4),
        ("y ~ log(a, b)", "arguments", 4),
        ("y ~ poly(a)", "arguments", 4),
        ("y ~ poly(a, 0)", "arguments", 4),
        ("y ~ C(a, Helmert)", "arguments", 4),
        ("y ~ I(a:b)", "not_arithmetic", 6),
        ("y ~ log(C(a))", "outermost", 8),
        ("y ~ days(a, since='soon')", "since", 18),
        ("y ~ log('a')", "text", 8),
        ("y ~ 'a'", "text", 4),
        ("y ~ I(3)", "no_column_inside", 4),
        ("y ~ I(a * 1e999)", "unexpected", 10),
        ("y ~ " + ":".join("a" * 200), "deep", 4),
        ("y ~ (a + b)**c", "power", 13),
        ("y ~ a - b", "not_there", 8),
        ("y ~ a + a", "twice", 8),
        ("y ~ 1", "no_terms", 4),
        ("y ~", "ends", 3),
        ("", "ends", 0),
        ("a + b ~ c", "target", 0),
        ("C(y) ~ c", "outermost", 0),
        ("y ~ a + log(y)", "target_inside", 12),
        ("y ~ a:(-b)", "sign_inside", 6),
        ("가격 ~ 크기 방", "no_sign", 9),
        ("y ~ " + "(" * 60 + "a", "deep", 54),
        ("y ~ a" + "**2" * 600, "deep", 154),
    ],
)
def test_what_cannot_be_read_is_shown_with_a_caret(text: str, key: str, place: int) -> None:
    with pytest.raises(SettingError) as caught:
        read_formula(text)
    reason, caret = caught.value.message.values["reason"], str(caught.value.message.values["caret"])
    assert (reason.key, len(caret) - 1) == (f"formula.{key}", place if text.isascii() else 12)  # type: ignore[attr-defined]
    for lang in ("en", "ko"):
        assert caught.value.message.text(lang).splitlines()[-2:] == [f"  {text}", f"  {caret}"]
    assert f"formula.{key}" in load_catalog("ko")
