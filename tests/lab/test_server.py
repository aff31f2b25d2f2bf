"""The served lab over real sockets: the page for its owner, a sentence for everyone else, and never a traceback."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import descentlab as dl
from descentlab.lab.page import LAB_PAGE, render_lab_page
from descentlab.lab.server import connections, handler, upload
from descentlab.lab.server.connections import MAX_CONNECTIONS
from descentlab.lab.server.handler import LabServer
from descentlab.lab.spec import make_spec
from descentlab.messages import Message
from tests.browsing import Watched

SPEC = dl.Problem([1, 2, 3], [1, 2, 3], bias=False).lab(lr=0.01, name="lesson").spec
CSV = b"size,rooms,city,price\n50,2,Seoul,155\n80,3,Busan,230\n120,4,Seoul,333\n65,2,Jeju,190\n"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def error(self) -> str:
        error: str = json.loads(self.text)["error"]
        return error


@pytest.fixture
def lab() -> Iterator[LabServer]:
    server = LabServer(SPEC, lang="en")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)
    assert not thread.is_alive()


def ask(lab: LabServer, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """One request by a well-behaved client."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.server_port, timeout=30)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.getheaders()), response.read().decode())
    connection.close()
    return answer


def raw(lab: LabServer, sent: bytes) -> bytes:
    """What comes back to these very bytes."""
    with socket.create_connection(("127.0.0.1", lab.server_port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def posted(lab: LabServer, body: bytes, query: str = "", **headers: str) -> Answer:
    return ask(lab, "POST", f"/{lab.token}/data{query}", body, **headers)


def test_the_page_is_at_its_secret_address(lab: LabServer) -> None:
    answer = ask(lab, "GET", f"/{lab.token}/")
    assert answer.status == 200
    assert answer.text == render_lab_page(SPEC, "en", served=True)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == f"{LAB_PAGE.policy(served=True)}; frame-ancestors 'none'"
    assert len(lab.token) >= 32
    assert lab.url == f"http://127.0.0.1:{lab.server_port}/{lab.token}/"


def test_it_listens_on_this_machine_alone(lab: LabServer) -> None:
    assert lab.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["page", "nowhere"])
def test_every_answer_has_the_headers_that_protect_it(lab: LabServer, path: str) -> None:
    headers = ask(lab, "GET", f"/{lab.token}/" if path == "page" else "/nowhere").headers
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Server": "descentlab",
    }.items():
        assert headers[name] == value
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path",
    [
        "/", "", "/index.html", "/WRONG/", "/{token}", "/{token}x/", "/{token}/data", "/{token}/../", "/{token}//",
        "/{token}/../../../../etc/passwd", "/{token}/%2e%2e/%2e%2e/etc/passwd", "/{token}/..\\..\\etc\\passwd",
        "/{token}/static/app.js", "/{token}/app.js", "//evil.example/{token}/", "http://127.0.0.1/{token}/",
        "/{token}/\x00", "/{token}/%00", "/[", "*", "/{token}/é",
    ],
)  # fmt: skip
def test_everything_else_is_nowhere(lab: LabServer, path: str) -> None:
    target = path.format(token=lab.token).encode("latin-1")
    host = f"Host: 127.0.0.1:{lab.server_port}\r\n\r\n".encode()
    answer = raw(lab, b"GET " + target + b" HTTP/1.1\r\n" + host)
    assert int(answer.split(b" ")[1]) in (400, 404)
    assert b"root:" not in answer
    assert b"lesson" not in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "POST"])
def test_other_methods_find_nothing(lab: LabServer, method: str) -> None:
    assert ask(lab, method, f"/{lab.token}/").status == 404


@pytest.mark.parametrize("where", ["", "data"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "[::1]:{port}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},  # the host asked is 127.0.0.1
    ],
)
def test_foreign_hosts_and_origins_are_refused(lab: LabServer, headers: dict[str, str], where: str) -> None:
    method = "POST" if where else "GET"
    filled = {name: value.format(port=lab.server_port) for name, value in headers.items()}
    answer = ask(lab, method, f"/{lab.token}/{where}", CSV if where else None, **filled)
    assert answer.status == 403
    assert "its own page on this machine" in answer.error


def test_its_own_names_and_its_own_origin_are_welcome(lab: LabServer) -> None:
    for host in (f"127.0.0.1:{lab.server_port}", f"localhost:{lab.server_port}"):
        assert ask(lab, "GET", f"/{lab.token}/", Host=host, Origin=f"http://{host}").status == 200


def test_no_host_and_two_hosts_are_refused(lab: LabServer) -> None:
    line, host = f"GET /{lab.token}/ HTTP/1.1\r\n", f"Host: 127.0.0.1:{lab.server_port}\r\n"
    assert raw(lab, f"{line}\r\n".encode()).startswith(b"HTTP/1.0 403")
    assert raw(lab, f"{line}{host}{host}\r\n".encode()).startswith(b"HTTP/1.0 403")


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"\xff" * 100, b"",
    ],
)  # fmt: skip
def test_what_is_no_request_gets_a_sentence(lab: LabServer, sent: bytes) -> None:
    answer = raw(lab, sent)
    assert b"Traceback" not in answer
    assert bool(answer) == bool(sent)
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert int(head.split(b" ")[1]) in (400, 403, 404)
        assert json.loads(body)["error"]
    assert ask(lab, "GET", f"/{lab.token}/").status == 200


def test_a_file_comes_back_as_a_spec(lab: LabServer, tmp_path: Path) -> None:
    path = tmp_path / "houses.csv"
    path.write_bytes(CSV)
    answer = posted(lab, CSV, "?name=houses.csv&target=price", Origin=f"http://127.0.0.1:{lab.server_port}")
    assert answer.status == 200, answer.text
    assert json.loads(answer.text) == make_spec(dl.Problem(path, target="price"), name="houses.csv")
    last = json.loads(posted(lab, CSV).text)
    assert last["columns"] == ["size", "rooms", "price"]


@pytest.mark.parametrize("query", ["features=rooms,size", "features=rooms&features=size"])
def test_columns_can_be_chosen(lab: LabServer, query: str) -> None:
    found = json.loads(posted(lab, CSV, f"?target=price&{query}").text)
    assert found["columns"] == ["rooms", "size", "price"]
    one = json.loads(posted(lab, b'"a,b",c\n1,2\n2,3\n', "?target=c&features=a%2Cb").text)
    assert one["columns"] == ["a,b", "c"]


def test_values_that_lack_are_named_or_left_out_as_asked(lab: LabServer) -> None:
    gaps = b"x,y\n1,2\n,3\n3,6\n"
    refused = posted(lab, gaps, "?name=gaps.csv")
    assert refused.status == 422
    assert "`x`: 1" in refused.error
    assert json.loads(posted(lab, gaps, "?missing=drop").text)["rows"] == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"x,y\n", "no rows"),
        (b"x,y\n1,2\n3\n", "line 3 has 1 cell, but"),
        (b"x,y\n\x00\x01\x02,3\n", "zero bytes"),
        (b"x,y\na,b\nc,d\n", "No column is numeric"),
        (b"x\n1\n2\n", "No numeric column except the target"),
        (b"x,x\n1,2\n", "more than once"),
        (b"1,2\n3,4\n", "may be a row"),
        (b'x,y\n"1,2\n', "quote"),
        (b"x,y\n1,inf\n2,3\n", "infinite"),
        (b"x,y\n1,1e200\n2,3\n", "cannot be squared"),
        (b"a,b\n\xff\xff\xff,1\n", "encoding"),
        (b"PAR1" + b"\x00" * 100, "opens CSV files only"),
        (b"ARROW1\x00\x00" + b"\x00" * 100, "opens CSV files only"),
        (b"," * 20_000 + b"\n1\n", "columns"),
        (",".join(f"x{i}" for i in range(200)).encode() + b"\n" + b",".join([b"1"] * 200) + b"\n", "200 columns"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(lab: LabServer, body: bytes, words: str, tmp_path: Path) -> None:
    answer = posted(lab, body, "?name=mine.csv")
    assert answer.status == 422
    assert words in answer.error
    assert "descentlab-" not in answer.error  # where it was kept is nobody's business
    assert str(tmp_path.parent) not in answer.error
    assert posted(lab, CSV).status == 200


def test_errors_are_in_the_askers_language(lab: LabServer) -> None:
    assert posted(lab, b"", "?lang=ko&name=a").error == Message("error.empty_file", {"path": "a"}).text("ko")
    assert ask(lab, "GET", "/", **{"Accept-Language": "ko-KR,ko;q=0.9"}).error.startswith("이 주소에는")
    assert ask(lab, "GET", "/", **{"Accept-Language": "de"}).error.startswith("There is nothing at this address")


def test_no_path_of_a_request_is_opened(lab: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there.csv"
    there.write_bytes(b"secret,y\n1,2\n2,3\n")
    monkeypatch.chdir(tmp_path)
    for name in (str(there), "there.csv", "../there.csv", "file:///etc/passwd"):
        found = json.loads(posted(lab, CSV, f"?name={name}&target=price").text)
        assert found["columns"] == ["size", "rooms", "price"]
        assert found["name"] == name
    assert there.read_bytes() == b"secret,y\n1,2\n2,3\n"
    assert os.listdir(tmp_path) == ["there.csv"]  # noqa: PTH208


def test_files_are_gone_when_they_were_read(lab: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    posted(lab, CSV)
    posted(lab, b"x,y\n1\n")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(lab: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(upload, "TemporaryDirectory", full)
    assert posted(lab, CSV, "?name=a.csv").error == "a.csv cannot be written: No space left on device"
    monkeypatch.undo()
    assert posted(lab, CSV).status == 200


def head(lab: LabServer, *lines: str) -> bytes:
    first = [f"POST /{lab.token}/data HTTP/1.1", f"Host: 127.0.0.1:{lab.server_port}", *lines]
    return ("\r\n".join(first) + "\r\n\r\n").encode()


@pytest.mark.parametrize("length", [str(10**9), str(50 * 10**6 + 1), "9" * 5000])
def test_a_file_that_is_too_large_is_refused_unread(lab: LabServer, length: str) -> None:
    with socket.create_connection(("127.0.0.1", lab.server_port), timeout=30) as connection:
        connection.sendall(head(lab, f"Content-Length: {length}"))  # and nothing of the file: the answer comes first
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.0 413")
    assert b"larger than 50 MB" in answer


def test_who_is_already_sending_still_reads_why(lab: LabServer) -> None:
    with socket.create_connection(("127.0.0.1", lab.server_port), timeout=30) as connection:
        connection.sendall(head(lab, f"Content-Length: {10**9}") + b"1,2\n" * 5_000_000)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"larger than 50 MB" in answer


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 411),
        (["Content-Length: -1"], 411),
        (["Content-Length: +5"], 411),
        (["Content-Length: 5x"], 411),
        (["Content-Length: ٣"], 411),
        (["Transfer-Encoding: chunked"], 411),
        (["Content-Length: 4", "Transfer-Encoding: chunked"], 411),
    ],
)
def test_a_body_of_unknown_length_is_refused(lab: LabServer, lines: list[str], status: int) -> None:
    assert raw(lab, head(lab, *lines) + b"4\r\nx,y\n\r\n0\r\n\r\n").startswith(f"HTTP/1.0 {status}".encode())


def test_a_body_that_ends_early_is_said(lab: LabServer) -> None:
    assert b"Only 4 of the 1,000 bytes" in raw(lab, head(lab, "Content-Length: 1000") + b"x,y\n")


def test_more_questions_than_any_page_asks_are_no_request(lab: LabServer) -> None:
    assert posted(lab, CSV, "?" + "&".join(["features=a"] * 2000)).status == 400


def test_ten_files_at_once(lab: LabServer) -> None:
    rng = np.random.default_rng(0)
    bodies = []
    for i in range(10):
        table = np.column_stack([np.full(2000, float(i)) + np.arange(2000), rng.normal(size=2000)])
        bodies.append(b"x,y\n" + "".join(f"{x!r},{y!r}\n" for x, y in table.tolist()).encode())
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda body: posted(lab, body), bodies))
    for i, answer in enumerate(answers):
        assert json.loads(answer.text)["means"][0] == pytest.approx(i + 999.5)


@pytest.mark.parametrize("count", [20, 3 * MAX_CONNECTIONS])
def test_slow_clients_shut_nobody_out(lab: LabServer, count: int) -> None:
    slow = [socket.create_connection(("127.0.0.1", lab.server_port), timeout=30) for _ in range(count)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nX-a: ")
    threads = threading.active_count()
    assert ask(lab, "GET", f"/{lab.token}/").status == 200
    assert posted(lab, CSV).status == 200
    assert threads <= MAX_CONNECTIONS + 10
    for connection in slow:
        connection.close()


def test_refused_clients_that_linger_shut_nobody_out(lab: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the secret, a client is refused, and then neither sends nor closes."""
    monkeypatch.setattr(handler, "DRAIN_TIMEOUT", 60.0)
    lingering = [socket.create_connection(("127.0.0.1", lab.server_port), timeout=30) for _ in range(MAX_CONNECTIONS)]
    for connection in lingering:
        connection.sendall(b"GET /no-secret/ HTTP/1.1\r\nHost: x\r\n\r\n")
    for connection in lingering:
        assert connection.recv(65536).startswith(b"HTTP/1.0 403")
    with lab._changed:
        assert lab._changed.wait_for(lambda: len(lab._refused) == MAX_CONNECTIONS, timeout=30)
    assert ask(lab, "GET", f"/{lab.token}/").status == 200
    with lab._changed:
        assert len(lab._refused) == MAX_CONNECTIONS - 1  # one of them gave way, at once
    for connection in lingering:
        connection.close()


@pytest.mark.slow
def test_every_one_of_many_uploads_is_answered(lab: LabServer) -> None:
    body = b"x,y\n" + b"".join(b"%d,%d\n" % (i, i % 7) for i in range(30_000))
    with ThreadPoolExecutor(2 * MAX_CONNECTIONS) as pool:
        statuses = list(pool.map(lambda _: posted(lab, body).status, range(2 * MAX_CONNECTIONS)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= MAX_CONNECTIONS


def test_slow_clients_are_dropped(lab: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT", 0.5)
    with socket.create_connection(("127.0.0.1", lab.server_port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        ended = False
        for _ in range(600):  # a letter at a time never outlasts the whole request's time
            time.sleep(0.05)
            try:
                connection.sendall(b"X")
                connection.settimeout(0.001)
                ended = connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended
    assert ask(lab, "GET", f"/{lab.token}/").status == 200


def test_slow_senders_are_dropped(lab: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_TIMEOUT", 0.2)
    with socket.create_connection(("127.0.0.1", lab.server_port), timeout=30) as connection:
        connection.sendall(head(lab, "Content-Length: 100") + b"x,y\n")
        assert connection.recv(65536) == b""
    assert posted(lab, CSV).status == 200


def test_clients_that_go_away_are_no_news(lab: LabServer, capfd: pytest.CaptureFixture[str]) -> None:
    for sent in (b"", b"GET", head(lab, "Content-Length: 100") + b"x"):
        connection = socket.create_connection(("127.0.0.1", lab.server_port))
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()
    assert ask(lab, "GET", f"/{lab.token}/").status == 200
    assert capfd.readouterr() == ("", "")


def test_every_request_has_its_own_token() -> None:
    servers = [LabServer(SPEC) for _ in range(3)]
    assert len({server.token for server in servers}) == 3
    for server in servers:
        server.server_close()


def test_the_page_takes_a_file_in_a_browser(lab: LabServer, watched: Watched) -> None:
    watched.page.goto(lab.url)
    watched.page.wait_for_timeout(300)
    assert watched.complaints == []
    found = watched.page.evaluate(
        "fetch('data?name=a.csv', { method: 'POST', body: 'x,y\\n1,2\\n2,5\\n' }).then(answer => answer.json())"
    )
    assert found["columns"] == ["x", "y"]
    assert {each for each in watched.requests if not each.startswith("data:")} == {
        lab.url,
        f"{lab.url}data?name=a.csv",
    }
    watched.page.goto(f"{lab.url}nowhere")
    assert "There is nothing at this address" in watched.page.content()


def test_another_pages_script_cannot_reach_it(lab: LabServer, watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "evil.html"
    path.write_text("<!doctype html><title>evil</title>")
    watched.page.goto(path.as_uri())
    done = watched.page.evaluate(
        "url => fetch(url + 'data', { method: 'POST', mode: 'no-cors', body: 'x,y\\n1,2\\n' })"
        ".then(answer => answer.type, () => 'refused')",
        lab.url,
    )
    assert done in ("refused", "opaque")
    assert watched.page.evaluate("url => fetch(url).then(() => 'read', () => 'refused')", lab.url) == "refused"
