"""Filters on made traffic: what they let through, what they refuse, how it is counted."""

from __future__ import annotations

import json
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.cli.app import run
from flowkeep.errors import UsageError
from flowkeep.select import compile_filter, read_expression
from flowkeep.select.names import names_to_look_up

from tests import wire

WEB = wire.tcp_session("10.0.0.1:40000", "10.0.0.2:80", script=[("c", b"GET"), ("s", bytes(5000))])
DNS = wire.udp_dialogue("10.0.0.1:5000", "10.0.0.3:53", script=[("c", bytes(30)), ("s", bytes(90))])


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap([*WEB, *DNS]))
    return path


def test_flows_are_those_of_the_packets_that_match(capture: Path) -> None:
    flows = fk.open(capture, filter="udp port 53").flows()
    assert [(row["proto"], row["server_port"]) for row in flows.to_dicts()] == [("udp", 53)]
    (scan,) = flows.files
    assert (scan["packets"], scan["packets_filtered"]) == (len(DNS), len(WEB))
    assert scan["bytes_filtered"] == sum(len(p.data) for p in WEB)


@pytest.mark.parametrize("jobs", [1, 4])
def test_what_does_not_match_is_dropped_and_accounted_for(capture: Path, tmp_path: Path, jobs: int) -> None:
    options = fk.ReadOptions(filter="tcp", jobs=jobs)
    report = fk.open(capture, options=options).trim(1000, output=tmp_path / "out")
    kept, cut, dropped = (report.total(f"packets_{what}") for what in ("kept", "cut", "dropped"))
    assert kept + cut + dropped == report.total("packets") == len(WEB) + len(DNS)
    assert dropped == len(DNS) and cut > 0
    bytes_ = [report.total(f"bytes_{what}") for what in ("kept", "cut", "dropped")]
    assert sum(bytes_) == report.total("bytes") == sum(len(p.data) for p in [*WEB, *DNS])
    (trim,) = [f.trim for f in report.files]
    assert trim is not None and trim["dropped"] == {"filter": len(DNS)}
    # The same as trimming a capture that never had the others.
    plain = tmp_path / "plain" / "a.pcap"
    plain.parent.mkdir()
    plain.write_bytes(wire.pcap(WEB))
    fk.open(plain).trim(1000, output=tmp_path / "two")
    assert (tmp_path / "out" / "a.pcap").read_bytes() == (tmp_path / "two" / "a.pcap").read_bytes()


def test_and_and_or_bind_equally_from_left_to_right(capture: Path) -> None:
    flows = fk.open(capture, filter="port 80 or port 53 and host 10.0.0.3").flows()
    assert [row["server_port"] for row in flows.to_dicts()] == [53]


def test_each_link_type_has_its_program(tmp_path: Path) -> None:
    frames = [p.data for p in DNS]
    for link, head in (
        (101, b""),
        (12, b""),
        (14, b""),
        (228, b""),
        (0, b"\2\0\0\0"),
        (0, b"\0\0\0\2"),
        (108, b"\0\0\0\2"),
    ):
        path = tmp_path / f"{link}-{head.hex()}.pcap"
        packets = [wire.Packet(n, head + frame[14:]) for n, frame in enumerate(frames)]
        path.write_bytes(wire.pcap(packets, link=link))
        assert len(fk.open(path, filter="udp port 53 and net 10.0.0.0/8").flows().files) == 1
        (scan,) = fk.open(path, filter="udp dst port 53").flows().files
        assert (scan["packets"], scan["packets_filtered"]) == (1, 1), path


def test_a_filter_without_sense_for_all_packets_is_an_error(tmp_path: Path, capture: Path) -> None:
    path = tmp_path / "raw.pcap"
    path.write_bytes(wire.pcap([wire.Packet(p.ts_ns, p.data[14:]) for p in DNS], link=101))
    with pytest.raises(UsageError, match="no VLAN support"):
        fk.open(path, filter="vlan 5").flows()
    with pytest.raises(UsageError, match="no VLAN support"):
        fk.open(path, filter="vlan 5").trim(10, output=tmp_path / "out")
    assert not (tmp_path / "out" / "raw.pcap").exists()
    _, raw = sorted(fk.open(path, capture, filter="vlan 5").flows().files, key=lambda f: f["path"])
    assert raw["filter_refused"] == {"RAW": {"packets": 2, "reason": "no VLAN support for Raw IP"}}


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("tcp port", "syntax error"), ("((", "syntax error"), ("port 70000", "65535"),        ("host evil.example", "evil.example"), ("port ssh or src foo", "foo"), ("net x", "x is no word"),
        ("host 1.2.3.4.5", "1.2.3.4.5"), ("ip6 protochain 6", "loops"), ("a\x1b[2J", "word"), ("tcp\0", "zero"),
        ("tcp or " * 1000 + "tcp", "characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_words(expression: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as said:
        compile_filter(expression)
    assert "\x1b" not in str(said.value) and "\0" not in str(said.value)


@pytest.mark.parametrize(
    "expression",
    [
        "port ssh or http", "tcp[tcpflags] & (tcp-syn|tcp-ack) != 0", "host fe80::1 or ::1 or 10.1", "net 10.0.0.0/8",
        "ether host 0:1:2:3:4:5 or ether src 00-11-22-33-44-55", "icmp[icmptype] = icmp-echo", "ip proto \\tcp",
        "wlan type mgt subtype probe-req", "udp and ip[2:2]-20 > 4", "dst net 10.0.0.0 mask 255.0.0.0",
    ],
)  # fmt: skip
def test_words_of_the_language_are_no_names(expression: str) -> None:
    assert names_to_look_up(expression) == []
    compile_filter(expression)


def test_in_place_with_a_filter_is_refused_and_changes_nothing(
    capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = capture.read_bytes()
    assert run(["trim", "1kB", str(capture), "--in-place", "--filter", "tcp"]) == 2
    assert "--output" in capsys.readouterr().err
    assert capture.read_bytes() == before


def test_the_filter_may_come_from_a_file_with_comments(
    tmp_path: Path, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "filter"
    file.write_text("# names\nudp # and\n and port 53\n")
    assert read_expression(file).split() == ["udp", "and", "port", "53"]
    assert run(["flows", str(capture), "--filter-file", str(file), "--format", "ndjson"]) == 0
    said = capsys.readouterr()
    assert f"{len(WEB)} of {len(WEB) + len(DNS)} packets do not match" in said.err
    assert run(["info", str(capture), "--filter-file", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["packets_filtered"] == len(WEB)
    assert run(["flows", str(capture), "--filter-file", str(file), "--filter", "tcp"]) == 2
