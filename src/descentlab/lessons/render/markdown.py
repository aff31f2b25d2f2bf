"""A lesson's prose as Markdown that any reader of Markdown shows: formulas as LaTeX, tables as pipes."""

from __future__ import annotations

import re

from descentlab.lessons.facts.types import Table
from descentlab.lessons.formulas import FORMULAS, placed


def prose(text: str) -> str:
    """The prose with each ``$name$`` as the formula it names; on a line of its own, as one that stands apart."""
    apart = re.sub(r"^\$(\w+)\$$", lambda found: f"$$\n{FORMULAS[found[1]].latex}\n$$", text, flags=re.MULTILINE)
    return placed(apart, lambda name: f"${FORMULAS[name].latex}$")


def table(facts: Table, headings: tuple[str, ...]) -> str:
    """A table of the facts, numbers to the right."""
    lines = [list(headings), ["---:"] * len(headings), *facts.texts()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
