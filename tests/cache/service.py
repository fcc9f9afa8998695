"""Runs a cache in a process of its own, and asks it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.cli import command

WAIT = 30.0
"""Seconds after which something that should have happened has not."""


class Service:
    """A running ``flowkeep cache run``."""

    def __init__(self, folder: Path, *args: command.Argument, **rest: Any) -> None:
        """Start, and wait until it answers."""
        self.socket = folder / "cache.sock"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = command.start(
                "cache", "run", "--socket", self.socket, "--memory", "40MB", *args, **{"stderr": log, **rest}
            )
        until(self._answers, self.said)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.said()
        with contextlib.suppress(OSError), connected(self.socket):
            return "answers at" in self.said()
        return False

    def said(self) -> str:
        """What it told its operator."""
        return self.log.read_text()

    def status(self) -> dict[str, Any]:
        """Its status."""
        done = command.run("cache", "status", "--json", "--socket", self.socket)
        assert done.returncode == 0, command.said(done)
        status: dict[str, Any] = json.loads(done.stdout)
        return status

    def asked(self, **said: Any) -> dict[str, Any]:
        """The header of its answer to a request."""
        with connected(self.socket) as sock:
            sock.sendall(request(**said))
            return header(sock)

    def filled(self) -> Service:
        """Itself, once all captures are read."""

        def done() -> bool:
            inputs = self.asked(ask="status")["status"]["inputs"]
            return all(one["state"] == "done" for one in inputs)

        until(done, self.said)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; gives its exit status."""
        self.process.send_signal(number)
        return self.process.wait(WAIT)

    def __enter__(self) -> Service:
        """The service."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def until(done: Callable[[], bool], told: Callable[[], str] = str) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < end, f"it never happened: {told()}"
        select.select([], [], [], 0.02)


def connected(path: Path) -> socket.socket:
    """A connection to a Unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(os.fspath(path))
        sock.settimeout(WAIT)
    except BaseException:
        sock.close()
        raise
    return sock


def request(**said: Any) -> bytes:
    """A request line."""
    return json.dumps({"flowkeep_cache": 1, **said}).encode() + b"\n"


def line(sock: socket.socket) -> bytes:
    """One line, byte by byte, so that nothing behind it is taken."""
    read = b""
    while not read.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            break
        read += byte
    return read


def header(sock: socket.socket) -> dict[str, Any]:
    """The header of an answer."""
    text = line(sock)
    said: dict[str, Any] = json.loads(text)
    return said


def everything(sock: socket.socket) -> bytes:
    """All until the other end closes."""
    return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def frames(data: bytes) -> tuple[list[bytes], dict[str, Any]]:
    """The frames of an answer without its header, and the trailer."""
    found, at = [], 0
    while length := int.from_bytes(data[at : at + 4], "big"):
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found, json.loads(data[at + 4 :])


@contextlib.contextmanager
def running(folder: Path, *args: command.Argument, **rest: Any) -> Iterator[Service]:
    """A running service with all its captures read."""
    with Service(folder, *args, **rest) as service:
        yield service.filled()
