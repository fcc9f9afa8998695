"""Trimming what has been trimmed: the same policy changes nothing, a smaller cutoff cuts by true totals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flowkeep
import pytest
from flowkeep.cut import CutPolicy

from tests import wire
from tests.fault import captures
from tests.fault.captures import LEDGER
from tests.wire import SECOND, START_NS, Conversation, Packet, TcpConversation, transport

POLICIES: list[dict[str, Any]] = [
    {},
    {"rest": "headers"},
    {"rest": "sample:3"},
    {"tail": 3000},
    {"count": "wire", "per_direction": True},
    {"count": "payload", "control": "drop"},
    {"per_direction": True, "tail": 2000},
]


def traffic() -> list[Packet]:
    """Long flows of both kinds, one whose very first packet is large, one with long silences, and a port used twice."""
    found: list[list[Packet]] = []
    for n, size in enumerate((100, 1400)):
        talk = TcpConversation(f"10.0.0.{n + 1}:40000", "10.0.1.1:443", step_ns=SECOND // 10)
        talk.handshake()
        for k in range(60):
            talk.send("s" if k % 3 else "c", bytes(size))
        talk.close()
        found.append(talk.packets)
    udp = Conversation("10.0.2.1:5000", "10.0.2.2:6000", step_ns=SECOND)
    for k in range(150):
        udp.put("s" if k % 2 else "c", transport.udp(*udp.ports("s" if k % 2 else "c"), bytes(200 + k)))
    found.append(udp.packets)
    for start in (0, 300):
        for packet in list(udp.packets[:40]):
            found.append([Packet(packet.ts_ns + (1000 + start) * SECOND, packet.data)])
    return wire.merged(*found)


def trim(source: Path, target: Path, cutoff: int, policy: dict[str, Any]) -> Path:
    """Trim a capture with a ledger; the result."""
    report = flowkeep.open(source).trim(CutPolicy(cutoff, **policy), output=target, ledger=True)
    totals = report.as_dict()["totals"]
    for what in ("packets", "bytes"):
        assert totals[what] == sum(totals[f"{what}_{fate}"] for fate in ("kept", "cut", "dropped"))
    return target / source.name


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.pcap"
    path.parent.mkdir()
    path.write_bytes(wire.pcap(traffic()))
    return path


def flows(path: Path) -> list[dict[str, object]]:
    return flowkeep.open(path).flows().to_dicts()


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("cutoff", [0, 1, 60, 2000, 5000, 1 << 62])
def test_the_same_policy_again_changes_nothing(
    policy: dict[str, Any], cutoff: int, whole: Path, tmp_path: Path
) -> None:
    once = trim(whole, tmp_path / "once", cutoff, policy)
    again = trim(once, tmp_path / "again", cutoff, policy)
    assert again.read_bytes() == once.read_bytes()
    assert flows(again) == flows(whole)
    assert captures.rows(again.with_name(again.name + LEDGER).read_bytes()) == captures.rows(
        once.with_name(once.name + LEDGER).read_bytes()
    )


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("smaller", [0, 60, 1000, 4999])
def test_a_smaller_cutoff_cuts_as_it_would_have_cut_the_whole(
    policy: dict[str, Any], smaller: int, whole: Path, tmp_path: Path
) -> None:
    once = trim(whole, tmp_path / "once", 5000, policy)
    again = trim(once, tmp_path / "again", smaller, policy)
    direct = trim(whole, tmp_path / "direct", smaller, policy)
    assert again.read_bytes() == direct.read_bytes()
    assert flows(again) == flows(whole)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_a_larger_cutoff_keeps_what_is_there(policy: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    once = trim(whole, tmp_path / "once", 1000, policy)
    again = trim(once, tmp_path / "again", 9000, policy)
    assert again.read_bytes() == once.read_bytes()
    back = trim(again, tmp_path / "back", 1000, policy)
    assert back.read_bytes() == once.read_bytes()
    assert flows(back) == flows(whole)


def test_control_packets_behind_the_cutoff_are_told_by_true_totals(tmp_path: Path) -> None:
    talk = Conversation("10.0.0.1:40000", "10.0.0.2:80")
    talk.put("c", transport.tcp(*talk.ports("c"), seq=1, flags="A", payload=bytes(5000)))
    talk.put("c", transport.tcp(*talk.ports("c"), seq=5001, flags="FA"))
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(talk.packets))
    once = trim(path, tmp_path / "once", 1000, {})
    assert len(wire.read(once.read_bytes()).records) == 1
    again = trim(once, tmp_path / "again", 500, {"control": "drop"})
    assert len(wire.read(again.read_bytes()).records) == 0


def test_what_is_left_of_one_session_stays_one_session(tmp_path: Path) -> None:
    """Sampled packets further apart than the silence that ends a flow."""
    talk = Conversation("10.0.0.1:5000", "10.0.0.2:6000", step_ns=20 * SECOND)
    for _ in range(40):
        talk.put("c", transport.udp(*talk.ports("c"), bytes(1000)))
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(talk.packets))
    once = trim(path, tmp_path / "once", 0, {"rest": "sample:10"})
    again = trim(once, tmp_path / "again", 0, {"rest": "sample:10"})
    assert again.read_bytes() == once.read_bytes()
    assert len(wire.read(once.read_bytes()).records) == 4
    [row] = captures.rows(again.with_name(again.name + LEDGER).read_bytes())
    assert (row["client_packets"], row["kept_client_packets"]) == (40, 4)
    assert flows(again) == flows(path) and len(flows(path)) == 1


def test_a_file_trimmed_alone_goes_on_with_the_file_before_it(tmp_path: Path) -> None:
    talk = Conversation("10.0.0.1:5000", "10.0.0.2:6000", step_ns=SECOND)
    for _ in range(20):
        talk.put("c", transport.udp(*talk.ports("c"), bytes(1000)))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "1.pcap").write_bytes(wire.pcap(talk.packets[:10]))
    (folder / "2.pcap").write_bytes(wire.pcap(talk.packets[10:]))
    true = flows(folder)
    assert len(true) == 1 and talk.packets[0].ts_ns == START_NS
    flowkeep.open(folder / "2.pcap").trim("3kB", in_place=True)
    assert flows(folder) == true
    flowkeep.open(folder).trim("3kB", in_place=True)
    assert flows(folder) == true
    assert len(wire.read((folder / "1.pcap").read_bytes()).records) == 2
    assert len(wire.read((folder / "2.pcap").read_bytes()).records) == 0
