"""A web server of one process that misbehaves as it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Web:
    """What the server has, and how it gives it."""

    files: dict[str, bytes] = field(default_factory=dict)
    port: int = 0
    ranges: bool = True
    """Whether it gives ranges."""
    length: bool = True
    """Whether it says how long a whole file is."""
    trips: dict[str, list[Any]] = field(default_factory=dict)
    """By path: what to do with the next requests for bytes that are not the head: a status, ``drop``, ``short``,
    ``long``, ``other``, ``changed``, or None for a good answer."""
    always: Any = None
    """The same for all of them."""
    redirect: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    """Answers to requests behind the head wait for it."""
    hold_head: bool = False
    """All answers wait for it."""
    total: int | None = None
    """What is said of the length, instead of the truth."""
    login: str | None = None
    """Basic credentials that are asked for."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of each request."""

    def url(self, name: str) -> str:
        """Of a file."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def ranges_of(self, name: str) -> list[tuple[int, int]]:
        """The ranges that were asked for."""
        found = [re.fullmatch(r"bytes=(\d+)-(\d+)", r) for path, r in self.asked if path == f"/{name}" and r]
        return [(int(m[1]), int(m[2]) + 1) for m in found if m]


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def plain(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def answer(self, *, body: bool) -> None:
            path, wanted = urlsplit(self.path).path, self.headers.get("Range")
            web.asked.append((path, wanted))
            if web.login is not None and self.headers.get("Authorization") != web.login:
                return self.plain(401)
            if path in web.redirect:
                return self.plain(302, Location=web.redirect[path])
            data = web.files.get(path.lstrip("/"))
            if data is None:
                return self.plain(404)
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
            if not web.ranges or span is None:
                return self.whole(data, body)
            begin, end = int(span[1]), min(int(span[2]) + 1, len(data))
            total = len(data) if web.total is None else web.total
            if begin >= len(data):
                return self.plain(416, **{"Content-Range": f"bytes */{total}"})
            trip = None
            if web.hold is not None and (begin or web.hold_head):
                web.hold.wait()
            if begin:
                trips = web.trips.get(path.lstrip("/"))
                trip = trips.pop(0) if trips else web.always
            if isinstance(trip, int):
                return self.plain(trip)
            part = data[begin:end]
            said = f"bytes {begin}-{end - 1}/{total}"
            if trip == "other":
                said = f"bytes {begin + 1}-{end}/{total}"
            self.send_response(206)
            self.send_header("Content-Range", said)
            self.send_header("ETag", '"2"' if trip == "changed" else '"1"')
            extra = 1000 if trip == "long" else 0
            given = len(part) // 2 if trip == "short" else len(part) + extra
            self.send_header("Content-Length", str(given))
            self.end_headers()
            if trip == "drop":
                self.wfile.write(part[: len(part) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
                return None
            return self.send(part[:given] + bytes(extra), body)

        def whole(self, data: bytes, body: bool) -> None:
            self.send_response(200)
            if web.length:
                self.send_header("Content-Length", str(len(data)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if web.always == "drop" and body:
                self.send(data[: len(data) // 2], body)
                self.close_connection = True
                self.connection.shutdown(2)
                return
            self.send(data, body)

        def send(self, data: bytes, body: bool) -> None:
            if body:
                try:
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

    return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Readers that leave are nothing to tell of."""


@contextmanager
def serving() -> Iterator[Web]:
    """A server on loopback."""
    web = Web()
    server = _Server(("127.0.0.1", 0), _handler(web))
    server.daemon_threads = True
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        if web.hold is not None:
            web.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
