"""``descentlab explain``: every finding has a page that can be read in the terminal."""

from __future__ import annotations

import pytest

from descentlab.doctor.finding_pages import finding_titles, read_finding_page
from descentlab.messages import display_width
from tests.cli.helpers import cli

NAMES = [name for titles in finding_titles().values() for name in titles]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_list_has_every_page_and_each_of_them_can_be_printed(lang: str) -> None:
    listed = cli("explain", "--lang", lang).out
    assert len(NAMES) > 80
    for name in NAMES:
        assert f"  {name} " in listed
        page = cli("explain", name, "--lang", lang)
        assert page.code == 0
        assert page.out.splitlines()[0] == read_finding_page(name, lang).splitlines()[0].removeprefix("# ")


def test_prose_is_wrapped_code_is_indented_and_links_are_words() -> None:
    lines = cli("explain", "broadcast").out.splitlines()
    assert "    y = y.reshape(pred.shape)" in lines
    assert "    >>> train(y[:, 0]), train(y)" in lines
    assert "For printed losses broadcasting finds the same mistake." in " ".join(lines)
    assert max(display_width(line) for line in lines if not line.startswith("    ")) <= 80


@pytest.mark.parametrize("given", ["no-zero-grad", "`no_zero_grad`", "NO_ZERO_GRAD"])
def test_a_name_can_be_typed_in_several_ways(given: str) -> None:
    assert cli("explain", given).out == cli("explain", "no_zero_grad").out


@pytest.mark.parametrize(
    ("given", "near"), [("divreges", "`diverges`"), ("nan", "`not_finite`"), ("shapes", "`broadcast`")]
)
def test_a_near_miss_and_a_word_of_a_title_lead_to_a_page(given: str, near: str) -> None:
    result = cli("explain", given)
    assert result.code == 2
    assert near in result.err


def test_nothing_like_it_leads_to_the_list() -> None:
    result = cli("explain", "xyzzy")
    assert result.code == 2
    assert result.err == "error: There is no finding `xyzzy`. `descentlab explain` lists them all.\n"


def test_reports_name_the_command() -> None:
    for data in (("lesson", "--lr", "1"), ("--losses", "1,2,4", "--lr", "1")):
        lines = cli("diagnose", *data).out.split("\n\n")
        assert lines[-1].startswith("`descentlab explain NAME` explains each of these: ")
