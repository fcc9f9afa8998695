"""What flows speak, and the names in them: the columns, the formats, the query, other tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep.flow import IDENTIFIED

from tests import wire
from tests.cli.command import run

HTTP = b"GET /x HTTP/1.1\r\nHost: \x1b[31mwww.example.org:8080\r\nUser-Agent: t\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def labels(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def dns(name: str, address: bytes | None = None) -> bytes:
    """A question, or its answer through an alias."""
    head = bytes.fromhex(
        "1234" + ("8180" if address else "0100") + "0001" + ("0002" if address else "0000")
    ) + bytes(4)
    message = head + labels(name) + b"\0\x01\0\x01"
    if address:
        alias = labels("cdn.example.net")
        message += b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c" + len(alias).to_bytes(2, "big") + alias
        message += alias + b"\0\x01\0\x01\0\0\0\x3c\0\x04" + address
    return message


def hello(name: str, protocols: list[str]) -> bytes:
    """A ClientHello in a record."""

    def sized(data: bytes, size: int = 2) -> bytes:
        return len(data).to_bytes(size, "big") + data

    def extension(kind: int, data: bytes) -> bytes:
        return kind.to_bytes(2, "big") + sized(data)

    alpn = b"".join(sized(protocol.encode(), 1) for protocol in protocols)
    extensions = (
        extension(0x0A0A, b"")
        + extension(0, sized(b"\0" + sized(name.encode())))
        + extension(10, sized(b"\x2a\x2a\0\x1d"))
        + extension(16, sized(alpn))
        + extension(43, sized(b"\x03\x04\x03\x03", 1))
        + extension(13, sized(b"\x04\x03\x08\x04"))
    )
    body = (
        b"\x03\x03"
        + bytes(range(32))
        + b"\0"
        + sized(b"\x1a\x1a\x13\x01\xc0\x2f")
        + b"\x01\0"
        + sized(extensions)
    )
    return b"\x16\x03\x01" + sized(b"\x01" + sized(body, 3))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """DNS, then TLS to the address it named on an odd port, HTTP on 443, and bytes that are nothing."""
    talks = [
        wire.udp_dialogue("10.0.0.5:40001", "10.0.0.53:53",
                          [("c", dns("www.example.com")), ("s", dns("www.example.com", bytes([203, 0, 113, 7])))]),
        wire.tcp_session("10.0.0.5:50001", "203.0.113.7:3306", [("c", hello("shop.example", ["h2", "http/1.1"]))],
                         start_ns=wire.START_NS + wire.SECOND),
        wire.tcp_session("10.0.0.5:50002", "198.51.100.1:443", [("c", HTTP), ("s", OK)],
                         start_ns=wire.START_NS + 2 * wire.SECOND),
        wire.tcp_session("10.0.0.5:50003", "203.0.113.7:9", [("c", b"\xf1\xf7 nothing \xee" * 9)],
                         start_ns=wire.START_NS + 3 * wire.SECOND),
    ]  # fmt: skip
    path = tmp_path / "mixed.pcap"
    path.write_bytes(wire.pcap(wire.merged(*talks), ns=True))
    return path


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    return fk.open(path, options=fk.ReadOptions(**options)).flows(identify=True).to_dicts()


def test_columns(mixed: Path) -> None:
    name, tls, http, nothing = rows(mixed)
    assert [row["service"] for row in (name, tls, http, nothing)] == ["dns", "tls", "http", None]
    assert (tls["sni"], tls["server_name"], tls["alpn"]) == ("shop.example", "shop.example", "h2,http/1.1")
    # Two ciphers and five extensions count, what is GREASE does not.
    assert tls["ja4"].startswith("t13d0205h2_")
    assert len(tls["ja3"]) == 32
    assert tls["service_evidence"].startswith("tls.hello client+0 160301")
    # The host's escape sequence is shown, not obeyed.
    assert http["http_host"] == http["server_name"] == "\\x1b[31mwww.example.org"
    assert nothing["server_name"] == "www.example.com"
    assert [row["port_mismatch"] for row in (name, tls, http, nothing)] == [False, True, True, None]
    assert {nothing[column] for column in IDENTIFIED} == {None, "www.example.com"}


def test_columns_come_last_and_only_when_asked_for(mixed: Path) -> None:
    ds = fk.open(mixed)
    plain = ds.flows().columns
    assert ds.flows(identify=True).columns == plain + list(IDENTIFIED)
    both = ds.flows(details=True, identify=True)
    assert both.columns == ds.flows(details=True).columns + list(IDENTIFIED)
    assert both.to_polars().select(IDENTIFIED).to_dicts() == [
        {column: row[column] for column in IDENTIFIED} for row in both.to_dicts()
    ]
    assert both.top("service", 1, descending=True).to_dicts()[0]["service"] == "tls"


def test_a_query_on_the_service_works_without_asking(mixed: Path, tmp_path: Path) -> None:
    done = run("flows", mixed, "--where", "service = 'tls' AND port_mismatch", "--format", "ndjson")
    assert [json.loads(line)["sni"] for line in done.stdout.splitlines()] == ["shop.example"]
    out = tmp_path / "dns.pcap"
    assert run("extract", mixed, "--where", "service = 'dns'", "-o", out).returncode == 0
    assert [row["service"] for row in rows(out)] == ["dns"]


def test_other_formats_say_it_in_their_words(mixed: Path) -> None:
    zeek = run("flows", mixed, "--format", "zeek").stdout.decode().splitlines()
    lines = [line.split("\t") for line in zeek if not line.startswith("#")]
    assert [line[7] for line in lines] == ["dns", "ssl", "http", "-"]
    eve = [json.loads(line) for line in run("flows", mixed, "--format", "eve").stdout.splitlines()]
    assert [event.get("app_proto") for event in eve] == ["dns", "tls", "http", None]


def test_hosts_get_names(mixed: Path) -> None:
    names = {row["ip"]: row["names"] for row in fk.open(mixed).hosts().to_dicts()}
    assert names["203.0.113.7"] == ["www.example.com", "shop.example"]
    assert names["10.0.0.5"] == []


def test_threads_change_nothing(mixed: Path) -> None:
    assert rows(mixed, jobs=1) == rows(mixed, jobs=5)


def test_a_trimmed_file_with_its_ledger_is_identified_by_what_is_left(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fk.open(mixed).trim("1kB", output=out, ledger=True)
    before, after = rows(mixed), rows(out / "mixed.pcap")
    assert [row["client_bytes"] for row in after] == [row["client_bytes"] for row in before]
    assert [row["service"] for row in after] == ["dns", "tls", "http", None]


@pytest.mark.parametrize("snap", [60, 96, 128])
def test_a_snapped_capture_is_not_made_up(mixed: Path, tmp_path: Path, snap: int) -> None:
    read = wire.read(mixed.read_bytes()).records
    packets = [wire.Packet(packet.ts_ns, packet.data, packet.wirelen).snapped(snap) for packet in read]
    path = tmp_path / "snapped.pcap"
    path.write_bytes(wire.pcap(packets, ns=True))
    for row, want in zip(rows(path), ["dns", "tls", "http", None], strict=True):
        assert row["service"] in (want, None)


def test_protocols_are_listed() -> None:
    listed = json.loads(run("protocols", "--format", "json").stdout)
    by = {row["label"]: row for row in listed}
    assert by["dns"]["ports"] == [53]
    assert by["dns"]["carriers"] == ["tcp", "udp"]
    table = run("protocols").stdout.decode()
    assert len(table.splitlines()) == len(listed) + 1
    assert run("protocols", "--format", "csv").stdout.count(b"\r\n") == len(listed) + 1
