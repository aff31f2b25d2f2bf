"""The served lab: the page on this machine, which accepts CSV files.

The server listens on 127.0.0.1 only, every path begins with a secret, and a request must name this host and have this
page or none as its origin. Each connection has a thread; their number is limited, and slow clients are closed first.
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
from descentlab.lab.page import LAB_PAGE, render_lab_page
from descentlab.lab.server.connections import READ_TIMEOUT, BoundedServer, DeadlineReader
from descentlab.lab.server.upload import (
    BYTES_PER_MEGABYTE,
    MAX_UPLOAD_BYTES,
    UPLOAD_CHUNK_BYTES,
    display_name,
    spec_from_csv,
    spool_to_file,
)
from descentlab.messages import LANGUAGES, Message, current_language, message

LOCAL_HOSTS = ("127.0.0.1", "localhost")
MAX_UPLOADS = 4  # at a time; the others wait
MAX_QUERY_FIELDS = 1000  # of a query
MAX_LENGTH_DIGITS = 15  # of a length that is worth reading as a number
BODY_TIMEOUT, DRAIN_TIMEOUT = 60.0, 2.0  # seconds: for a body, and for what comes after a refusal
RESPONSE_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Site(Protocol):
    """The pages of a server and the posts that it accepts, by the path after the secret."""

    def page(self, path: str) -> tuple[str, str] | None:
        """A page as HTML, and its policy; None where there is none."""

    def post(self, path: str, query: Mapping[str, list[str]]) -> Message | bool:
        """Accept a page's post; returns a message if that failed, and False if this path accepts none."""


class LabSite:
    """The lab's page alone."""

    def __init__(self, spec: Mapping[str, Any], lang: str) -> None:
        self.html = render_lab_page(spec, lang, served=True)

    def page(self, path: str) -> tuple[str, str] | None:
        return None if path else (self.html, LAB_PAGE.policy(served=True))

    def post(self, path: str, query: Mapping[str, list[str]]) -> Message | bool:
        return False


class LabServer(BoundedServer):
    """A server for the page of one spec, and for the specs of uploaded files.

    Attributes:
        url: the address of the page, with the token.
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
            spec: the result of :func:`descentlab.lab.spec.make_spec`.
            port: 0 is any that is free.
            lang: the language that the page opens in.
            site: other pages in its place.
        """
        self.lang = lang or current_language()
        self.site = site or LabSite(spec, self.lang)
        self.token = secrets.token_urlsafe(24)
        self.upload_slots = threading.BoundedSemaphore(MAX_UPLOADS)
        super().__init__((LOCAL_HOSTS[0], port), LabRequestHandler)

    @property
    def url(self) -> str:
        return f"http://{LOCAL_HOSTS[0]}:{self.server_port}/{self.token}/"


class LabRequestHandler(BaseHTTPRequestHandler):
    """One request."""

    server: LabServer
    rbufsize = 0

    def setup(self) -> None:
        super().setup()
        self.deadline_reader = DeadlineReader(self.connection)
        self.rfile = io.BufferedReader(self.deadline_reader)

    def version_string(self) -> str:
        return "descentlab"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's own name)
        """Log nothing on the reader's terminal."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer requests that the base class refuses: 404 for an unknown method, else a bad request."""
        self._refuse(404, "lab_nowhere") if code == 501 else self._refuse(400, "lab_request")

    def parse_request(self) -> bool:
        is_complete: bool = super().parse_request()
        self.server.mark_request_read(self.request)
        if not self.requestline.split():  # the one request that the base class closes without an answer
            self.send_error(400)
        return is_complete

    def do_GET(self) -> None:
        """A page."""
        path = self._authorized_path()
        if path is None:
            return
        html_and_policy = self.server.site.page(path)
        if html_and_policy is None:
            self._refuse(404, "lab_nowhere")
        else:
            self._answer(200, "text/html", *html_and_policy)

    def do_POST(self) -> None:
        """Accept a CSV file as the body, or another post of the site; the page shows errors as text."""
        path = self._authorized_path()
        if path is None:
            return
        query = self._parse_query()
        if query is None:
            self._refuse(400, "lab_request")
        elif path == "data":
            self._receive_file(query)
        elif isinstance(outcome := self.server.site.post(path, query), Message):
            self._send_error_json(422, outcome.text(self._choose_language()))
        elif outcome:
            self._answer(200, "application/json", "{}")
        else:
            self._refuse(404, "lab_nowhere")

    def _parse_query(self) -> dict[str, list[str]] | None:
        try:
            return parse_qs(self.path.partition("?")[2], keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:  # more fields than any page asks with
            return None

    def _receive_file(self, query: Mapping[str, list[str]]) -> None:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._refuse(411, "lab_length")
        elif len(length) > MAX_LENGTH_DIGITS or int(length) > MAX_UPLOAD_BYTES:
            self._refuse(413, "lab_upload_large", most=MAX_UPLOAD_BYTES // BYTES_PER_MEGABYTE)
        else:
            self._read_upload(int(length), query)

    def _read_upload(self, length: int, query: Mapping[str, list[str]]) -> None:
        """The spec of the uploaded file."""
        if not self.server.upload_slots.acquire(timeout=BODY_TIMEOUT):
            self._refuse(503, "lab_busy")
            return
        self.deadline_reader.set_deadline(BODY_TIMEOUT)
        try:
            spec_or_error = _spec_or_error(self.rfile, length, query)
        finally:
            self.server.upload_slots.release()
        if isinstance(spec_or_error, Message):
            self._send_error_json(422, spec_or_error.text(self._choose_language()))
        else:
            self._answer(200, "application/json", json.dumps(spec_or_error, allow_nan=False))

    def _authorized_path(self) -> str | None:
        """The path after the token, if host and origin are allowed; else send an error and return None."""
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        allowed_hosts = [f"{name}:{self.server.server_port}" for name in LOCAL_HOSTS]
        if (
            len(hosts) != 1
            or hosts[0] not in allowed_hosts
            or any(origin != f"http://{hosts[0]}" for origin in origins)
        ):
            self._refuse(403, "lab_elsewhere")
            return None
        path, prefix = self.path.partition("?")[0], f"/{self.server.token}/"
        if not secrets.compare_digest(path[: len(prefix)].encode(), prefix.encode()):
            self._refuse(404, "lab_nowhere")
            return None
        return path[len(prefix) :]

    def _choose_language(self) -> str:
        """The language of the request, else the browser's, else the server's."""
        lang_match = re.search(r"[?&]lang=(\w+)", getattr(self, "path", ""))
        headers = getattr(self, "headers", None) or {}
        candidates = (lang_match[1] if lang_match else "", headers.get("Accept-Language", "")[:2].lower())
        return next((lang for lang in candidates if lang in LANGUAGES), self.server.lang)

    def _refuse(self, code: int, key: str, **values: object) -> None:
        self._send_error_json(code, Message(f"error.{key}", values).text(self._choose_language()))

    def _send_error_json(self, code: int, error: str) -> None:
        self.close_connection = True
        self._answer(code, "application/json", json.dumps({"error": error}, ensure_ascii=False))
        self._drain_request()

    def _answer(self, code: int, content_type: str, text: str, policy: str = "default-src 'none'") -> None:
        body = text.encode()
        self.request_version = "HTTP/1.0"  # whatever was asked in: an answer without a head could be taken for a page
        self.connection.settimeout(READ_TIMEOUT)
        self.send_response(code)
        for name, value in RESPONSE_HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", f"{policy}; frame-ancestors 'none'")
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drain_request(self) -> None:
        """Read the rest of a refused request, since closing at once would drop the answer."""
        self.server.mark_refused(self.request)
        with suppress(OSError, ValueError):
            self.connection.shutdown(socket.SHUT_WR)
            self.deadline_reader.set_deadline(DRAIN_TIMEOUT)
            while self.rfile.read(UPLOAD_CHUNK_BYTES):
                pass


def _spec_or_error(stream: io.BufferedIOBase, length: int, query: Mapping[str, list[str]]) -> dict[str, Any] | Message:
    """The spec of an upload, or an error that has the file's name as the reader knows it."""
    try:
        with spool_to_file(stream, length) as path:
            return spec_from_csv(path, query)
    except DescentlabError as error:
        return Message(error.message.key, {**error.message.values, "path": display_name(query)})
    except MemoryError:
        return message("cli.memory")
    except TimeoutError:  # too slow a sender gets no answer
        raise
    except OSError as cause:  # no room to keep it in
        return message("error.unwritable", path=display_name(query), cause=cause.strerror or str(cause))


def serve_until_interrupted(server: LabServer) -> None:
    """Answer until interrupted."""
    with server, suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.1)
