"""The tables of hosts and of services."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import flowkeep as fk
import polars as pl
import pytest
from flowkeep.ops import hosts

from tests import wire
from tests.cli.command import run, said

MINUTE = 60 * wire.SECOND


def frame(src: str, dst: str, segment: bytes, *, ttl: int, mac: str, ms: int = 0) -> wire.Packet:
    packet = wire.ip4(src, dst, segment, ttl=ttl)
    return wire.Packet(
        wire.START_NS + ms * wire.MILLISECOND, bytes(wire.ether(packet, src=mac, dst="02:00:00:00:00:99"))
    )


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A beacon every minute, some browsing, a refused connection, a scan without answer, a ping."""
    talks = [
        wire.tcp_session("10.0.0.5:50000", "203.0.113.9:8443", [("c", b"x" * 50), ("s", b"y" * 20)],
                         start_ns=wire.START_NS + i * MINUTE)
        for i in range(20)
    ]  # fmt: skip
    for i, at in enumerate((3, 50, 51, 400, 1000)):
        talks.append(wire.tcp_session(f"10.0.0.5:{51000 + i}", "198.51.100.1:443", [("c", b"get"), ("s", b"z" * 3000)],
                                      start_ns=wire.START_NS + at * wire.SECOND))  # fmt: skip
    refused = wire.TcpConversation("10.0.0.6:52000", "10.0.0.5:22", start_ns=wire.START_NS + 5)
    refused.send("c", flags="S")
    refused.send("s", flags="RA")
    lonely = wire.TcpConversation("10.0.0.6:52001", "10.0.0.5:23", start_ns=wire.START_NS + 6)
    lonely.send("c", flags="S", options=wire.mss(1460))
    ping = frame("10.0.0.6", "10.0.0.5", wire.ping(), ttl=125, mac="02:00:00:00:00:66")
    path = tmp_path / "office.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks, refused.packets, lonely.packets, [ping]), ns=True))
    return path


def by(rows: list[dict[str, Any]], *names: str) -> dict[Any, dict[str, Any]]:
    return {tuple(row[name] for name in names) if len(names) > 1 else row[names[0]]: row for row in rows}


def test_hosts_add_up(office: Path) -> None:
    ds = fk.open(office)
    flows, table = ds.flows().to_dicts(), ds.hosts()
    rows = by(table.to_dicts(), "ip")
    assert set(rows) == {"10.0.0.5", "10.0.0.6", "203.0.113.9", "198.51.100.1"}
    total = sum(flow["client_bytes"] + flow["server_bytes"] for flow in flows)
    for name in ("bytes_sent", "bytes_received"):
        assert sum(row[name] for row in rows.values()) == total, name
    packets = sum(flow["client_packets"] + flow["server_packets"] for flow in flows)
    assert sum(row["packets_sent"] for row in rows.values()) == packets
    assert sum(row["flows_as_client"] for row in rows.values()) == len(flows)
    assert sum(row["flows_as_server"] for row in rows.values()) == len(flows)
    own = rows["10.0.0.5"]
    assert (own["flows_as_client"], own["flows_as_server"], own["peers"]) == (25, 3, 3)
    assert own["ports_served"] == [], "refused and unanswered connections are no service, a ping has no port"
    assert rows["203.0.113.9"]["ports_served"] == ["8443/tcp"]
    assert own["first_ts"] == wire.START_NS
    assert (own["mss"], own["names"]) == (1460, [])
    sizes = [row["bytes_sent"] + row["bytes_received"] for row in table.to_dicts()]
    assert sizes == sorted(sizes, reverse=True)


def test_hosts_without_traffic_of_their_own(office: Path) -> None:
    row = by(fk.open(office).hosts().to_dicts(), "ip")["10.0.0.6"]
    assert row["macs"] == ["02:00:00:00:00:01", "02:00:00:00:00:66"]
    assert (row["os_hint"], row["hops"]) == ("mixed", None), "two flows with 64, one with 125"


@pytest.mark.parametrize(
    ("ttl", "hint", "hops"),
    [(64, "unix", 0), (57, "unix", 7), (33, "unix", 31), (32, "embedded", 0), (1, "embedded", 31),
     (65, "windows", 63), (128, "windows", 0), (129, "network", 126), (255, "network", 0), (0, None, None)],
)  # fmt: skip
def test_the_hint_at_the_system(ttl: int, hint: str | None, hops: int | None, tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    packet = frame("10.0.0.1", "10.0.0.2", wire.udp(40000, 53, b"q"), ttl=ttl, mac="02:00:00:00:00:01")
    path.write_bytes(wire.pcap([packet]))
    rows = by(fk.open(path).hosts().to_dicts(), "ip")
    assert (rows["10.0.0.1"]["os_hint"], rows["10.0.0.1"]["hops"]) == (hint, hops)
    assert (rows["10.0.0.2"]["os_hint"], rows["10.0.0.2"]["macs"], rows["10.0.0.2"]["mss"]) == (
        None,
        [],
        None,
    )


def test_ports_are_those_most_used_and_bounded(tmp_path: Path) -> None:
    talks = [
        wire.udp_dialogue(f"10.0.0.1:{40000 + i}", f"10.0.0.2:{port}", start_ns=wire.START_NS + port)
        for port in range(100, 130)
        for i in range(2 if port == 120 else 1)
    ]
    path = tmp_path / "ports.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks), ns=True))
    ports = by(fk.open(path).hosts().to_dicts(), "ip")["10.0.0.2"]["ports_served"]
    assert len(ports) == hosts.MOST_PORTS
    assert ports[:3] == ["120/udp", "100/udp", "101/udp"]


def test_a_beacon_is_the_first_service(office: Path) -> None:
    table = fk.open(office).services()
    rows = table.to_dicts()
    first = rows[0]
    assert (first["client_ip"], first["server_ip"], first["server_port"]) == ("10.0.0.5", "203.0.113.9", 8443)
    assert (first["flows"], first["regularity"], first["period"]) == (20, 1.0, MINUTE)
    assert first["first_ts"] == wire.START_NS
    assert by(rows, "server_ip", "server_port")["198.51.100.1", 443]["regularity"] == 0
    assert rows[-1]["regularity"] is None
    assert sum(row["flows"] for row in rows) == 28
    assert table.to_polars()["period"].dtype == pl.Duration("ns")


def test_all_formats_say_the_same(office: Path, tmp_path: Path) -> None:
    for command, table in (("hosts", fk.open(office).hosts()), ("services", fk.open(office).services())):
        rows = table.to_dicts()
        lines = run(command, office, "--format", "ndjson").stdout.splitlines()
        assert [json.loads(line) for line in lines] == rows
        assert json.loads(run(command, office, "-f", "json", "-n", "2").stdout) == rows[:2]
        text = run(command, office, "--format", "csv").stdout.decode()
        read = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["first_ts"] for row in read] == [str(row["first_ts"]) for row in rows]
        assert list(read[0]) == table.columns
        out = tmp_path / f"{command}.parquet"
        assert run(command, office, "-f", "parquet", "-o", out).returncode == 0
        assert pl.read_parquet(out).equals(table.to_polars())


def test_sort_limit_and_usage(office: Path) -> None:
    done = run("services", office, "--sort", "server_bytes", "--limit", "1", "-f", "ndjson")
    assert json.loads(done.stdout)["server_ip"] == "198.51.100.1"
    done = run("hosts", office, "--sort", "peers", "--ascending", "-f", "ndjson")
    peers = [json.loads(line)["peers"] for line in done.stdout.splitlines()]
    assert peers == sorted(peers)
    done = run("hosts", office, "--sort", "nothing")
    assert done.returncode == 2
    assert "there is no column 'nothing'; there are ip, " in said(done)
    done = run("hosts", office, "--format", "csv", "-o", office)
    assert done.returncode == 2
    assert "is one of the captures" in said(done)


def test_tables_for_people(office: Path) -> None:
    text = run("services", office).stdout.decode()
    assert "203.0.113.9:8443" in text
    assert "60.0 s" in text
    text = run("hosts", office, "-n", "1").stdout.decode()
    assert "1 of 4 addresses" in text
    assert "10.0.0.5" in text


def test_nothing_hostile_reaches_the_terminal() -> None:
    from flowkeep.cli import tables

    evil = "\x1b[31m[red]\u202e"
    host = {
        "ip": evil, "flows_as_client": 1, "flows_as_server": 1, "bytes_sent": 1, "bytes_received": 1,
        "packets_sent": 1, "packets_received": 1, "peers": 1, "ports_served": [evil], "first_ts": 0, "last_ts": 0,
        "macs": [evil], "os_hint": evil, "hops": 1, "mss": 1, "names": [evil],
    }  # fmt: skip
    service = {
        "client_ip": evil, "server_ip": evil, "server_port": 1, "proto": evil, "flows": 1, "client_bytes": 1,
        "server_bytes": 1, "first_ts": 0, "last_ts": 0, "regularity": 1.0, "period": 1, "jitter": 0.1,
    }  # fmt: skip
    for text in (tables.host_table([host], 1, False), tables.service_table([service], 1, False)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "[red]" in text, "nor is it taken for markup"


def test_an_empty_capture_has_empty_tables(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(wire.pcap([]))
    for command in ("hosts", "services"):
        done = run(command, path)
        assert done.returncode == 0, said(done)
        assert run(command, path, "-f", "json").stdout == b"[]\n"
