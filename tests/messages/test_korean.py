"""Korean particles follow the sound before them, whatever mark stands between."""

from __future__ import annotations

import pytest

from descentlab.messages import resolve_particles

READ = {
    "[-1, 0, 1]": "은",
    "[-1, 0, 2]": "는",
    "(3, 10)": "은",
    "['x', 'y']": "는",
    "1": "은",
    "1.5": "는",
    "2%": "는",
    "1e-06": "은",
    "64 MB": "는",
    "R^2": "은",
    "m²": "은",
    "`schedule`": "은",
    "`price`": "는",
    "`year`": "는",
    "`time`": "은",
    "`step`": "은",
    "`loop`": "는",
    "`metric`": "은",
    "`target`": "은",
    "`면적(m2)`": "은",
    "`나이 (년)`": "는",
    "`price (KRW)`": "는",
    "fit()": "는",
    "Problem(X, y)": "은",
    "모양이 (2, 3)": "은",
    "**비용**": "은",
    "": "는",
}


@pytest.mark.parametrize(("before", "particle"), READ.items())
def test_a_particle_follows_what_is_read(before: str, particle: str) -> None:
    assert resolve_particles(f"{before}은(는) 값입니다") == f"{before}{particle} 값입니다"


def test_after_an_l_the_way_is_ro() -> None:
    assert resolve_particles("`table`(으)로 7(으)로 [8](으)로") == "`table`로 7로 [8]로"
    assert resolve_particles("`table`이(가) 7이(가) [8]이(가)") == "`table`이 7이 [8]이"
