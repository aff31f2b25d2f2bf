"""Whether a piece of HTML is whole: every tag closed in order, and none that could run or load anything."""

from __future__ import annotations

from html.parser import HTMLParser

TAGS = {"div", "style", "p", "strong", "h4", "ul", "li", "span", "code", "pre"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"class", "lang", "role", "aria-label", "scope"}


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.langs: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.langs += [value for name, value in attrs if name == "lang"]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def whole(page: str) -> tuple[str, str | None]:
    """What the page says, its spaces all plain, and the one language that it says it is in, after the checks."""
    checker = _Checker()
    checker.feed(page)
    checker.close()
    assert not checker.open
    [lang] = checker.langs
    return "".join(checker.words).replace("\u00a0", " "), lang
