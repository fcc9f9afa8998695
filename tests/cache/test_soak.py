"""The memory of the service, said by the kernel at every moment while much goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests import wire
from tests.cache.service import Service, connected, everything, frames, header, request
from tests.cli import command
from tests.wire import MILLISECOND, SECOND, START_NS

BOUND = 40_000_000
ITSELF = 40_000_000
CLIENTS = 60
A_FLOW = 400
"""Bytes for a flow in a list that is made."""


def traffic() -> list[wire.Packet]:
    """An hour: long flows, short ones, and a flood that nobody answers."""
    long = [
        wire.tcp_session(f"10.0.1.{n + 1}:40000", script=[("s", bytes(1_500_000))], start_ns=START_NS + n * 60 * SECOND)
        for n in range(40)
    ]  # fmt: skip
    short = [
        wire.udp_dialogue(f"10.1.{n // 250}.{n % 250 + 1}:40000", start_ns=START_NS + n * SECOND)
        for n in range(3600)
    ]
    flood = [
        wire.Packet(
            START_NS + 1800 * SECOND + n * MILLISECOND,
            wire.ether(
                wire.ip4(f"172.16.{n // 250}.{n % 250 + 1}", "10.0.0.2", wire.tcp(1024 + n, 80, flags="S"))
            ),
        )
        for n in range(20_000)
    ]
    return wire.merged(*long, *short, flood)


@pytest.mark.parametrize("lists", [0, 15])
def test_the_bound_holds_at_every_moment(tmp_path: Path, lists: int) -> None:
    (tmp_path / "a.pcap").write_bytes(wire.pcap(traffic()))
    given: list[command.Argument] = ["--read", tmp_path / "a.pcap"] * 3
    over, peak = threading.Event(), [0]
    with Service(tmp_path, *given) as service:

        def watch() -> None:
            while not over.wait(0.005):
                peak[0] = max(peak[0], _memory(service.process.pid))

        def ask(n: int) -> None:
            with connected(service.socket) as sock:
                sock.sendall(request(ask="flows" if n < lists else "read"))
                assert header(sock)["ok"] is True
                if n % 2:
                    stalled.wait(60)
                data = everything(sock)
            if n >= lists:
                frames(data)

        stalled = threading.Event()
        watching = threading.Thread(target=watch)
        asking = [threading.Thread(target=ask, args=(n,)) for n in range(CLIENTS)]
        for thread in (watching, *asking):
            thread.start()
        service.filled()
        stalled.set()
        for thread in asking:
            thread.join()
        over.set()
        watching.join()
        status = service.status()
        assert status["cache"]["let_go"]["tail"]["packets"] > 0
        assert status["clients"]["failed"] == 0
    print(f"at most {peak[0]:,} bytes")
    # One list at a time is made, of all flows.
    assert 0 < peak[0] < BOUND + ITSELF + (A_FLOW * status["cache"]["flows"] if lists else 0)


def _memory(process: int) -> int:
    return 1024 * int(Path(f"/proc/{process}/status").read_text().partition("VmRSS:")[2].split()[0])
