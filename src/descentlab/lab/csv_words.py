"""The marks, words and patterns of :mod:`descentlab.data.csv`, from which the page reads pasted text, as its module."""

from __future__ import annotations

import json
from functools import cache

from descentlab.data import files, row_numbers
from descentlab.data.csv import encoding, errors, number_format, text_columns, words
from descentlab.data.csv.layout import dialect, footer, header, sample_rows, totals
from descentlab.data.csv.options import DECIMAL_MARKS

CSV_WORDS_PATH = "csv/words.js"  # no file has this path: the module is generated


@cache
def csv_words_module() -> str:
    """The module ``csv/words.js``: one constant, ``WORDS``."""
    patterns = {
        "numberLike": number_format.NUMBER_LIKE,
        "twoReadings": number_format.TWO_READINGS.pattern,
        "delimiterLine": dialect.DELIMITER_LINE.pattern,
        "sentenceOrRule": footer.SENTENCE_OR_RULE.pattern,
        "unit": header.UNIT.pattern,
        "bracketed": header.BRACKETED.pattern,
        "pandasIndexName": row_numbers.PANDAS_INDEX_NAME.pattern,
        "rowNumberName": row_numbers.ROW_NUMBER_NAME.pattern,
        "dateOrTime": text_columns.DATE_OR_TIME.pattern,
        "leadingZero": text_columns.LEADING_ZERO_PATTERN,
        "accountingMinus": number_format.ACCOUNTING_MINUS,
        "minusBehind": number_format.MINUS_BEHIND,
        "certainMinusBehind": number_format.CERTAIN_MINUS_BEHIND,
        "groupsOfPoints": number_format.GROUPS_OF_POINTS,
        "invisible": header.INVISIBLE.pattern,
        "quoted": header.QUOTED.pattern,
        "totalLabel": totals.TOTAL_LABEL,
        "wholeCurrency": number_format.WHOLE_CURRENCY,
        "jsonStart": files.JSON_START.pattern.decode(),
        "westernLetter": encoding.WESTERN_LETTER.pattern,
        "westernSign": encoding.WESTERN_SIGN.pattern,
        "signWithinWord": encoding.SIGN_WITHIN_WORD.pattern,
    }
    content: dict[str, object] = {
        "minusSigns": number_format.MINUS_SIGNS,
        "fullWidth": number_format.FULL_WIDTH,
        "spaces": number_format.SPACES,
        "apostrophes": number_format.APOSTROPHES,
        "thousandsMarks": number_format.THOUSANDS_MARKS,
        "currencySigns": words.CURRENCY_SIGNS,
        "numbers": _number_patterns(),
        "leadingCells": number_format.LEADING_CELLS,
        "sampleRows": sample_rows.SAMPLE_ROWS,
        "delimiterCandidates": sample_rows.DELIMITER_CANDIDATES,
        "scoredRows": sample_rows.SCORED_ROWS,
        "minNumbersShare": sample_rows.MIN_NUMBERS_SHARE,
        "minEvenShare": sample_rows.MIN_EVEN_SHARE,
        "commentMarks": dialect.COMMENT_MARKS,
        "commentLike": errors.COMMENT_LIKE,
        "unitRows": header.UNIT_ROWS,
        "knownUnits": sorted(words.KNOWN_UNITS),
        "noUnit": header.NO_UNIT,
        "earliestYear": header.EARLIEST_YEAR,
        "latestYear": header.LATEST_YEAR,
        "totalWords": sorted(words.TOTAL_WORDS),
        "endOfFile": footer.END_OF_FILE,
        "totalTolerance": totals.RELATIVE_TOLERANCE,
        "labelMarks": totals.LABEL_MARKS,
        "missingCells": words.MISSING_CELLS,
        "missingMarks": sorted(words.MISSING_MARKS),
        "flagWords": words.FLAG_WORDS,
        "maxMarks": text_columns.MAX_MARKS,
        "htmlStarts": [start.decode() for start in files.HTML_STARTS],
        "minHangulShare": encoding.MIN_HANGUL_SHARE,
        "eucKrByte": encoding.EUC_KR_BYTE,
        "maxWesternRun": encoding.MAX_WESTERN_RUN,
        "patterns": {name: _to_javascript(pattern) for name, pattern in patterns.items()},
    }
    text = json.dumps(content).replace("<", "\\u003c")  # text such as that of a comment in HTML
    return f"export const WORDS = {text};\n"


def _number_patterns() -> dict[str, str]:
    """The pattern of numbers by their decimal mark with the characters between thousands behind it."""
    others = number_format.SPACES + number_format.APOSTROPHES
    thousands = ("", *number_format.THOUSANDS_MARKS.values(), f",{others}", f".{others}")
    return {
        decimal + each: number_format.number_pattern(decimal, each)
        for decimal in DECIMAL_MARKS
        for each in thousands
        if decimal not in each
    }


def _to_javascript(pattern: str) -> str:
    """A regular expression of Python as JavaScript writes it with the flag ``u``: letters are those of any language."""
    pattern = pattern.replace(r"[^\W\d_]", r"\p{L}").replace(r"[\w", r"[\p{L}\p{N}_")
    return pattern.replace(r"\w", r"[\p{L}\p{N}_]")
