"""The served lab: the page on this machine alone, and a door through which it takes CSV files.

Only 127.0.0.1 is listened on, every path begins with a secret, and a request must name this host and come from this
page or from none. One thread a connection, and no more than so many; who is slow to ask makes room for who is not.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import parse_qs

from descentlab.errors import DescentlabError
from descentlab.lab.page import LAB, page
from descentlab.lab.server.connections import EACH_READ, BoundedServer, Timed
from descentlab.lab.server.upload import LARGEST, MEGABYTE, PIECE, name_of, spec_of, spooled
from descentlab.messages import LANGUAGES, Sentence, language, sentence

HOSTS = ("127.0.0.1", "localhost")
MOST_UPLOADS = 4  # at a time; the others wait
MOST_FIELDS = 1000  # of a query
DIGITS = 15  # of a length that is worth reading as a number
SENDING, LINGER = 60.0, 2.0  # seconds: for a body, and for what comes after a refusal
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Site(Protocol):
    """What a server shows and takes, by what follows the secret in a path."""

    def page(self, path: str) -> tuple[str, str] | None:
        """A page as HTML, and its policy; None where there is none."""

    def take(self, path: str, query: Mapping[str, list[str]]) -> Sentence | bool:
        """What a page tells; a sentence says why it could not be taken, False that nothing is taken there."""


class LabSite:
    """The lab's page alone."""

    def __init__(self, spec: Mapping[str, Any], lang: str) -> None:
        self.html = page(spec, lang, served=True)

    def page(self, path: str) -> tuple[str, str] | None:
        return None if path else (self.html, LAB.policy(served=True))

    def take(self, path: str, query: Mapping[str, list[str]]) -> Sentence | bool:
        return False


class LabServer(BoundedServer):
    """The page of one spec, and the specs of the files it is given.

    Attributes:
        url: where the page is; without the token in it nothing is.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        port: int = 0,
        lang: str | None = None,
        site: Site | None = None,
    ) -> None:
        """Listen.

        Args:
            spec: what :func:`descentlab.lab.spec.spec` made.
            port: 0 is any that is free.
            lang: the language that the page opens in.
            site: other pages in its place.
        """
        self.lang = lang or language()
        self.site = site or LabSite(spec, self.lang)
        self.token = secrets.token_urlsafe(24)
        self.taking = threading.BoundedSemaphore(MOST_UPLOADS)
        super().__init__((HOSTS[0], port), Handler)

    @property
    def url(self) -> str:
        return f"http://{HOSTS[0]}:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: LabServer
    rbufsize = 0

    def setup(self) -> None:
        super().setup()
        self.incoming = Timed(self.connection)
        self.rfile = io.BufferedReader(self.incoming)

    def version_string(self) -> str:
        return "descentlab"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's own name)
        """Say nothing: the terminal is the reader's."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses: an unknown method is nowhere, all else was no request."""
        self._refuse(404, "lab_nowhere") if code == 501 else self._refuse(400, "lab_request")

    def parse_request(self) -> bool:
        whole: bool = super().parse_request()
        self.server.asked(self.request)
        return whole

    def do_GET(self) -> None:
        """A page."""
        path = self._asked()
        if path is None:
            return
        found = self.server.site.page(path)
        if found is None:
            self._refuse(404, "lab_nowhere")
        else:
            self._answer(200, "text/html", *found)

    def do_POST(self) -> None:
        """A CSV file, which is the body, or what else the site takes; an error is in words, which the page shows."""
        path = self._asked()
        if path is None:
            return
        query = self._query()
        if query is None:
            self._refuse(400, "lab_request")
        elif path == "data":
            self._take_file(query)
        elif isinstance(taken := self.server.site.take(path, query), Sentence):
            self._tell(422, taken.text(self._language()))
        elif taken:
            self._answer(200, "application/json", "{}")
        else:
            self._refuse(404, "lab_nowhere")

    def _query(self) -> dict[str, list[str]] | None:
        try:
            return parse_qs(self.path.partition("?")[2], keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError:  # more fields than any page asks with
            return None

    def _take_file(self, query: Mapping[str, list[str]]) -> None:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._refuse(411, "lab_length")
        elif len(length) > DIGITS or int(length) > LARGEST:
            self._refuse(413, "lab_upload_large", most=LARGEST // MEGABYTE)
        else:
            self._read(int(length), query)

    def _read(self, length: int, query: Mapping[str, list[str]]) -> None:
        """The spec of the file that comes."""
        if not self.server.taking.acquire(timeout=SENDING):
            self._refuse(503, "lab_busy")
            return
        self.incoming.within(SENDING)
        try:
            found = _spec(self.rfile, length, query)
        finally:
            self.server.taking.release()
        if isinstance(found, Sentence):
            self._tell(422, found.text(self._language()))
        else:
            self._answer(200, "application/json", json.dumps(found, allow_nan=False))

    def _asked(self) -> str | None:
        """What is asked for, of this host and from this page or none; else it is refused, and None."""
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        own = [f"{name}:{self.server.server_port}" for name in HOSTS]
        if len(hosts) != 1 or hosts[0] not in own or any(origin != f"http://{hosts[0]}" for origin in origins):
            self._refuse(403, "lab_elsewhere")
            return None
        path, inside = self.path.partition("?")[0], f"/{self.server.token}/"
        if not secrets.compare_digest(path[: len(inside)].encode(), inside.encode()):
            self._refuse(404, "lab_nowhere")
            return None
        return path[len(inside) :]

    def _language(self) -> str:
        """The language that the page asks in, else the browser's, else the server's."""
        asked = re.search(r"[?&]lang=(\w+)", getattr(self, "path", ""))
        headers = getattr(self, "headers", None) or {}
        wanted = (asked[1] if asked else "", headers.get("Accept-Language", "")[:2].lower())
        return next((lang for lang in wanted if lang in LANGUAGES), self.server.lang)

    def _refuse(self, code: int, key: str, **values: object) -> None:
        self._tell(code, Sentence(f"error.{key}", values).text(self._language()))

    def _tell(self, code: int, error: str) -> None:
        self.close_connection = True
        self._answer(code, "application/json", json.dumps({"error": error}, ensure_ascii=False))
        self._drain()

    def _answer(self, code: int, kind: str, text: str, allowed: str = "default-src 'none'") -> None:
        body = text.encode()
        self.request_version = "HTTP/1.0"  # whatever was asked in: an answer without a head could be taken for a page
        self.connection.settimeout(EACH_READ)
        self.send_response(code)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", f"{allowed}; frame-ancestors 'none'")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drain(self) -> None:
        """Let a client that is still sending read why it was refused: closing on it at once would drop the answer."""
        with suppress(OSError, ValueError):
            self.connection.shutdown(socket.SHUT_WR)
            self.incoming.within(LINGER)
            while self.rfile.read(PIECE):
                pass


def _spec(stream: io.BufferedIOBase, length: int, query: Mapping[str, list[str]]) -> dict[str, Any] | Sentence:
    """The spec of what comes, or why there is none, in words that name the file as the reader knows it."""
    try:
        with spooled(stream, length) as path:
            return spec_of(path, query)
    except DescentlabError as error:
        return Sentence(error.sentence.key, {**error.sentence.values, "path": name_of(query)})
    except MemoryError:
        return sentence("cli.memory")
    except TimeoutError:  # too slow a sender gets no answer
        raise
    except OSError as cause:  # no room to keep it in
        return sentence("error.unwritable", path=name_of(query), cause=cause.strerror or str(cause))


def serve(server: LabServer) -> None:
    """Answer until interrupted."""
    with server, suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.1)
