"""The colors of a report on a terminal."""

from __future__ import annotations

import click

from descentlab.doctor.finding import GOOD_MARK, SEVERITY_MARKS, Severity
from descentlab.messages import Table
from descentlab.messages.document import Block, Bullet, Heading, Paragraph, Preformatted

MARK_COLORS = {GOOD_MARK: "green", SEVERITY_MARKS[Severity.PROBLEM]: "red", SEVERITY_MARKS[Severity.CAUTION]: "yellow"}


def style_line(block: Block, line: str) -> str:
    """A line of a block in its color: the verdict and the marks by their severity, titles bold, code cyan."""
    color = MARK_COLORS.get(line[:1])
    if isinstance(block, Paragraph) and block.strong:
        return click.style(line, fg=MARK_COLORS.get(block.text[:1]), bold=True)
    if isinstance(block, Heading) or (isinstance(block, Table) and line == block.title):
        return click.style(line, bold=True)
    if isinstance(block, Bullet) and line.startswith(block.mark):
        return click.style(line[:1], fg=color, bold=True) + line[1:]
    return click.style(line, fg="cyan") if isinstance(block, Preformatted) else line
