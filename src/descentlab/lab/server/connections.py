"""Connections with deadlines: a limited number is open, and the slowest is closed for a new one."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

MAX_CONNECTIONS = 64
READ_GRACE = 0.2  # seconds for the head of a request, after which its connection may be closed for another client
READ_TIMEOUT, HEADER_TIMEOUT = 10.0, 10.0  # seconds: for one read, and for the head of a request


class DeadlineReader(io.RawIOBase):
    """The bytes of a connection until a deadline; no single read takes longer than ``READ_TIMEOUT``."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.set_deadline(HEADER_TIMEOUT)

    def set_deadline(self, seconds: float) -> None:
        """Begin a new deadline."""
        self.deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self.connection.settimeout(min(remaining, READ_TIMEOUT))
        return self.connection.recv_into(buffer)


class BoundedServer(ThreadingHTTPServer):
    """A server with one thread for each connection and at most ``MAX_CONNECTIONS`` of them.

    If all are taken, the next client takes the place of one that was refused and lingers, else of the one whose request
    has been incomplete longest; where there is neither, it waits.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        self._refused: dict[socket.socket, None] = {}  # connections that got their refusal, oldest first
        self._unread: dict[socket.socket, float] = {}  # when each connection without a whole request was accepted
        self._n_open = 0
        self._is_closing = False
        self._changed = threading.Condition()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Skip the base class's lookup of the host name, which may query the network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def shutdown(self) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        super().shutdown()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, as soon as there is room for one."""
        with self._changed:
            while self._n_open >= MAX_CONNECTIONS and not self._is_closing:
                oldest = self._expendable_connection()
                if oldest is not None:
                    self._refused.pop(oldest, None)
                    self._unread.pop(oldest, None)
                    with suppress(OSError):
                        oldest.shutdown(socket.SHUT_RDWR)
                    break
                self._changed.wait(READ_GRACE / 4)
            self._n_open += 1
            self._unread[request] = time.monotonic()
        super().process_request(request, client_address)

    def _expendable_connection(self) -> socket.socket | None:
        """The connection to close for another client, if there is one."""
        if self._refused:
            return next(iter(self._refused))
        oldest = next(iter(self._unread), None)
        return oldest if oldest is not None and time.monotonic() - self._unread[oldest] > READ_GRACE else None

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._unread.pop(request, None)
                self._refused.pop(request, None)
                self._n_open -= 1
                self._changed.notify_all()

    def mark_request_read(self, request: Any) -> None:
        """Protect a connection whose request head was read from being closed."""
        with self._changed:
            self._unread.pop(request, None)

    def mark_refused(self, request: Any) -> None:
        """Let a connection that has its refusal be the first to be closed for another client."""
        with self._changed:
            self._unread.pop(request, None)
            self._refused[request] = None
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""
