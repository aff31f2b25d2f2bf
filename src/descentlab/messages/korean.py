"""Korean particles, chosen by the sound before them."""

from __future__ import annotations

import re

# Korean particles that depend on the sound before them: after a consonant, after a vowel (and l, for the last).
KOREAN_PARTICLES = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
    "와(과)": ("과", "와"),
    "(으)로": ("으로", "로"),
    "(이)라": ("이라", "라"),
}
_PARTICLE_PATTERN = re.compile("|".join(map(re.escape, KOREAN_PARTICLES)))
# What is not read: marks that close, and a remark in parentheses after a word.
_CLOSING_MARKS = "`'\"”’)]}>*…"
_REMARK_PATTERN = re.compile(r"(?<=[^\s(])(?:\([^()]*\)(?=[`'\"]*$)| \([^()]*\)(?=[`'\"]+$))[`'\"]*$")
# Endings of numbers and Latin words as they are read in Korean, the first that matches: `year` ends in a vowel, `time`
# and `metric` in a consonant, `table` in an l.
_SOUND_PATTERNS = {
    "open": re.compile("[aeiouy]r$", re.IGNORECASE),
    "closed": re.compile(
        r"(?:[036²³]|\^\d+|[mn]|ng|[aeiouy][mn]e|get|type|ck|[a-z]ic|(?:^|[^aeiou])[aeiou]p)$", re.IGNORECASE
    ),
    "l": re.compile("(?:[178lr]|[a-z]le)$", re.IGNORECASE),
}
_LONGEST_READ = 60  # letters before a particle that can decide it


def resolve_particles(text: str) -> str:
    """Korean text with each ``은(는)`` and the like decided by the sound before it, as it is read aloud.

    >>> resolve_particles("0.01은(는) 0.5의 2%이고, `x`과(와) `total`이(가) 3(으)로 나뉩니다.")
    '0.01은 0.5의 2%이고, `x`와 `total`이 3으로 나뉩니다.'
    >>> resolve_particles("`year`이(가) 2이고, [-1, 0, 1]은(는) 목록이며, `가격(만 원)`을(를) 씁니다.")
    '`year`가 2이고, [-1, 0, 1]은 목록이며, `가격(만 원)`을 씁니다.'
    """

    def choose(match: re.Match[str]) -> str:
        return _choose_particle(text[max(match.start() - _LONGEST_READ, 0) : match.start()], match[0])

    return _PARTICLE_PATTERN.sub(choose, text)


def _choose_particle(before: str, form: str) -> str:
    closed, open_ = KOREAN_PARTICLES[form]
    sound = _final_sound(_REMARK_PATTERN.sub("", before).rstrip(_CLOSING_MARKS))
    return open_ if sound == "open" or (sound == "l" and form == "(으)로") else closed


def _final_sound(text: str) -> str:
    """How the text ends as it is read in Korean: ``"open"`` in a vowel, ``"closed"`` in a consonant, ``"l"``."""
    last = text[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return "l" if final == 8 else "closed" if final else "open"
    return next((sound for sound, pattern in _SOUND_PATTERNS.items() if pattern.search(text)), "open")
