"""Interfaces to send packets on, and what a cache holds afterwards."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flowkeep import _native

from ..wire.read import Record, read

ALL = [(10**18, -1)]
"""A curve that lets nothing go."""
ETH_P_ALL = 3


def ip(*words: str) -> str:
    """Run ip(8)."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


class Pair:
    """A veth pair that says nothing by itself."""

    def __enter__(self) -> Self:
        for which in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")
        self.add()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def add(self) -> None:
        """Make the two and take them up."""
        ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
        for name in ("va", "vb"):
            ip("link", "set", name, "up")
        self.ready()

    @staticmethod
    def ready() -> None:
        """Wait until the kernel sends on both; just after one goes up it drops what the other is given."""
        for name in ("va", "vb"):
            until(lambda name=name: "state UP" in ip("link", "show", name), name)  # type: ignore[misc]

    def remove(self) -> None:
        """Remove both, if they are there."""
        subprocess.run(["ip", "link", "del", "va"], check=False, capture_output=True)


@contextlib.contextmanager
def wire(interface: str) -> Iterator[Callable[[bytes], int]]:
    """Sends frames as they are."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        yield raw.send


def send(interface: str, frames: Sequence[bytes]) -> None:
    """Send frames as they are."""
    with wire(interface) as put:
        for frame in frames:
            put(frame)


def until(true: Callable[[], object], what: str = "it") -> None:
    """Wait for what comes in its own time; fail when it does not come at all."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come to be")
        time.sleep(0.005)


def cache(memory: int = 256 << 20) -> _native.Cache:
    """A cache that keeps all that fits."""
    return _native.Cache(memory, ALL)


@contextlib.contextmanager
def capturing(store: _native.Cache, **settings: Any) -> Iterator[_native.Capture]:
    """A capture that is started, and stopped at the end."""
    capture = _native.Capture(store, **settings)
    capture.start()
    try:
        yield capture
    finally:
        capture.stop()


def held(store: _native.Cache, **query: Any) -> tuple[list[Record], list[str]]:
    """The packets of a cache, in the order of time, and for each the name of its interface."""
    reader, out = store.reader(**query), bytearray()
    while not reader.ended:
        out += reader.read()
    capture = read(bytes(out))
    names = [_name(body) for kind, body in capture.others if kind == 1]
    return capture.records, [names[record.iface] for record in capture.records]


def _name(block: bytes) -> str:
    at = 8
    while at + 4 <= len(block):
        code, size = struct.unpack_from("<HH", block, at)
        if code == 2:
            return block[at + 4 : at + 4 + size].decode()
        at += 4 + (size + 3) // 4 * 4
    return ""


def only(capture: _native.Capture) -> Any:
    """The numbers of the only input."""
    [stats] = capture.stats()
    return stats


def numbered(count: int, size: int = 64, kind: int = 0x88B5) -> list[bytes]:
    """Frames of an Ethernet type for experiments, each with its number."""
    head = bytes.fromhex("020000000001 020000000002") + kind.to_bytes(2, "big")
    return [head + struct.pack(">I", i) + bytes([i % 251]) * (size - 18) for i in range(count)]
