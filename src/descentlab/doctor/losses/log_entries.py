"""The losses of a log, line by line.

:mod:`descentlab.doctor.losses.log_lines` says which numbers of a line may be the loss, and the likeliest kind of the
whole log is taken from each line. Where two are equally likely the error shows the line and both.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from descentlab.doctor.losses.log_lines import (
    METRIC,
    Label,
    name_label,
    normalize_log,
    plan_line,
    plan_row,
    split_cells,
    split_line,
)
from descentlab.doctor.losses.log_text import overwritten_lines, shown_lines
from descentlab.errors import SettingError
from descentlab.typing import IntArray

MAX_SHOWN_LINE = 80  # characters of a line in an error
NUMBER_WITH_COMMA = re.compile(r"(?<![\w.,])\d+,\d+(?![\w,]|\.\d)")
MIN_EPOCH_LINES = 3  # lines with an epoch and a loss that make losses on other lines a summary
MIN_RIVAL_RATIO = 5  # times as many losses of one name as of another leave no doubt: the other is in a summary
MIN_LISTED = 3  # numbers after one label that are a list without brackets


class LogEntry(NamedTuple):
    """A line's loss, as it was written."""

    label: Label
    texts: tuple[str, ...]
    line: str
    is_list: bool
    epoch: int | None
    step: int | None
    counter: int | None
    is_numbered: bool = False


def read_log_entries(text: str) -> list[LogEntry]:
    """The entries of lines as they are left on a terminal, or of every part of a single line's progress.

    Raises:
        SettingError: there is none, two labels are equally likely, or a line has several numbers of one label.
    """
    entries = _best_entries(_find_entries(shown_lines(text)))
    if len(entries) == 1 and not entries[0].is_list and ("\r" in text or "\b" in text):
        entries = _last_by_counter(_best_entries(_find_entries(overwritten_lines(text))))
    if not entries:
        raise SettingError("losses_none_in_text", line=shorten_line(text.strip().split("\n")[0]))
    return entries


def _find_entries(lines: list[str]) -> list[LogEntry]:
    """What in the lines may be a loss, if nothing before it is likelier, with the last epoch named up to there."""
    if not lines:
        return []
    entries: list[LogEntry] = []
    epoch: int | None = None
    header: list[str] = []
    best_kind = METRIC
    for line, normalized in zip(lines, normalize_log("\n".join(lines)).split("\n"), strict=True):
        marked, numbers = split_line(normalized)
        if not numbers:
            names = split_cells(line)
            header = names if any(isinstance(name_label(name), Label) for name in names) else header
            continue
        plan = plan_line(marked)
        if header and not any(map(str.isalpha, marked)):
            plan, numbers = plan_row(normalized, header) or (plan, numbers)
        epoch = epoch if plan.epoch is None else _whole(numbers[plan.epoch])
        step, counter = (None if place is None else _whole(numbers[place]) for place in (plan.step, plan.counter))
        for label, (places, is_list) in plan.losses.items():
            if label.kind <= best_kind:
                best_kind, texts = label.kind, tuple([numbers[place] for place in places])
                is_numbered = plan.epoch is not None or plan.step is not None
                entries.append(LogEntry(label, texts, line, is_list, epoch, step, counter, is_numbered))
    return entries


def _whole(text: str) -> int | None:
    value = float(text.replace(",", ""))
    return int(value) if abs(value) < 2**53 and value == int(value) >= 0 else None


def _best_entries(entries: list[LogEntry]) -> list[LogEntry]:
    """Those of the likeliest label.

    Raises:
        SettingError: two labels are equally likely, or a line has several numbers of that label.
    """
    if not entries:
        return []
    numbered = [entry for entry in entries if entry.is_numbered]
    if MIN_EPOCH_LINES <= len(numbered) >= len(entries) / 2 and numbered[0].label.kind == min(
        entry.label.kind for entry in entries
    ):
        entries = numbered  # and what was printed after the last epoch is a summary
    best, *others = sorted({entry.label for entry in entries})
    if best.kind == METRIC:
        raise SettingError("losses_metric", name=best.name, line=shorten_line(entries[0].line))
    chosen = [entry for entry in entries if entry.label == best]
    rival = next((each for each in others if each._replace(name=best.name) == best), None)
    if rival is not None and len(chosen) < MIN_RIVAL_RATIO * sum(entry.label == rival for entry in entries):
        raise SettingError(
            "losses_two_names", names=[f"`{best.name}`", f"`{rival.name}`"], line=shorten_line(chosen[0].line)
        )
    several = next((entry for entry in chosen if len(entry.texts) > 1), None)
    if several is None:
        return chosen
    if len(chosen) > 1 or not (several.is_list or len(several.texts) >= MIN_LISTED):
        written = NUMBER_WITH_COMMA.search(several.line)
        if written is not None:
            point, none = (written[0].replace(",", mark) for mark in (".", ""))
            raise SettingError(
                "losses_comma", line=shorten_line(several.line), given=written[0], point=point, none=none
            )
        raise SettingError("losses_ambiguous_line", line=shorten_line(several.line), values=list(several.texts))
    return [several._replace(is_list=True)]


def shorten_line(line: str) -> str:
    """A line as an error shows it."""
    return line.strip()[:MAX_SHOWN_LINE]


def _last_by_counter(entries: list[LogEntry]) -> list[LogEntry]:
    """Of parts that show the same count, the last."""
    keys = [entry.counter if entry.counter is not None else i for i, entry in enumerate(entries)]
    return [entry for i, entry in enumerate(entries) if i + 1 == len(entries) or keys[i + 1] != keys[i]]


def read_entry_epochs(entries: list[LogEntry]) -> tuple[IntArray | None, bool]:
    """The epochs of these losses and whether they are called so: else they are steps, or counters.

    Raises:
        SettingError: an epoch has several losses, or epochs start again.
    """
    for name in ("epoch", "step", "counter"):
        values = [getattr(entry, name) for entry in entries]
        if None in values:
            continue
        numbers = np.array(values, dtype=np.int64)
        bad = np.flatnonzero(np.diff(numbers) <= 0)
        if not bad.size:
            return numbers, name == "epoch"
        if name == "counter":
            continue
        i = int(bad[0])
        if numbers[i + 1] == numbers[i]:
            same = int(np.count_nonzero(numbers == numbers[i]))
            raise SettingError("losses_several_in_epoch", epoch=int(numbers[i]), count=same)
        raise SettingError(
            "losses_start_again",
            line=shorten_line(entries[i + 1].line),
            before=int(numbers[i]),
            epoch=int(numbers[i + 1]),
        )
    return None, False
