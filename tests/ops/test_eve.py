"""EVE spells protocols as Suricata does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flowkeep.cli.app import run

from tests import wire
from tests.wire import START_NS, Packet


def test_protocols_have_suricatas_names(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    inner = [
        wire.ip("2001:db8::1", "2001:db8::2", wire.icmp6(128, 0, 1, b"ping")),
        wire.ip("10.0.0.1", "10.0.0.2", wire.ping()),
    ]
    packets = [Packet(START_NS + n, bytes(wire.ether(p))) for n, p in enumerate(inner)]
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(packets))
    assert run(["flows", str(path), "--format", "eve"]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [row["proto"] for row in rows] == ["IPv6-ICMP", "ICMP"]
