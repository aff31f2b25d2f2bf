"""One file: modules joined, nothing of the data ever markup, nothing asked of the network."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zlib import decompress

import pytest
from py_mini_racer import MiniRacer

import descentlab as dl
from descentlab.lab.csv_words import CSV_WORDS_PATH
from descentlab.lab.js_bundle import bundle, bundle_static
from descentlab.lab.page import LAB_PAGE, lab_messages, render_lab_page, safe_json, strip_comments
from descentlab.messages import LANGUAGES, load_catalog
from tests.browsing import Watched

STATIC = Path(__file__).parents[2] / "src" / "descentlab" / "lab" / "static"
HOSTILE = [
    "</script><script>hacked = 1</script>",
    "<img src=x onerror='hacked = 1'>",
    "<!-- <script>",
    "]]> &amp; &lt;",
    "\u202egnol\u200f \u2066x\u2069",
    "n" * 10_000,
    "\"'`${hacked = 1}",
    "\\u003c \\",
    "a\x00b\x07\x1b[31m",
    "\u2028hacked = 1\u2029",
    "half \ud800 of a letter",
    "이름 é 🙂",
    "__proto__",
]


def hostile() -> dict[str, Any]:
    """A spec whose every text is hostile."""
    n = len(HOSTILE)
    rows = [[float((i * j) % 7 + i) for j in range(n)] for i in range(1, n + 3)]
    problem = dl.Problem(rows, [row[0] + 1 for row in rows], features=HOSTILE, target="</style><b>y")
    spec: dict[str, Any] = dl.diagnose(problem, lr=1e-4).lab("".join(HOSTILE)).spec  # type: ignore[union-attr]
    return spec


class Seen(HTMLParser):
    """What a browser's parser would take for markup."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.within: list[str] = []
        self.texts: dict[str, str] = {}
        self.comments: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            name = dict(attrs).get("id") or (tag if tag != "script" else "program")
            self.within.append(name)

    def handle_endtag(self, tag: str) -> None:
        self.within.pop()

    def handle_data(self, data: str) -> None:
        if self.within:
            self.texts[self.within[-1]] = self.texts.get(self.within[-1], "") + data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def unpacked(seen: Seen) -> list[str]:
    """Style, sentences and script as the page holds them."""
    found: list[str] = json.loads(decompress(b64decode(seen.texts["descentlab-packed"])))
    return found


def run(modules: dict[str, str], entry: str = "main.js") -> Any:
    """What the joined modules export by default, under V8."""
    return MiniRacer().eval(f"(() => {{ {bundle(entry, modules.__getitem__)} return $entry.default; }})()")


def test_modules_keep_their_private_names_apart() -> None:
    modules = {
        "main.js": (
            'import { a } from "./parts/a.js";\nimport b from "./b.js";\n'
            "const own = 100;\nexport default a() + b + own;"
        ),
        "parts/a.js": 'import { shared as mine } from "../b.js";\nconst own = 1;\nexport const a = () => own + mine;',
        "b.js": "const own = 10;\nexport { own as shared };\nexport default own;",
    }
    assert run(modules) == 121


def test_every_form_of_import_and_export_that_is_used() -> None:
    modules = {
        "main.js": (
            'import * as all from "./m.js";\nimport whole from "./m.js";\n'
            'import {\n  one,\n  Two as Deux,\n} from "./m.js";\n'
            "export default [one, new Deux().n, all.three(), all.four, whole.five, typeof all.six, all.eight].join();"
        ),
        "m.js": (
            "export const one = 1;\nexport class Two { n = 2 }\nexport function three() { return 3; }\n"
            "const hidden = 4;\nexport { hidden as four };\nexport async function six() {}\n"
            'export { seven as eight } from "./n.js";\n'
            "export default { five: 5 }; // a comment at the end"
        ),
        "n.js": "export const seven = 7;",
    }
    assert run(modules) == "1,2,3,4,5,function,7"


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"main.js": 'import { a } from "./a.js";', "a.js": "export const b = 1;"}, "does not export a"),
        ({"main.js": 'import { a } from "./a.js";', "a.js": 'import { b } from "./main.js";'}, "circle"),
        ({"main.js": 'export { a } from "./a.js";', "a.js": ""}, "does not export a"),
        ({"main.js": "export let a = 1;"}, "cannot join 'export let a = 1;'"),
        ({"main.js": 'import "https://example.org/x.js";'}, "cannot join"),
        ({"main.js": 'export * from "./a.js";'}, "cannot join"),
        ({"main.js": 'const a = "</script>";'}, "end the page's script"),
        ({"main.js": "const a = `<!--`;"}, "end the page's script"),
    ],
)
def test_what_cannot_be_joined_is_refused(modules: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        bundle("main.js", modules.__getitem__)


def test_the_packages_own_modules_are_joined_once_and_parse() -> None:
    static = Path(dl.__file__).parent / "lab" / "static"
    code = bundle_static("standalone.js")
    for path in re.findall(r"^// (\S+\.js)$", code, re.MULTILINE):
        assert path == CSV_WORDS_PATH or (static / path).is_file()
    assert code.count("// app.js\n") == 1
    MiniRacer().eval(f"new Function({json.dumps(code)})")
    plain = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)  # types in comments are written import("...") as well
    assert not re.search(r"\beval\(|new Function|\bimport\(", plain)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_nothing_that_data_says_is_markup(lang: str) -> None:
    content = hostile()
    seen = Seen(render_lab_page(content, lang))
    tags = [tag for tag, _ in seen.tags]
    assert [tag for tag in tags if tag != "p"] == [
        "html", "head", "meta", "meta", "meta", "meta", "title", "link", "body", "div", "noscript",
        "script", "script", "script",
    ]  # fmt: skip
    answer = [block for block in content["report"]["answer"][lang] if block["kind"] != "table"]
    assert tags.count("p") == 1 + len(answer) + len(content["report"]["findings"][lang])
    assert not seen.comments
    assert not [name for _, attrs in seen.tags for name in attrs if name.startswith("on") or name == "style"]
    assert json.loads(seen.texts["descentlab-spec"]) == content
    assert not set("<>&\u2028\u2029\u202e\x00") & set(seen.texts["descentlab-spec"])
    assert len(seen.texts["title"]) < 200
    render_lab_page(content, lang).encode()


def test_what_is_bare_is_the_same_program() -> None:
    """Comments and indentation go, and nothing else: no string or template of ours has lines of its own."""
    for path in STATIC.rglob("*.js"):
        text = path.read_text("utf-8")
        assert all(line.count("`") % 2 == 0 for line in text.splitlines()), path
    assert strip_comments("/** What\n * it is. */\n  const a = 1; // kept\n  // gone\n\nconst b = 'x  y';") == (
        "const a = 1; // kept\nconst b = 'x  y';"
    )


def test_text_around_json_stays_json() -> None:
    for text in HOSTILE:
        assert json.loads(safe_json({text: [text, 0.1 + 0.2]})) == {text: [text, 0.1 + 0.2]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        safe_json(float("nan"))


@pytest.mark.parametrize("served", [False, True])
def test_the_policy_allows_this_script_and_this_style_alone(served: bool) -> None:
    seen = Seen(render_lab_page(hostile(), "en", served))
    [given] = [attrs["content"] for _, attrs in seen.tags if attrs.get("http-equiv")]
    assert given == LAB_PAGE.policy(served)
    rules = dict(rule.split(" ", 1) for rule in LAB_PAGE.policy(served).split("; "))
    look, _, script = unpacked(seen)
    for rule, texts in (("script-src", [seen.texts["program"], script]), ("style-src", [look])):
        hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[rule] == " ".join(f"'sha256-{each}'" for each in hashes)
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == ("'self'" if served else "'none'")
    assert "unsafe" not in LAB_PAGE.policy(served)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_its_language_and_has_both(lang: str) -> None:
    text = render_lab_page(dl.Problem([1, 2], [1, 2]).lab(name="my data").spec, lang)
    seen = Seen(text)
    assert dict(seen.tags)["html"] == {"lang": lang, "data-served": "false"}
    assert seen.texts["title"] == f"my data - {load_catalog(lang)['lab.title']}"
    held = json.loads(unpacked(seen)[1])
    assert held == lab_messages()
    assert held["ko"].keys() == held["en"].keys()
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [a for _, a in seen.tags]
    assert seen.texts["p"] == load_catalog(lang)["lab.without_script"]


def test_a_hostile_page_opens_from_a_file_without_the_network(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_lab_page(hostile()), "utf-8")
    watched.context.set_offline(True)
    watched.page.goto(path.as_uri())
    watched.page.wait_for_timeout(300)
    assert watched.page.evaluate("document.getElementById('descentlab').innerText.length") > 0
    assert watched.page.evaluate("typeof hacked") == "undefined"
    assert watched.page.evaluate("document.querySelectorAll('img, b, iframe').length") == 0
    assert watched.page.evaluate("document.scripts.length") == 5  # three, and two that were packed
    assert [each for each in watched.requests if not each.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert watched.complaints == []


def test_the_policy_holds_in_a_browser(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_lab_page(dl.Problem([1, 2], [1, 2]).lab().spec), "utf-8")
    watched.page.goto(path.as_uri())
    watched.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'hacked = 1'; document.body.append(s);"
        " const d = document.createElement('div'); d.innerHTML = '<img src=x onerror=\"hacked = 1\">';"
        " document.body.append(d); }"
    )
    asked = watched.page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')")
    watched.page.wait_for_timeout(100)
    assert asked == "refused"
    assert watched.page.evaluate("typeof hacked") == "undefined"
    assert any("Content Security Policy" in complaint for complaint in watched.complaints)


def test_the_program_is_strict_and_leaves_no_name_behind() -> None:
    assert LAB_PAGE.program.startswith("(() => {")
    assert LAB_PAGE.program.endswith("})();")
