"""Reads losses from whatever was printed: lists, arrays, tensors, and the text of terminals, logs and files.

Text that holds numbers only is a list of them, or a table whose first column counts epochs. Any other text is a log
(:mod:`descentlab.doctor.losses.log_entries`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from descentlab.doctor.losses.log_entries import read_entry_epochs, read_log_entries, shorten_line
from descentlab.doctor.losses.log_lines import LOSS_WORDS, NUMBER, mentions_loss_or_epoch
from descentlab.doctor.losses.log_text import (
    MAX_LOG_BYTES,
    LossLog,
    decode_log,
    is_file_name,
    shown_lines,
    strip_terminal,
)
from descentlab.doctor.losses.parsing import (
    PrintedLosses,
    bracketed_rows,
    longest_even_part,
    parse_entries,
    parse_losses,
    split_numbers,
)
from descentlab.errors import SettingError
from descentlab.messages import Message, message, pluralize
from descentlab.typing import IntArray

NAMED_NUMBER = re.compile(rf"\D*[=:]\s*(?:{NUMBER.pattern})\s*")  # J = 4.2
MIN_EVEN_LOSSES = 5  # losses at one distance that are used where others have another


@dataclass(frozen=True, eq=False)
class LossReading:
    """Losses that were read, and what was found beside them.

    Attributes:
        losses: in order.
        epochs: (m,) the epochs that they were printed at; None where none were printed.
        label: what the losses are called in the text; empty if they have no name.
        source: where the text came from.
        counts_epochs: whether the numbers are called epochs; else they are steps or a counter.
        left_out: the epochs whose losses were left out, since their distance is another.
    """

    losses: PrintedLosses
    epochs: IntArray | None = None
    label: str = ""
    source: str | Message = ""
    counts_epochs: bool = False
    left_out: tuple[int, ...] = ()

    def evenly_spaced(self, every: int | None) -> tuple[LossReading, int]:
        """These losses and the number of epochs between two of them; without a first or last one at another distance.

        Args:
            every: that number as stated; None if it was not.

        Raises:
            SettingError: epochs were printed that contradict it, or that have no common distance.
        """
        if self.epochs is None or len(self.epochs) < 2 or (every is not None and not self.counts_epochs):
            return self, every or 1
        steps = np.diff(self.epochs)
        inner = steps[1:-1] if len(steps) > 2 else steps
        printed = int(inner[0])
        begin, end = int(steps[0] != printed), len(self.epochs) - int(steps[-1] != printed)
        if (inner != printed).any() or (len(steps) > 1 and np.count_nonzero(steps == printed) < 2):
            begin, end = longest_even_part(steps)
            printed = int(steps[begin])
            if end - begin < MIN_EVEN_LOSSES:
                raise SettingError("losses_uneven", epochs=self.epochs[:6].tolist())
        if every is not None and every != printed:
            raise SettingError(
                "losses_every_contradicts", epochs=self.epochs[:4].tolist(), printed=printed, every=every
            )
        left_out = [*self.epochs[:begin].tolist(), *self.epochs[end:].tolist()]
        part = PrintedLosses(self.losses.values[begin:end], self.losses.half_ulps[begin:end])
        return replace(self, losses=part, epochs=self.epochs[begin:end], left_out=tuple(left_out)), printed

    def message(self, every: int | None = None) -> Message | None:
        """What was read, in a sentence; None where numbers were given as they are.

        ``every`` is the distance of the losses in epochs; None for that of the epochs printed, if they have one.
        """
        if every is None:
            steps = [] if self.epochs is None else np.unique(np.diff(self.epochs)).tolist()
            every = steps[0] if len(steps) == 1 else 1
        if not (self.source or self.label or self.epochs is not None):
            return None
        parts: dict[str, Message | str] = {"source": "", "label": "", "spacing": ""}
        if self.source:
            parts["source"] = message("losses.read_from", source=self.source)
        if self.label and self.label not in LOSS_WORDS:
            parts["label"] = message("losses.read_label", label=self.label)
        if every > 1:
            parts["spacing"] = message("losses.read_every", every=every)
        parts["left_out"] = message("losses.read_left_out", epochs=list(self.left_out)) if self.left_out else ""
        first, last = (float(self.losses.values[i]) for i in (0, -1))
        count = pluralize(len(self.losses.values), "loss")
        return message("losses.read", count=count, first=first, last=last, **parts)


def read_losses(raw: object) -> LossReading:
    r"""Losses, with their epochs if these are printed.

    Args:
        raw: numbers, tensors, or texts in any iterable; one text, such as ``"36.4, 43.9"`` or the lines of a log; the
            path of a file (:class:`os.PathLike`); or a :class:`LossLog`.

    Raises:
        SettingError: there is no number, an entry is not a number or is negative, or a line has several numbers that
            may be the loss; the message names the entry, or shows the line.

    >>> reading = read_losses("Epoch 10/30 loss: 4.2\nEpoch 20/30 loss: 3.1\nEpoch 30/30 loss: 2.9")
    >>> reading.losses.values.tolist(), reading.epochs.tolist()
    ([4.2, 3.1, 2.9], [10, 20, 30])
    """
    if isinstance(raw, LossReading):
        return raw
    if isinstance(raw, os.PathLike):
        raw = LossLog.from_file(raw)
    if isinstance(raw, LossLog):
        return replace(_read_text(raw.text), source=raw.source)
    if isinstance(raw, str):
        return _read_text(raw)
    if isinstance(raw, Iterable) and not isinstance(raw, bytes) and not hasattr(raw, "dtype"):
        raw = list(raw)
        if raw and all(isinstance(each, str) for each in raw):
            return _read_text("\n".join(raw))
    return LossReading(parse_losses(raw))


def open_losses(argument: str) -> LossLog | str:
    """What an argument of the command line holds: numbers or text, the name of a file, or - for standard input.

    Raises:
        SettingError: it names a file that does not exist, or cannot be read.
    """
    if argument == "-":
        source = message("losses.standard_input")
        return LossLog(decode_log(sys.stdin.buffer.read(MAX_LOG_BYTES + 1), source), source)
    is_list = all(NUMBER.fullmatch(token) for token in split_numbers(argument))
    return argument if is_list or not is_file_name(argument) else LossLog.from_file(argument)


def _read_text(text: str) -> LossReading:
    """Numbers only, or a log."""
    text = strip_terminal(text)
    if mentions_loss_or_epoch(text):
        return _read_log(text)
    tokens = split_numbers(text)
    if not all(NUMBER.fullmatch(token) for token in tokens):
        lines = shown_lines(text)
        if lines and all(NAMED_NUMBER.fullmatch(line) for line in lines):
            return _read_log(text)
        return LossReading(parse_entries(tokens))
    if "[" in text or "(" in text:
        rows = bracketed_rows(text)
        if rows is not None:
            return _read_rows(rows, shown_lines(text)[0])
        # A list that was printed has lost the zeros at the ends of its numbers, as floats have.
        return LossReading(parse_entries([float(token) for token in tokens]))
    return _read_columns(text) or LossReading(parse_entries(tokens))


def _read_columns(text: str) -> LossReading | None:
    """Lines of as many numbers each: an epoch and its loss. None for one column, or for a list over several lines."""
    lines = shown_lines(text)
    width = len(split_numbers(lines[0])) if len(lines) > 1 else 1
    if width < 2 or width != len(split_numbers(lines[1])) or lines[0].rstrip().endswith((",", ";")):
        return None
    rows = [split_numbers(line) for line in lines]
    if any(len(row) != width for row in rows):
        return None
    return _read_rows(rows, lines[0])


def _read_rows(rows: list[list[str]], line: str) -> LossReading:
    """Epochs and losses from rows of these two.

    Raises:
        SettingError: they are something else.
    """
    width = len(rows[0])
    epochs = np.array(
        [int(row[0]) if row and row[0].isdecimal() and len(row[0]) < 16 else -1 for row in rows], dtype=np.int64
    )
    if any(len(row) != 2 for row in rows) or epochs[0] < 0 or (np.diff(epochs) <= 0).any():
        raise SettingError("losses_columns", line=shorten_line(line), count=width)
    return LossReading(parse_entries([row[1] for row in rows]), epochs)


def _read_log(text: str) -> LossReading:
    """The losses of a log, with the epochs that stand beside them."""
    entries = read_log_entries(text)
    texts = [number.replace(",", "") for entry in entries for number in entry.texts]
    losses = parse_entries([float(each) for each in texts] if entries[0].is_list else texts)
    label = entries[0].label.name
    if len(texts) != len(entries):
        return LossReading(losses, None, label)
    epochs, counts_epochs = read_entry_epochs(entries)
    return LossReading(losses, epochs, label, counts_epochs=counts_epochs)
