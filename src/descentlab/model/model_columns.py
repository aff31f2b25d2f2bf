"""The columns of new rows that a model reads, found by name, and whether they are what they were in the fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from descentlab.data.csv.number_format import NumberFormat
from descentlab.data.csv.text_columns import FlagFormat
from descentlab.data.design.resolve import LABEL_REASONS
from descentlab.data.flag_columns import flags_to_float64
from descentlab.data.source import Source
from descentlab.errors import DataError, did_you_mean
from descentlab.messages import Message, message
from descentlab.model.fitted_model import FittedModel
from descentlab.typing import FloatArray

EMPTY_REASON = "left_out.empty"


class InputColumns:
    """Which columns of a source are read, and how.

    Attributes:
        numbers: those read as numbers.
        others: those read as they are: categories, dates, and words for 1 and 0.
        notices: numbers that are written with another sign than in the fit.
    """

    def __init__(self, model: FittedModel, source: Source) -> None:
        """Raises:
        DataError: a column is missing, or is not numeric.
        """
        _check_columns(model, source)
        design, excluded = model.rows_design, source.excluded_columns
        self._words: dict[str, FlagFormat] = {}
        for name in design.number_columns:
            reason, described = excluded.get(name), model.inputs.get(name, {})
            if reason is None or reason.key == EMPTY_REASON:
                continue
            if "one" not in described or reason.key not in LABEL_REASONS:
                raise DataError("not_numeric", name=name, reason=reason)
            self._words[name] = FlagFormat(described["one"], described["zero"])
        self.numbers = tuple(name for name in design.number_columns if name not in self._words)
        self.others = tuple(dict.fromkeys((*design.label_columns, *self._words)))
        self.notices = [
            notice for name in self.numbers if (notice := _sign_notice(name, model.inputs.get(name, {}), source))
        ]

    def words_as_numbers(self, arrays: Mapping[str, Any]) -> dict[str, FloatArray]:
        """The (m,) columns of words as 1 and 0; raises DataError for another word."""
        return {
            name: flags_to_float64(arrays[name], name, words).to_numpy(zero_copy_only=False)
            for name, words in self._words.items()
        }


def _check_columns(model: FittedModel, source: Source) -> None:
    columns = (*source.names, *source.excluded_columns)
    missing = [name for name in model.input_columns if name not in columns]
    if missing:
        near = did_you_mean(missing[0], [name for name in columns if name not in model.input_columns])
        raise DataError("model_columns", names=[f"`{name}`" for name in missing], columns=columns, near=near)


def _sign_notice(name: str, described: Mapping[str, str], source: Source) -> Message | None:
    """That numbers had a percent sign in the fit and have none here, or the other way round, or another currency."""
    now = source.column_formats.get(name)
    before, sign = described.get("sign", ""), ""
    if isinstance(now, NumberFormat):
        sign = "%" if now.percent else now.currency
    if sign == before or ("%" not in (sign, before) and not (sign and before)):
        return None
    key = "notice.sign_changed" if sign and before else "notice.sign_gone" if before else "notice.sign_new"
    return message(key, name=name, before=before, now=sign)
