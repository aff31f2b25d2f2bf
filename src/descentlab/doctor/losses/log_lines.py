"""The numbers of a log's line and what each of them is: a loss, an epoch, a step, a counter, or something else.

What a number is called stands before it: ``loss: 4.2``, ``train_loss=4.2``, ``Epoch [3/10]``. Its label is the text
since the number before, from the last comma or bracket on. A line's plan depends on its labels only, so lines that
differ in their numbers share it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

NUMBER_TEXT = r"(?:\d{1,3}(?:,\d{3})+\.\d+|\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[nN]a[nN]|NAN|[iI]nf(?:inity)?|INF"
NUMBER = re.compile(rf"(?<![\w.])[+-]?(?:{NUMBER_TEXT})(?![\w%]|\.\d)")
NUMBER_GROUP, NUMBER_MARK = re.compile(f"({NUMBER.pattern})"), "\x01"
TIMESTAMP = re.compile(
    r"(?<![\w.])\d{4}[-/]\d\d[-/]\d\d(?:T(?=\d))?|(?<![\w.])\d{1,3}:\d\d:\d\d(?:[.,]\d+)?|(?<![\w:.])\d\d:\d\d(?![\d.:])"
)
GLUED_EPOCH = re.compile(r"(?i)(?<![^\W_])(epoch|iteration|iter|step)(?=\d)")  # epoch3
ORDINAL_EPOCH = re.compile(r"(\d+) *(?:번째|회차|회)? *에포크")
# After 100 epochs, the loss is 4.2; the unit comes to stand before its number
COUNTED_EPOCHS = re.compile(r"(?im)(^[ \t]*|\b(?:after|at|in|by)[ \t]+)(\d+)[ \t]+(epoch|iteration|iter|step)s\b")
INDEX_END = re.compile(r"\s*[\])]?\s*[:=]\s*[\[('\"]*")  # loss[3] = 4.2, loss 3: 4.2
VALUE_MARK = re.compile(r"[:=]\s*[\[('\"]*$")
SIDE_NOTE = re.compile(r"\(([^()\d\n]*)\)")  # loss (train): 4.2
LABEL_END = re.compile(r"[\s:=~≈>`'\"(\[{|-]+$")
LABEL_START = re.compile(r"[,;|()\[\]{}<>]|\s[-–—/]\s")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[가-힣]+")
SEPARATORS = " \t,;[](){}\"'"
MAX_LABEL_WORDS = 4
LOOK_AHEAD = 100_000  # characters of a log that show what kind it is

LOSS_WORDS = ("loss", "losses", "cost", "costs", "mse", "error", "err", "손실", "비용", "오차")  # the likeliest first
NOT_LOSS_WORDS = frozenset({"rmse", "root", "absolute", "percentage", "rate", "scale", "weight", "weights"})
EPOCH_WORDS = frozenset({"epoch", "epochs", "ep", "에포크"})
STEP_WORDS = frozenset({"step", "steps", "iter", "iters", "iteration", "iterations", "스텝", "반복"})
TRAINING_WORDS = frozenset({"train", "training", "trn", "tr", "학습", "훈련"})
HELD_OUT_WORDS = frozenset(
    {"val", "valid", "validation", "test", "testing", "eval", "evaluation", "dev", "holdout", "검증", "평가", "테스트"}
)
METRIC_WORDS = frozenset(
    {
        "accuracy",
        "acc",
        "auc",
        "bias",
        "f",
        "grad",
        "gradient",
        "learning",
        "lr",
        "momentum",
        "norm",
        "precision",
        "r",
        "rate",
    }
    | {"recall", "score", "theta", "time", "w", "weight", "weights", "정확도", "학습률"}
)
PLAIN_WORDS = frozenset(
    {"avg", "average", "mean", "squared", "total", "current", "the", "is", "value", "평균", "제곱", "값"}
)


# What a number may be as a loss; of the kinds that a log has, the first is taken. A metric is refused.
TRAINING_LOSS, LOSS, HELD_OUT_LOSS, AFTER_EPOCH, ALONE, METRIC = range(6)


class Label(NamedTuple):
    """What a number is called, ordered by how surely that is the loss."""

    kind: int
    word_rank: int = 0
    is_qualified: bool = False
    name: str = ""


@dataclass(frozen=True)
class LinePlan:
    """Which of a line's numbers are what.

    Attributes:
        losses: by label, the places of its numbers and whether they stand in brackets.
        epoch, step, counter: the places of these; None where there are none. A counter is the 3 of 3/10.
    """

    losses: dict[Label, tuple[tuple[int, ...], bool]]
    epoch: int | None = None
    step: int | None = None
    counter: int | None = None


def normalize_log(text: str) -> str:
    """The text with a mark for times of day and dates, and every epoch before its number; lines stay lines."""
    if TIMESTAMP.search(text, 0, LOOK_AHEAD):
        text = TIMESTAMP.sub("·", text)
    if "에포크" in text:
        text = ORDINAL_EPOCH.sub(r"에포크 \1 ", text)
    text = COUNTED_EPOCHS.sub(r"\1\3 \2 ", text)
    return SIDE_NOTE.sub(r" \1 ", GLUED_EPOCH.sub(r"\1 ", text))


def split_line(line: str) -> tuple[str, list[str]]:
    """The line with a mark in the place of every number, and the numbers."""
    parts = NUMBER_GROUP.split(line)
    return NUMBER_MARK.join(parts[::2]), parts[1::2]


@lru_cache(maxsize=4096)
def plan_line(marked: str) -> LinePlan:
    """The plan of every line with these marks for its numbers; see :func:`split_line`."""
    losses: dict[Label, tuple[list[int], bool]] = {}
    places: dict[str, int] = {}
    bare: list[int] = []  # numbers without a label, those of another name, and those of a metric's
    named: list[int] = []
    metrics: dict[str, list[int]] = {}
    label: Label | None = None
    announced: Label | None = None  # a loss word that an epoch's number took: Cost after epoch 3: 0.6
    gaps = marked.split(NUMBER_MARK)
    for i, gap in enumerate(gaps[:-1]):
        following = gaps[i + 1] if i + 2 < len(gaps) else None
        words = _label_words(gap)
        if i and gap.strip() == "/":  # the 10 of 3/10
            if i - 1 in bare:
                places.setdefault("counter", i - 1)
                bare.remove(i - 1)
            continue
        if label is not None and not gap.strip(SEPARATORS):
            if following is None or following.strip() != "/":  # loss: 4.2 [64/600]
                losses[label][0].append(i)
            continue
        if i == 0 and gap.strip() == "[" and following is not None and following.startswith("]"):  # [3] loss: 4.2
            places["counter"] = i
            continue
        role, found = _role(words), _loss_label(words)
        if role is None and found and following and not VALUE_MARK.search(gap) and INDEX_END.fullmatch(following):
            role = "step"
        label = None if role is not None else found or (None if words else announced)
        if role is not None:
            places.setdefault(role, i)
            announced = found or announced
        elif label is not None:
            losses.setdefault(label, ([], gap.rstrip(" ('\"").endswith("[")))[0].append(i)
        elif METRIC_WORDS & set(words):
            metrics.setdefault(" ".join(words), []).append(i)
        else:
            (named if words else bare).append(i)
    unlabelled = bare or named
    if not losses and unlabelled:
        losses[Label(AFTER_EPOCH if places else ALONE)] = (unlabelled, False)
    elif not losses:
        losses = {Label(METRIC, name=name): (at, False) for name, at in metrics.items()}
    return LinePlan({label: (tuple(at), listed) for label, (at, listed) in losses.items()}, **places)


def name_label(name: str) -> Label | str | None:
    """What a column of this name holds: a loss, ``"epoch"``, ``"step"``, or something else."""
    words = _label_words(name)
    return _role(words) if _role(words) is not None else _loss_label(words)


def split_cells(line: str) -> list[str]:
    """The cells of a table's line: between bars, tabs, commas or semicolons, or between gaps."""
    for mark in ("|", "\t", ",", ";"):
        if mark in line:
            return [cell.strip() for cell in line.strip().strip(mark).split(mark)]
    return re.split(r"\s{2,}", line.strip()) if re.search(r"\S\s{2,}\S", line) else line.split()


def plan_row(line: str, header: list[str]) -> tuple[LinePlan, list[str]] | None:
    """The plan of a table's row and its cells, by the names of its columns; one more cell may number the row.

    None for a line of another width.
    """
    cells = split_cells(line)
    cells = cells[len(cells) == len(header) + 1 :]
    if len(cells) != len(header):
        return None
    losses: dict[Label, tuple[tuple[int, ...], bool]] = {}
    places: dict[str, int] = {}
    for i, (name, cell) in enumerate(zip(header, cells, strict=True)):
        role = name_label(name)
        if role is None or not NUMBER.fullmatch(cell):
            continue
        if isinstance(role, Label):
            losses[role] = ((i,), False)
        else:
            places[role] = i
    return LinePlan(losses, **places), cells


def mentions_loss_or_epoch(text: str) -> bool:
    """Whether a text names a loss, an epoch or a step: then it is a log and no list of numbers."""
    words = {word.lower() for word in WORD.findall(text[:LOOK_AHEAD])}
    return bool(words & (EPOCH_WORDS | STEP_WORDS | TRAINING_WORDS | HELD_OUT_WORDS)) or any(
        _loss_rank(word) is not None for word in words
    )


def _label_words(gap: str) -> tuple[str, ...]:
    """The last words before a number, in small letters."""
    tail = LABEL_START.split(LABEL_END.sub("", gap))[-1]
    return tuple(word.lower() for word in WORD.findall(tail))[-MAX_LABEL_WORDS:]


def _role(words: tuple[str, ...]) -> str | None:
    """Epoch or step, where the last word says so."""
    if not words:
        return None
    return "epoch" if words[-1] in EPOCH_WORDS else "step" if words[-1] in STEP_WORDS else None


def _loss_rank(word: str) -> int | None:
    """The place of a word among the loss words; None for no such word. ``trainloss`` and ``손실은`` count."""
    ranks = (i for i, loss in enumerate(LOSS_WORDS) if word.endswith(loss) or (word[0] > "~" and word.startswith(loss)))
    return next(ranks, None) if word not in NOT_LOSS_WORDS else None


def _loss_label(words: tuple[str, ...]) -> Label | None:
    """The label that these words are, if one of the last ones is a loss word."""
    ranks = [_loss_rank(word) for word in words]
    rank = next((each for each in reversed(ranks) if each is not None), None)
    if rank is None and words and words[-1] in TRAINING_WORDS | HELD_OUT_WORDS:  # train: 4.2 val: 5.0
        rank = len(LOSS_WORDS)
    if rank is None or NOT_LOSS_WORDS & set(words):
        return None
    others = {word for word, each in zip(words, ranks, strict=True) if each is None}
    merged = " ".join(words)
    held_out = others & HELD_OUT_WORDS or re.match(r"(val|valid|test|dev|eval)(loss|cost|mse|error)", merged)
    training = others & TRAINING_WORDS or re.match(r"(train|tr)(loss|cost|mse|error)", merged)
    kind = HELD_OUT_LOSS if held_out else TRAINING_LOSS if training else LOSS
    known = HELD_OUT_WORDS | TRAINING_WORDS | PLAIN_WORDS | EPOCH_WORDS
    last = max((i for i, each in enumerate(ranks) if each is not None), default=len(words) - 1)
    name = " ".join([*words[:last], words[last] if words[last].isascii() else (*LOSS_WORDS, words[last])[rank]])
    return Label(kind, rank, bool(others - known), name)
