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

MAX_CONNECTIONS = 32
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
    """A server with one thread for each connection and at most ``MAX_CONNECTIONS`` of them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        self._unread_requests: dict[
            socket.socket, None
        ] = {}  # connections whose request has not been read yet, oldest first
        self._n_open = 0
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Skip the base class's lookup of the host name, which may query the network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; if all are taken, close the connection whose request has been incomplete longest."""
        with self._lock:
            full = self._n_open >= MAX_CONNECTIONS
            oldest = next(iter(self._unread_requests), None) if full else None
            if oldest is not None:
                del self._unread_requests[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            if not full or oldest is not None:
                self._n_open += 1
                self._unread_requests[request] = None
        if full and oldest is None:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._unread_requests.pop(request, None)
                self._n_open -= 1

    def mark_request_read(self, request: Any) -> None:
        """Protect a connection whose request head was read from being closed."""
        with self._lock:
            self._unread_requests.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""
