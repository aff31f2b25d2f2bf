"""The diagnosis of printed losses: a verdict, its numbers and its findings."""

from __future__ import annotations

from dataclasses import dataclass, fields

from descentlab.doctor.finding import SEVERITY_MARKS, Finding, check_bullets, finding_bullets, page_paragraph
from descentlab.doctor.forecast import Verdict
from descentlab.messages import Message, to_json_types, use_language
from descentlab.messages.document import Block, Paragraph, Presentable, make_blocks

LOSSES_SCHEMA = "descentlab.losses/1"


@dataclass(frozen=True, eq=False)
class LossDiagnosis(Presentable):
    """The result of :func:`descentlab.diagnose` with ``losses``. It prints, and renders in a notebook.

    Attributes:
        verdict: in a word. ``converges-monotone`` speaks of the losses: whether the errors behind them change sides
            or not, losses that only fall cannot tell, nor whether a steep direction with a tiny error is growing.
        lr: the rate they came from; None if it is not known. Then bounds are not known either, only ``lr_over_bound``.
        lr_bound: the largest stable rate, if one direction alone grows or those that matter leave it to within a
            quarter; an estimate under that condition, which the words state. None where neither is so.
        lr_bound_range: what it may be in any case; None where nothing can be said. The upper end is proved: of plain
            descent by :mod:`descentlab.doctor.losses.moment_bounds` (of falling losses, by what the quickest fading
            direction allows); under momentum it is lr where losses diverge, and what swings need where they swing. The
            lower end is 0 where more directions may grow unseen. Above 0 it is proved but for directions that make up
            less of the last loss than ten times its rounding, or than 1%: no losses bound those. All of it is about
            descent: where the gradient is added, no rate is stable.
        lr_over_bound: the rate as a multiple of ``lr_bound``.
        may_be_ascent: whether the losses diverge and the gradient may have been added instead of subtracted.
        lr_bound_if_ascent: the largest stable rate once it is subtracted, if it was added; None where it is not known.
        curvature: of the growing direction, in the convention that lr belongs to, as sure as ``lr_bound``; None where
            it is not known.
        factor: what an epoch multiplies the error by, negative where it changes sides. Of falling losses its size
            only; None where it is not known.
        limit: where falling losses would level off, if no slower direction appears; None where it is not known.
        epochs_to_tolerance: how many more epochs until within 1% of ``limit``, on the same condition; where that is
            0, until a hundredth of the last loss is left.
        findings: the conclusions in words, the verdict first.
        reading: what was read from a text, in a sentence; None where numbers were given.
        checked, unchecked: what is fine, and what could not be checked and why, a phrase each.
    """

    verdict: Verdict
    lr: float | None
    lr_bound: float | None = None
    lr_over_bound: float | None = None
    lr_bound_range: tuple[float, float] | None = None
    may_be_ascent: bool = False
    lr_bound_if_ascent: float | None = None
    curvature: float | None = None
    factor: float | None = None
    limit: float | None = None
    epochs_to_tolerance: int | None = None
    findings: tuple[Finding, ...] = ()
    reading: Message | None = None
    checked: tuple[Message, ...] = ()
    unchecked: tuple[Message, ...] = ()

    def to_dict(self, lang: str | None = None) -> dict[str, object]:
        """Everything for a machine: JSON-safe, with None for what is not finite."""
        content = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "findings"}
        with use_language(lang):
            content["findings"] = [finding.to_dict() for finding in self.findings]
            safe: dict[str, object] = to_json_types({"schema": LOSSES_SCHEMA} | content)
        return safe


@make_blocks.register
def _(result: LossDiagnosis) -> list[Block]:
    """The first finding's verdict and advice, then what qualifies it, the other findings, and the checks."""
    first, *others = result.findings
    answer, *reasons = map(str, first.messages)
    blocks: list[Block] = [Paragraph(f"{SEVERITY_MARKS[first.severity]} {answer}", strong=True)]
    blocks += [Paragraph(str(first.advice))] * (first.advice is not None)
    rest = " ".join([*reasons, *map(str, first.caveats)])
    blocks += [Paragraph(rest)] * bool(rest)
    blocks += [*finding_bullets(others), *check_bullets(result.checked, result.unchecked)]
    blocks += [] if result.reading is None else [Paragraph(str(result.reading))]
    return [*blocks, page_paragraph(result.findings)]
