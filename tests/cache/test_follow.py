"""Packets are read while others come in."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wire
from tests.cache.service import WAIT, Service, connected, everything, frames, header, request, until
from tests.cli import command
from tests.wire import MILLISECOND, START_NS

HEAD = wire.pcap([])
STATISTICS = b"\x05\0\0\0"
"""Type of the block at the end of a pcapng capture, as it stands there."""


def datagrams(first: int, n: int, size: int = 100) -> list[wire.Packet]:
    """Datagrams of 50 flows, each with its number."""
    return [
        wire.Packet(
            START_NS + k * MILLISECOND,
            wire.ether(
                wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(1000 + k % 50, 53, b"%08d" % k + bytes(size)))
            ),
        )
        for k in range(first, first + n)
    ]


def records(packets: list[wire.Packet]) -> bytes:
    """Packets as they stand in a capture, without its head."""
    return wire.pcap(packets)[len(HEAD) :]


class Fed(Service):
    """A service that is given packets as they come."""

    def __init__(self, folder: Path, *args: command.Argument) -> None:
        super().__init__(folder, "--read", "-", *args, stdin=subprocess.PIPE)
        self.fed = 0
        self.feed(HEAD)

    def feed(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def packets(self, packets: list[wire.Packet]) -> None:
        """Give it packets, and wait until it has them."""
        self.feed(records(packets))
        self.fed += len(packets)
        until(
            lambda: self.asked(ask="status")["status"]["cache"]["received"]["packets"] >= self.fed, self.said
        )

    def __exit__(self, *args: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        super().__exit__(*args)


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Fed]:
    with Fed(tmp_path) as service:
        yield service


def test_live_packets_follow_those_that_were_there(fed: Fed, tmp_path: Path) -> None:
    fed.packets(datagrams(0, 10))
    out = tmp_path / "out.pcapng"
    reading = command.start("cache", "read", "--socket", fed.socket, "--follow", "-o", out)
    until(lambda: fed.asked(ask="status")["status"]["clients"]["reading"] == 1)
    fed.packets(datagrams(10, 10))
    assert not out.exists()
    until(lambda: fed.asked(ask="status")["status"]["clients"]["sent_bytes"] > 20 * 150)
    reading.send_signal(signal.SIGINT)
    _, said = reading.communicate(timeout=WAIT)
    assert reading.returncode == 0, said
    assert b"20 packets" in said
    assert [r.data for r in wire.read(out.read_bytes()).records] == [p.data for p in datagrams(0, 20)]


def test_a_service_that_ends_brings_live_answers_to_their_end(fed: Fed, tmp_path: Path) -> None:
    fed.packets(datagrams(0, 10))
    reading = command.start("cache", "read", "--socket", fed.socket, "--follow", "-o", "-")
    until(lambda: fed.asked(ask="status")["status"]["clients"]["sent_bytes"] > 10 * 150)
    assert fed.stop() == 0
    out, said = reading.communicate(timeout=WAIT)
    assert reading.returncode == 0, said
    assert [r.data for r in wire.read(out).records] == [p.data for p in datagrams(0, 10)]


def test_what_came_before_the_service_was_killed_is_kept_and_said(fed: Fed, tmp_path: Path) -> None:
    fed.packets(datagrams(0, 10))
    out = tmp_path / "out.pcapng"
    reading = command.start("cache", "read", "--socket", fed.socket, "--follow", "-o", out)
    until(lambda: fed.asked(ask="status")["status"]["clients"]["sent_bytes"] > 10 * 150)
    fed.stop(signal.SIGKILL)
    _, said = reading.communicate(timeout=WAIT)
    assert reading.returncode == 1
    assert b"ended early" in said
    assert [r.data for r in wire.read(out.read_bytes()).records] == [p.data for p in datagrams(0, 10)]


def test_a_filter_and_flows_hold_for_live_packets(fed: Fed) -> None:
    fed.packets(datagrams(0, 50))
    with connected(fed.socket) as sock:
        sock.sendall(request(ask="read", follow=True, filter="udp src port 1007"))
        assert header(sock)["ok"] is True
        fed.packets(datagrams(50, 100))
        sock.sendall(b"\n")
        blocks, trailer = frames(b"".join(iter(lambda: sock.recv(1 << 16), b"")))
    data = b"".join(blocks)
    found = [r.data for r in wire.read(data).records]
    assert found == [p.data for n, p in enumerate(datagrams(0, 150)) if n % 50 == 7]
    # It is brought to its end, and not cut off: what was counted stands there.
    assert data[-int.from_bytes(data[-4:], "little") :][:4] == STATISTICS
    assert trailer["matched"] == 3


def test_first_bytes_come_while_packets_are_taken_in(fed: Fed) -> None:
    """A question in the middle of ingest gets a consistent moment: some packets, in order, none missing."""
    fed.packets(datagrams(0, 1000))
    total, done = 20_000, threading.Event()

    def pour() -> None:
        for first in range(1000, total, 200):
            fed.packets(datagrams(first, 200))
        done.set()

    pouring = threading.Thread(target=pour)
    pouring.start()
    counts = []
    while not counts or not done.is_set():
        with connected(fed.socket) as sock:
            sock.sendall(request(ask="read"))
            assert header(sock)["ok"] is True
            blocks, trailer = frames(everything(sock))
        found = [r.data for r in wire.read(b"".join(blocks)).records]
        assert found == [p.data for p in datagrams(0, len(found))]
        assert len(found) == trailer["matched"]
        counts.append(len(found))
    pouring.join()
    assert counts == sorted(counts)
    assert any(1000 < n < total for n in counts), "no question was asked in the middle"
    cache = fed.status()["cache"]
    assert cache["received"]["packets"] == cache["held"]["packets"] == total


def test_clients_that_are_gone_are_noticed_without_packets(fed: Fed) -> None:
    fed.packets(datagrams(0, 1))
    socks = [connected(fed.socket) for _ in range(2)]
    for sock, framed in zip(socks, (True, False), strict=True):
        sock.sendall(request(ask="read", follow=True, frames=framed))
        assert header(sock)["ok"] is True
    until(lambda: fed.asked(ask="status")["status"]["clients"]["reading"] == 2)
    for sock in socks:
        sock.close()
    until(lambda: fed.asked(ask="status")["status"]["clients"]["reading"] == 0)


def test_who_closes_only_his_side_still_gets_live_packets(fed: Fed) -> None:
    fed.packets(datagrams(0, 1))
    with connected(fed.socket) as sock:
        sock.sendall(request(ask="read", follow=True, frames=False))
        sock.shutdown(1)
        assert header(sock)["ok"] is True
        seen = sock.recv(1 << 16)
        fed.packets(datagrams(1, 1))
        while b"%08d" % 1 not in seen:
            more = sock.recv(1 << 16)
            assert more
            seen += more
