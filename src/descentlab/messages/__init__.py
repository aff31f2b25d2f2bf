"""Everything a person reads: one catalog per language, numbers, tables, HTML pieces."""

from descentlab.messages.catalog import (
    LANGUAGES,
    SEVERAL,
    Sentence,
    catalogue,
    counted,
    distinct,
    jsonable,
    language,
    number,
    padded,
    particled,
    rounded,
    sentence,
    speaking,
    width,
    wrapped,
)

__all__ = [
    "LANGUAGES",
    "SEVERAL",
    "Sentence",
    "catalogue",
    "counted",
    "distinct",
    "jsonable",
    "language",
    "number",
    "padded",
    "particled",
    "rounded",
    "sentence",
    "speaking",
    "width",
    "wrapped",
]
