"""The page: style, script, messages and data in one HTML file that loads nothing else.

Style, messages and script are compressed to a third of their size, and ``unpack.js`` decompresses them in the browser.
The Content-Security-Policy has the hashes of both scripts and of the style, so that no script in the data runs; the
data is JSON in which every character with a meaning in HTML is escaped.
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

from descentlab.lab.js_bundle import bundle_static, read_static
from descentlab.messages import LANGUAGES, current_language, load_catalog, message

# Characters that end a script or its line, that reverse text, and surrogates, which UTF-8 cannot encode.
UNSAFE_IN_SCRIPT = re.compile("[<>&\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
LINE_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)[ \t]*$", re.MULTILINE | re.DOTALL)
MAX_TITLE_LENGTH = 80


@dataclass(frozen=True)
class PageTemplate:
    """The script and style of a page: an entry module and style sheets of ``static/``, compressed once."""

    entry: str = "standalone.js"
    stylesheets: tuple[str, ...] = ("lab.css",)

    @cached_property
    def program(self) -> str:
        """The page's script, which :func:`unpack_script` unpacks and starts."""
        return strip_comments(f"(() => {{\n{bundle_static(self.entry)}}})();")

    @cached_property
    def style(self) -> str:
        """The page's style."""
        return strip_comments("\n".join(map(read_static, self.stylesheets)))

    @cached_property
    def packed_content(self) -> str:
        """Style, messages and script, deflated, in base64."""
        content = json.dumps([self.style, safe_json(lab_messages()), self.program], ensure_ascii=False)
        return b64encode(compress(content.encode(), 9)).decode()

    def policy(self, served: bool) -> str:
        """The page's Content-Security-Policy."""
        rules = {
            "default-src": "'none'",
            "script-src": f"{_csp_hash(unpack_script())} {_csp_hash(self.program)}",
            "style-src": _csp_hash(self.style),
            "img-src": "data: blob:",
            "connect-src": "'self'" if served else "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
        }
        return "; ".join(f"{name} {value}" for name, value in rules.items())

    def render(self, title: str, body: str, data: Mapping[str, Any], lang: str, served: bool = False) -> str:
        """A whole page.

        Args:
            title: as text.
            body: as HTML that is safe as it is.
            data: what the script finds, by name: ``descentlab-<name>`` is the element that holds it.
            lang: the language it opens in.
            served: whether a server is behind it that takes files: the page may then talk to that server alone.
        """
        data_elements = "".join(
            f'<script type="application/json" id="descentlab-{name}">{safe_json(content)}</script>\n'
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
{data_elements}<script type="text/plain" id="descentlab-packed">{self.packed_content}</script>
<script>{unpack_script()}</script>
</body>
</html>
"""


LAB_PAGE = PageTemplate()


def render_lab_page(spec: Mapping[str, Any], lang: str | None = None, served: bool = False) -> str:
    """The lab's page.

    Args:
        spec: the result of :func:`descentlab.lab.spec.make_spec`.
        lang: the language it opens in; the other is in it as well.
        served: whether a server is behind it.
    """
    lang = lang or current_language()
    body = f'<div id="descentlab"><noscript>{_noscript_html(spec, lang)}</noscript></div>'
    return LAB_PAGE.render(_page_title(spec, lang), body, {"spec": spec}, lang, served)


def safe_json(content: Any) -> str:
    r"""JSON that is safe inside a script element: characters with a meaning in HTML are escaped.

    >>> safe_json({"name": "</script>", "value": 0.5})
    '{"name":"\\u003c/script\\u003e","value":0.5}'
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return UNSAFE_IN_SCRIPT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def lab_messages() -> dict[str, dict[str, str]]:
    """The lab's messages in each language, by key."""
    return {
        lang: {key: text for key, text in load_catalog(lang).items() if key.startswith("lab.")} for lang in LANGUAGES
    }


@cache
def unpack_script() -> str:
    """The script that the page contains uncompressed."""
    return strip_comments(read_static("unpack.js"))


def strip_comments(text: str) -> str:
    """A script or style sheet without its comment lines and indentation."""
    return "\n".join(line.strip() for line in LINE_COMMENT.sub("", text).split("\n") if line.strip())


@cache
def _csp_hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _page_title(spec: Mapping[str, Any], lang: str) -> str:
    name = CONTROL_CHARACTERS.sub(" ", spec["name"]).strip()[:MAX_TITLE_LENGTH]
    title = message("lab.title").text(lang)
    return f"{name} - {title}" if name else title


def _noscript_html(spec: Mapping[str, Any], lang: str) -> str:
    """The page without scripts: why it is empty, and the findings if there are any."""
    report = spec["report"] or {"findings": {lang: []}, "answer": {lang: []}}
    answer = [block["text"] for block in report["answer"][lang] if block["kind"] != "table"]
    findings = [finding["text"] for finding in report["findings"][lang]]
    texts = [message("lab.without_script").text(lang), *answer, *findings]
    return "".join(f"<p>{escape(CONTROL_CHARACTERS.sub(' ', text))}</p>" for text in texts)
