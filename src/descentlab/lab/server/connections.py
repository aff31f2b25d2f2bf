"""Connections that cost little: each has a deadline, no more than so many are open, and slow ones make room."""

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
    """A connection's bytes, until a deadline: no read outlasts it, and none takes longer than ``READ_TIMEOUT``."""

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
    """A thread a connection, and no more than ``MAX_CONNECTIONS``."""

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
        """Without the base class's search for this machine's name, which may ask the network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own; where all are taken, the one that has been asking longest gives way."""
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
        """A request's head was read: its connection no longer gives way."""
        with self._lock:
            self._unread_requests.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
