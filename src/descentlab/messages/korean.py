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
_PARTICLE_PATTERN = re.compile(r"(\S?\S)([`'\")\]…]*)(" + "|".join(map(re.escape, KOREAN_PARTICLES)) + ")")
_RIEUL_FINAL = "178lLrR"  # digits and letters whose Korean reading ends in an l
_CONSONANT_FINAL = "036mMnN"  # those whose reading ends in another consonant
_VOWEL_R_FINAL = re.compile("[aeou]r")  # `year` ends in a vowel in Korean, though `R` and `lr` end in an l
_NG_FINAL = "ng"


def resolve_particles(text: str) -> str:
    """Korean text with each ``은(는)`` and the like decided by the sound before it, as it is read aloud.

    >>> resolve_particles("0.01은(는) 0.5의 2%이고, `x`과(와) `total`이(가) 3(으)로 나뉩니다.")
    '0.01은 0.5의 2%이고, `x`와 `total`이 3으로 나뉩니다.'
    >>> resolve_particles("`year`이(가) 2이고, `lr`이(가) 1이며, `rating`은(는) 없습니다.")
    '`year`가 2이고, `lr`이 1이며, `rating`은 없습니다.'
    """
    return _PARTICLE_PATTERN.sub(lambda match: match[1] + match[2] + _choose_particle(match[1], match[3]), text)


def _choose_particle(end: str, form: str) -> str:
    closed, open_ = KOREAN_PARTICLES[form]
    last = end[-1]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        sound = "l" if final == 8 else "closed" if final else "open"
    else:
        sound = "l" if last in _RIEUL_FINAL else "closed" if last in _CONSONANT_FINAL or end == _NG_FINAL else "open"
        sound = "open" if _VOWEL_R_FINAL.fullmatch(end) else sound
    return open_ if sound == "open" or (sound == "l" and form == "(으)로") else closed
