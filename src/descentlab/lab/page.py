"""The page: style, script, sentences and data in one HTML file that asks for nothing else.

Style, sentences and script are packed to a third of their size, and ``open.js`` unpacks them with the browser's own
means. The policy names the hashes of both scripts and of the style, so nothing that data could smuggle in would run;
and data stands in it as JSON in which no letter means anything to HTML.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from html import escape
from typing import Any
from zlib import compress

from descentlab.lab.js_bundle import script, static
from descentlab.messages import LANGUAGES, catalogue, language, sentence

# What ends a script or a line of one, what turns text round, and halves of letters, which UTF-8 cannot write.
TELLING = re.compile("[<>&\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
OWN_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)[ \t]*$", re.MULTILINE | re.DOTALL)
LONGEST_TITLE = 80


@dataclass(frozen=True)
class Shell:
    """What a page runs and wears: an entry module and style sheets of ``static/``, packed once."""

    entry: str = "boot.js"
    sheets: tuple[str, ...] = ("lab.css",)

    @cached_property
    def program(self) -> str:
        """The page's script, which :func:`opener` unpacks and starts."""
        return bare(f"(() => {{\n{script(self.entry)}}})();")

    @cached_property
    def style(self) -> str:
        """The page's style."""
        return bare("\n".join(map(static, self.sheets)))

    @cached_property
    def packed(self) -> str:
        """Style, sentences and script, deflated, in letters."""
        content = json.dumps([self.style, inert(words()), self.program], ensure_ascii=False)
        return b64encode(compress(content.encode(), 9)).decode()

    def policy(self, served: bool) -> str:
        """The page's Content-Security-Policy."""
        rules = {
            "default-src": "'none'",
            "script-src": f"{_hash(opener())} {_hash(self.program)}",
            "style-src": _hash(self.style),
            "img-src": "data: blob:",
            "connect-src": "'self'" if served else "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
        }
        return "; ".join(f"{name} {value}" for name, value in rules.items())

    def html(self, title: str, body: str, data: Mapping[str, Any], lang: str, served: bool = False) -> str:
        """A whole page.

        Args:
            title: as text.
            body: as HTML that is safe as it is.
            data: what the script finds, by name: ``descentlab-<name>`` is the element that holds it.
            lang: the language it opens in.
            served: whether a server is behind it that takes files: the page may then talk to that server alone.
        """
        held = "".join(
            f'<script type="application/json" id="descentlab-{name}">{inert(content)}</script>\n'
            for name, content in data.items()
        )
        return f"""<!doctype html>
<html lang="{lang}" data-served="{str(served).lower()}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{self.policy(served)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
</head>
<body>
{body}
{held}<script type="text/plain" id="descentlab-packed">{self.packed}</script>
<script>{opener()}</script>
</body>
</html>
"""


LAB = Shell()


def page(spec: Mapping[str, Any], lang: str | None = None, served: bool = False) -> str:
    """The lab's page.

    Args:
        spec: what :func:`descentlab.lab.spec.spec` made.
        lang: the language it opens in; the other is in it as well.
        served: whether a server is behind it.
    """
    lang = lang or language()
    body = f'<div id="descentlab"><noscript>{_without_script(spec, lang)}</noscript></div>'
    return LAB.html(_title(spec, lang), body, {"spec": spec}, lang, served)


def inert(content: Any) -> str:
    r"""JSON that can stand in a page's script element whatever it says: its text is data to HTML as well.

    >>> inert({"name": "</script>", "value": 0.5})
    '{"name":"\\u003c/script\\u003e","value":0.5}'
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return TELLING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def words() -> dict[str, dict[str, str]]:
    """The lab's sentences in each language, by key."""
    return {lang: {key: text for key, text in catalogue(lang).items() if key.startswith("lab.")} for lang in LANGUAGES}


@cache
def opener() -> str:
    """The script that stands in the page."""
    return bare(static("open.js"))


def bare(text: str) -> str:
    """A module or a style without comments that have lines of their own, and without indentation."""
    return "\n".join(line.strip() for line in OWN_COMMENT.sub("", text).split("\n") if line.strip())


@cache
def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _title(spec: Mapping[str, Any], lang: str) -> str:
    name = CONTROL.sub(" ", spec["name"]).strip()[:LONGEST_TITLE]
    title = sentence("lab.title").text(lang)
    return f"{name} - {title}" if name else title


def _without_script(spec: Mapping[str, Any], lang: str) -> str:
    """What a reader sees where scripts do not run: why there is nothing to see, and the findings, if there are any."""
    told = (spec["report"] or {"findings": {lang: []}})["findings"][lang]
    texts = [sentence("lab.without_script").text(lang), *(finding["text"] for finding in told)]
    return "".join(f"<p>{escape(CONTROL.sub(' ', text))}</p>" for text in texts)
