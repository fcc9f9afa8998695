"""The whole service on interfaces of its own: what goes over the wire is in its answers, and nothing of itself."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests import wire
from tests.cache.service import Service, connected, everything, frames, header, request, until
from tests.cli import command

from .net import Pair, ip, send

pytestmark = pytest.mark.namespace

FRAMES = [
    wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(1000 + n, 53, b"%03d" % n))) for n in range(200)
]
TAGGED = wire.ether(wire.vlan(wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(1, 2, b"tagged")), 7))


def taken(service: Service, packets: int, **asked: object) -> wire.Capture:
    """What it holds, once it has taken so many packets in."""
    until(lambda: service.status()["cache"]["received"]["packets"] >= packets, service.said)
    with connected(service.socket) as sock:
        sock.sendall(request(ask="read", **asked))
        assert header(sock)["ok"] is True
        blocks, _ = frames(everything(sock))
    return wire.read(b"".join(blocks))


def test_what_goes_over_the_wire_is_given_back(pair: Pair, tmp_path: Path) -> None:
    with Service(tmp_path, "-i", "va", "--filter", "udp or vlan") as service:
        send("vb", [*FRAMES, TAGGED, wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.tcp(1, 2, b"")))])
        found = taken(service, len(FRAMES) + 1)
        assert [r.data for r in found.records] == [*FRAMES, TAGGED]
        assert [r.data for r in taken(service, 0, filter="udp port 1007").records] == [FRAMES[7]]
        (one,) = service.status()["inputs"]
        assert (one["state"], one["packets"], one["drops"]) == ("running", len(FRAMES) + 1, 0)
        done = command.run("cache", "read", "--socket", service.socket, "-o", tmp_path / "x.pcapng")
        assert done.returncode == 0
        assert b"va" in (tmp_path / "x.pcapng").read_bytes()[:400]


def test_it_has_no_rights_left_while_it_captures(pair: Pair, tmp_path: Path) -> None:
    with Service(tmp_path, "-i", "va") as service:
        for task in Path(f"/proc/{service.process.pid}/task").iterdir():
            lines = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
            assert {lines[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
            assert lines["NoNewPrivs"] == "1"
        send("vb", FRAMES)
        assert len(taken(service, len(FRAMES)).records) == len(FRAMES)


def test_its_own_answers_are_not_captured(pair: Pair, tmp_path: Path) -> None:
    """Else every packet that is answered would be a packet to answer."""
    ip("link", "set", "lo", "up")
    given = ("-i", "lo", "--pcap-over-ip", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    with Service(tmp_path, *given) as service:
        port, other = (
            int(
                next(text for text in service.said().splitlines() if what in text)
                .rpartition(":")[2]
                .split("/")[0]
            )
            for what in ("PCAP-over-IP", "metrics")
        )
        with (
            socket.create_connection(("127.0.0.1", port)) as client,
            socket.create_connection(("127.0.0.1", other)) as numbers,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            numbers.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            while numbers.recv(1 << 16):
                pass
            seen = b""
            for n in range(50):
                sender.sendto(b"packet %03d" % n, ("127.0.0.1", 9))
            while seen.count(b"packet 049") < 1:
                seen += client.recv(1 << 16)
        packets = {r.data for r in taken(service, 50, filter="tcp").records}
        assert packets == set()
        assert taken(service, 50, filter="udp").records


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_another_user_and_still_captures(pair: Pair, tmp_path: Path) -> None:
    with Service(tmp_path, "-i", "va", "--user", "nobody") as service:
        send("vb", FRAMES)
        assert len(taken(service, len(FRAMES)).records) == len(FRAMES)
