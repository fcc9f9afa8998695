"""Conditions: units, values as people write them, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.select.condition import plain

from tests import wire
from tests.wire import SECOND

LONG = wire.tcp_session("10.0.0.1:40000", "10.0.0.2:80", script=[("c", b"GET"), ("s", bytes(5000))])
SHORT = wire.udp_dialogue("[2001:db8::1]:5000", "[2001:db8::2]:53", start_ns=wire.START_NS + 90 * SECOND)


@pytest.fixture
def flows(tmp_path: Path) -> fk.Flows:
    late = [wire.Packet(p.ts_ns + 30 * SECOND, p.data) for p in LONG[-1:]]
    (tmp_path / "a.pcap").write_bytes(wire.pcap([*LONG[:-1], *late, *SHORT]))
    return fk.open(tmp_path / "a.pcap").flows(details=True)


@pytest.mark.parametrize(
    ("where", "ports"),
    [
        ("bytes > 1MB", []),
        ("bytes > 1kB", [80]),
        ("bytes > 1 KiB and bytes < 1GiB", [80]),
        ("bytes > 1kB -- and no more", [80]),
        ("duration > 10s", [80]),
        ("duration > 0.5min", [80]),
        ("duration < 1h and duration > 1 min", []),
        ("duration > 100ms", [80]),
        ("rtt < 1s and rtt >= 0", [80]),
        ("rtt_client > 1min or rtt_server > 1min", []),
        ("last_ts - first_ts > interval '10s'", [80]),
        ("proto = 'TCP'", [80]),
        ("proto IN ('TCP', 'Udp') AND bytes > 1k", [80]),
        ("proto LIKE 'UD%'", [53]),
        ("state = 'TWO-WAY'", [53]),
        ("server_ip = '2001:0DB8:0:0::2'", [53]),
        ("vlan = 7 or server_port = 53", [53]),
        ("vlan in (7, 8)", []),
        (f"proto in ({', '.join(['*x*'] * 300)}, 'TCP')".replace("*", "'"), [80]),
        ("vlan is null and 80 = server_port", [80]),
    ],
)
def test_a_condition_means_what_it_says(flows: fk.Flows, where: str, ports: list[int]) -> None:
    assert [row["server_port"] for row in flows.where(fk.FlowQuery(where=where)).to_dicts()] == ports


@pytest.mark.parametrize(
    ("where", "word"),
    [
        ("bytes > 1m", "1MB or 1min"),
        ("bytes > 1XB", "units are"),
        ("bytes > 0x10", "units are"),
        ("bytes > 1_000", "units are"),
        ("bytes > 1000 AS big", "AND or OR"),
        ("bytes > 1000 big", "AND or OR"),
        ("bytes > 1.5B", "not a size"),
        ("duration > interval '10s'", "duration > 10s"),
        ("bytes > interval '10s'", "duration > 10s"),
        ("bytes > 1 && bytes < 9", "AND"),
        ("bytes > 1 || bytes < 9", "OR"),
        ("client_ip = '192.168.1.0/24'", "--network 192.168.1.0/24"),
        ("server_ip in ('10.0.0.1', '192.168.1.0/24')", "--network 192.168.1.0/24"),
        ("bytes >", "bytes >"),
    ],
)
def test_what_would_be_misread_is_refused_when_the_query_is_made(where: str, word: str) -> None:
    with pytest.raises(fk.UsageError) as told:
        fk.FlowQuery(where=where)
    assert word in str(told.value)


def test_text_names_and_comments_stay_as_they_are() -> None:
    for where in (
        "sni = '1MB'",
        "sni = 'it''s 10s && /24'",
        '"bytes" > 1e6',
        "bytes > 1 /* 1MB */",
        "ja3 = 'AB'",
    ):
        assert plain(where) == where
    assert plain("bytes > 1.5MB and duration > 1.5h") == "bytes > 1500000 and duration > 5400"
