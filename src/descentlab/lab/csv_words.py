"""The marks, words and patterns of :mod:`descentlab.data.csv`, as a module of the page that reads pasted text by them."""

from __future__ import annotations

import json
from functools import cache

from descentlab.data import row_numbers
from descentlab.data.csv import dialect, errors, footer, header, inference, number_format, sample_rows, text_columns

CSV_WORDS_PATH = "csv/words.js"  # no file has this path: the module is generated


@cache
def csv_words_module() -> str:
    """The module ``csv/words.js``: one constant, ``WORDS``."""
    patterns = {
        "numberLike": number_format.NUMBER_LIKE.replace(r"\s", r"[ \t\n\r\f\v]"),  # of ASCII, as pyarrow reads it
        "twoReadings": number_format.TWO_READINGS.pattern,
        "delimiterLine": dialect.DELIMITER_LINE.pattern,
        "unit": header.UNIT.pattern,
        "bracketed": header.BRACKETED.pattern,
        "indexName": row_numbers.INDEX_NAME.pattern,
        "rowNumberName": row_numbers.ROW_NUMBER_NAME.pattern,
        "dateOrTime": text_columns.DATE_OR_TIME.pattern,
        "leadingZero": inference.LEADING_ZERO_PATTERN,
    }
    words = {
        "minusSigns": number_format.MINUS_SIGNS,
        "spaces": number_format.SPACES,
        "apostrophes": number_format.APOSTROPHES,
        "thousandsMarks": number_format.THOUSANDS_MARKS,
        "currencySigns": number_format.CURRENCY_SIGNS,
        "leadingCells": number_format.LEADING_CELLS,
        "sampleRows": sample_rows.SAMPLE_ROWS,
        "delimiterCandidates": sample_rows.DELIMITER_CANDIDATES,
        "minNumbersShare": sample_rows.MIN_NUMBERS_SHARE,
        "minEvenShare": sample_rows.MIN_EVEN_SHARE,
        "commentMarks": dialect.COMMENT_MARKS,
        "commentLike": errors.COMMENT_LIKE,
        "unitRows": header.UNIT_ROWS,
        "knownUnits": sorted(header.KNOWN_UNITS),
        "noUnit": header.NO_UNIT,
        "earliestYear": header.EARLIEST_YEAR,
        "latestYear": header.LATEST_YEAR,
        "totalWords": sorted(footer.TOTAL_WORDS),
        "labelMarks": footer.LABEL_MARKS,
        "missingCells": text_columns.MISSING_CELLS,
        "missingMarks": sorted(text_columns.MISSING_MARKS),
        "flagWords": text_columns.FLAG_WORDS,
    }
    words["patterns"] = {name: _to_javascript(pattern) for name, pattern in patterns.items()}
    return f"export const WORDS = {json.dumps(words)};\n"


def _to_javascript(pattern: str) -> str:
    """A regular expression of Python as JavaScript writes it with the flag ``u``: letters are those of any language."""
    pattern = pattern.replace(r"[^\W\d_]", r"\p{L}").replace(r"[\w", r"[\p{L}\p{N}_")
    return pattern.replace(r"\w", r"[\p{L}\p{N}_]")
