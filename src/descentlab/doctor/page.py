"""A diagnosis as HTML, for a notebook: no script, nothing loaded, every name escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from descentlab.doctor.finding import Weight
from descentlab.doctor.report import MARKS, Section, Table, headline, sections, tables, verdict_line
from descentlab.text import language, sentence

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis

# Under one class, so that nothing outside it changes; the colours are the notebook's own but for the marks.
STYLE = """
.descentlab { max-width: 46rem; line-height: 1.5; word-break: keep-all; overflow-wrap: anywhere; }
.descentlab h4 { margin: 1em 0 .3em; }
.descentlab ul { list-style: none; margin: 0; padding: 0; }
.descentlab li { margin: .35em 0; padding-left: 1.4em; text-indent: -1.4em; }
.descentlab li > span { display: inline-block; width: 1.4em; text-indent: 0; font-weight: bold; }
.descentlab li > span.problem { color: #d55e00; }
.descentlab table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.descentlab th, .descentlab td { text-align: right; padding: .15em .6em; }
.descentlab th:first-child, .descentlab td:first-child { text-align: left; padding-left: 0; }
.descentlab thead th { border-bottom: 1px solid currentColor; font-weight: normal; }
"""


def html(diagnosis: Diagnosis) -> str:
    """The same sentences and tables as :func:`descentlab.doctor.report.text`."""
    run, *others = sections(diagnosis)
    parts = [
        f"<p>{escape(headline(diagnosis))}</p>",
        f"<p><strong>{escape(verdict_line(diagnosis.verdict))}</strong></p>",
    ]
    parts += [_section(run), *map(_table, tables(diagnosis)), *map(_section, others)]
    return f'<div class="descentlab" lang="{language()}"><style>{STYLE}</style>{"".join(parts)}</div>'


def _section(section: Section) -> str:
    items = "".join(
        f'<li><span class="{finding.weight}" role="img" aria-label="{_weight(finding.weight)}">'
        f"{MARKS[finding.weight]}</span>{escape(finding.text())}</li>"
        for finding in section.findings
    )
    return f"<h4>{escape(section.title)}</h4><ul>{items}</ul>"


def _weight(weight: Weight) -> str:
    return escape(sentence(f"weight.{weight}").text())


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.headings)
    body = "".join(
        "<tr>"
        + f'<th scope="row" style="font-weight: normal">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return f"<h4>{escape(table.title)}</h4><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
