"""Which encoding the first bytes of a CSV file have: the one that was given, UTF-8, UTF-16, CP949 or CP1252."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder, lookup
from typing import Any

from descentlab.data.paths import FileLocation
from descentlab.errors import DataError, SettingError

UTF8 = "utf-8"
SAMPLE_BYTES = 1 << 16
MAX_SAMPLE_BYTES = 1 << 24  # the sample grows up to this size if its first line has no end
HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
MAX_WESTERN_RUN = 2  # Western texts have one letter with an accent at a time, or two
HANGUL = re.compile("[가-힣]")
MIN_HANGUL_SHARE = 0.75
EUC_KR_BYTE = 0xA1  # both bytes of its characters are at least this
# Characters of CP1252 that stand beside letters in Western texts, and those that stand beside numbers or alone. Most of
# its other signs are the first bytes of Japanese and Chinese characters in other encodings.
WESTERN_LETTER = re.compile("[À-ÖØ-öø-ÿŒœŠšŽžŸ]|(?<=[A-Za-z0-9])’")
WESTERN_SIGN = re.compile("[°±²³µ·ºª€£¥§©®×÷–«»½¼¾\u00a0]")
SIGN_WITHIN_WORD = re.compile("[A-Za-z][°±²³·ºª€£¥§©®×÷–½¼¾«»][a-z]")  # then it is another encoding's letter


def read_sample(location: FileLocation) -> tuple[bytes, bool]:
    """The first bytes of the file, with at least one whole line, and whether they are the whole file."""
    with location.open_decompressed() as stream:
        sample: bytes = stream.read(SAMPLE_BYTES)
        while (
            len(sample) >= SAMPLE_BYTES
            and b"\n" not in sample
            and b"\r" not in sample
            and len(sample) < MAX_SAMPLE_BYTES
        ):
            more = stream.read(len(sample))
            if not more:
                break
            sample += more
        return sample, not stream.read(1)


def decode_sample(location: FileLocation, sample: bytes, is_whole_file: bool, encoding: str | None) -> tuple[str, str]:
    """The first bytes as text, and their encoding.

    Raises:
        DataError: the file is binary, or its text is in another encoding.
        SettingError: Python knows no such encoding of text.
    """
    given = encoding
    if encoding is None:
        encoding = "utf-16" if sample.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else UTF8
    try:
        codec = lookup(encoding)
    except (LookupError, TypeError, ValueError) as cause:
        raise SettingError("unknown_encoding", given=repr(encoding)) from cause
    if not codec._is_text_encoding or codec.incrementaldecoder is None:
        raise SettingError("unknown_encoding", given=repr(encoding))
    encoding = codec.name
    if b"\0" in sample and not encoding.startswith(("utf-16", "utf-32")):
        raise DataError("binary", path=str(location))
    try:
        text = codec.incrementaldecoder().decode(sample.removeprefix(BOM_UTF8), final=is_whole_file)
    except UnicodeError as cause:
        detected = detect_legacy_encoding(sample) if given is None and encoding == UTF8 else None
        if detected is None:
            raise encoding_error(location, encoding) or DataError("binary", path=str(location)) from cause
        encoding, text = detected, _decode_whole_characters(sample, detected)
    return text.removeprefix("\ufeff"), encoding


def _decode_whole_characters(sample: bytes, encoding: str) -> str:
    return getincrementaldecoder(encoding)().decode(sample, final=False)


def detect_legacy_encoding(sample: bytes) -> str | None:
    """``cp949`` or ``cp1252`` if bytes that are not UTF-8 are certainly in it; else None.

    Western text is single letters with an accent among others, or signs beside numbers. Digits and separators are the
    same bytes in both, so that a wrong guess changes no number.
    """
    if _is_korean(sample):
        return "cp949"
    return "cp1252" if _is_western(sample) else None


def _is_korean(sample: bytes) -> bool:
    """Whether most characters are Hangul of EUC-KR: its extension CP949 has any letter as a second byte."""
    try:
        text = _decode_whole_characters(sample, "cp949")
    except UnicodeError:
        return False
    characters = re.sub(r"[\x00-\x7f]", "", text)
    common = [character for character in HANGUL.findall(characters) if min(character.encode("cp949")) >= EUC_KR_BYTE]
    return len(common) >= MIN_HANGUL_SHARE * len(characters)


def _is_western(sample: bytes) -> bool:
    try:
        text = _decode_whole_characters(sample, "cp1252")
    except UnicodeError:
        return False
    count = len(re.sub(r"[\x00-\x7f]", "", text))
    known = len(WESTERN_LETTER.findall(text)) + len(WESTERN_SIGN.findall(text))
    longest = max(map(len, HIGH_BYTES.findall(sample)), default=0)
    return longest <= MAX_WESTERN_RUN and known == count and SIGN_WITHIN_WORD.search(text) is None


def encoding_error(location: FileLocation, encoding: str) -> DataError | None:
    """The error for the first bytes that are not text in this encoding; None if the whole file is."""
    decoder = getincrementaldecoder(encoding)()
    bytes_read, line = 0, 1
    with location.open_decompressed() as stream:
        while True:
            chunk = stream.read(SAMPLE_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeError as cause:
                start = getattr(cause, "start", 0) - pending  # negative if the character began in the last chunk
                line += chunk[: max(start, 0)].count(b"\n")
                values: dict[str, Any] = {"encoding": encoding, "place": bytes_read + start, "line": line}
                return DataError("encoding", path=str(location), **values)
            if not chunk:
                return None
            bytes_read, line = bytes_read + len(chunk), line + text.count("\n")
