"""The pages that explain the findings: Markdown in ``doctor/pages``, one file for each finding and language."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

INDEX_NAME = "README"
_INDEX_ENTRY = re.compile(r"^- \[(?P<title>.+)\]\((?P<name>\w+)(?:\.ko)?\.md\)", re.MULTILINE)
_INDEX_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@cache
def read_finding_page(name: str, lang: str = "en") -> str:
    """The Markdown of one page, or of the index."""
    suffix = "" if lang == "en" else f".{lang}"
    return (files("descentlab.doctor") / "pages" / f"{name}{suffix}.md").read_text(encoding="utf-8")


def finding_titles(lang: str = "en") -> dict[str, dict[str, str]]:
    """The titles of all pages by the name of their finding, by the topic that the index puts them under.

    >>> titles = finding_titles()
    >>> next(iter(titles)), titles["About the run"]["diverges"]
    ('About the run', 'The run diverges')
    """
    _, *parts = _INDEX_HEADING.split(read_finding_page(INDEX_NAME, lang))
    return {
        topic: {entry["name"]: entry["title"] for entry in _INDEX_ENTRY.finditer(entries)}
        for topic, entries in zip(parts[::2], parts[1::2], strict=True)
    }
