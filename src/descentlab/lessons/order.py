"""The order of the course: its lessons by name, and which one each is."""

from __future__ import annotations

LESSON_ORDER = (
    "hypothesis-and-cost",
    "one-step",
    "epochs",
    "conventions",
    "torch-optim",
    "learning-rate",
    "bias",
    "several-features",
    "scaling",
    "momentum",
    "mini-batches",
    "your-own-data",
)


def lesson_number(slug: str) -> int:
    """Which lesson that is, counted from 1."""
    return LESSON_ORDER.index(slug) + 1
