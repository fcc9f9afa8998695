"""Flow filters keep the flows of which tcpdump would match a packet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.errors import UsageError
from flowkeep.select import compile_for_flows

from tests import wire
from tests.wire import Packet

V6 = ("[2001:db8::1]:5353", "[2001:db8::2]:53")


def _tagged(packets: list[Packet], *vids: int) -> list[Packet]:
    tagged = []
    for p in packets:
        tags = b"".join(b"\x81\0" + vid.to_bytes(2, "big") for vid in vids)
        tagged.append(Packet(p.ts_ns, p.data[:12] + tags + p.data[12:]))
    return tagged


def _ip(src: str, dst: str, body: bytes) -> list[Packet]:
    return [Packet(wire.START_NS, bytes(wire.ether(wire.ip(src, dst, body))))]


TALKS = {
    "web": wire.tcp_session("10.0.0.1:40000", "10.0.0.2:80", script=[("c", b"GET"), ("s", bytes(500))]),
    "dns6": wire.udp_dialogue(*V6, script=[("c", b"who"), ("s", b"me")]),
    "in7": _tagged(wire.udp_dialogue("10.0.0.3:1000", "10.0.0.4:161", script=[("c", b"?"), ("s", b"!")]), 7),
    "qinq": _tagged(wire.udp_dialogue("10.0.0.5:1000", "10.0.0.6:161", script=[("c", b"?")]), 100, 7),
    "ping": _ip("10.0.0.1", "10.0.0.7", wire.ping()),
    "sctp": _ip("10.0.0.8", "10.0.0.9", wire.sctp(2905, 2906, wire.sctp_init())),
}  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flows") / "a.pcap"
    path.write_bytes(wire.pcap(sorted((p for talk in TALKS.values() for p in talk), key=lambda p: p.ts_ns)))
    return path


def names(flows: fk.Flows) -> set[str]:
    """The talks that flows are of."""
    by_end = {
        ("10.0.0.1", "tcp"): "web", ("2001:db8::1", "udp"): "dns6", ("10.0.0.3", "udp"): "in7",
        ("10.0.0.5", "udp"): "qinq", ("10.0.0.1", "icmp"): "ping", ("10.0.0.8", "sctp"): "sctp",
    }  # fmt: skip
    return {
        next(by_end[(row[end], row["proto"])] for end in ("client_ip", "server_ip")
             if (row[end], row["proto"]) in by_end)
        for row in flows.to_dicts()
    }  # fmt: skip


ALL = {name for name, talk in TALKS.items() if talk}


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("host 10.0.0.2", {"web"}),
        ("src host 10.0.0.2", {"web"}),
        ("dst port 40000 and src port 80", {"web"}),
        ("src port 80 and src port 40000", set()),
        ("port 80 or port 53", {"web", "dns6"}),
        ("port 80 or port 53 and ip6", {"dns6"}),
        ("net 10.0.0.0/29 and not tcp", {"in7", "qinq", "ping"}),
        ("not host 10.0.0.3", ALL - {"in7"}),
        ("not (udp or tcp)", {"ping", "sctp"}),
        ("udp portrange 100-200", {"in7", "qinq"}),
        ("vlan", {"in7", "qinq"}),
        ("not vlan", ALL - {"in7", "qinq"}),
        ("vlan 7", {"in7"}),
        ("vlan 100 and vlan 7 and host 10.0.0.6", {"qinq"}),
        ("host 10.0.0.2 or (vlan and host 10.0.0.4)", {"web", "in7"}),
        ("icmp", {"ping"}),
        ("sctp port 2906", {"sctp"}),
        ("ip6 net 2001:db8::/64", {"dns6"}),
        ("ip proto 132", {"sctp"}),
        ("tcp and udp", set()),
        ("arp", set()),
        ("ip[12:4] = 0x0a000002", {"web"}),
        ("tcp[0:2] = 80", {"web"}),
    ],
)
def test_the_flows_that_match_are_kept(expression: str, wanted: set[str], capture: Path) -> None:
    assert names(fk.open(capture).flows().where(fk.FlowQuery(flow_filter=expression))) == wanted
    left = names(fk.open(capture).flows().where(fk.FlowQuery(flow_filter=expression, invert=True)))
    assert left == ALL - wanted


@pytest.mark.parametrize(
    "expression",
    ["host 10.0.0.1", "tcp", "udp port 53", "not tcp", "src host 10.0.0.2", "dst port 80 or icmp", "ip6",
     "sctp and port 2905", "vlan 7", "not vlan", "net 10.0.0.0/30", "not (port 53 or tcp)"],
)  # fmt: skip
def test_tcpdump_finds_packets_of_just_these_flows(expression: str, tmp_path: Path) -> None:
    tcpdump = shutil.which("tcpdump")
    if tcpdump is None:
        print("skipped: no tcpdump")
        pytest.skip("no tcpdump")
    wanted = set()
    for name, talk in TALKS.items():
        # As without the word vlan, a flow in a VLAN looks like any other.
        packets = talk if "vlan" in expression else [Packet(p.ts_ns, _untagged(p.data)) for p in talk]
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(wire.pcap(packets))
        done = subprocess.run([tcpdump, "-n", "-t", "-r", path, expression], capture_output=True, check=True)
        if done.stdout:
            wanted.add(name)
    path = tmp_path / "all.pcap"
    path.write_bytes(wire.pcap([p for talk in TALKS.values() for p in talk]))
    both = names(fk.open(path).flows().where(fk.FlowQuery(flow_filter=expression)))
    assert both >= wanted
    if "src" not in expression and "dst" not in expression:
        assert both == wanted


def _untagged(data: bytes) -> bytes:
    while data[12:14] == b"\x81\0":
        data = data[:12] + data[16:]
    return data


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("tcp[tcpflags] & tcp-syn != 0", "transport header"),
        ("greater 100", "length"),
        ("len = 60 or host 10.0.0.1", "length"),
        ("ether host 02:00:00:00:00:01", "Ethernet"),
        ("icmp[icmptype] = icmp-echo", "transport header"),
        ("ip[8] > 64", "IP header"),
        ("ip[0] & 15 > 5", "IP header"),
        ("udp[8] = 1", "payload"),
        ("vlan and ether[14] & 0xe0 = 0", "VLAN tag"),
        ("mpls 5", "mpls"),
        ("geneve", "geneve"),
        ("host example.com", "example.com"),
        ("tcp port", "syntax error"),
    ],
)
def test_what_a_flow_does_not_have_is_refused(expression: str, word: str, capture: Path) -> None:
    with pytest.raises(UsageError) as told:
        fk.open(capture).flows().where(fk.FlowQuery(flow_filter=expression))
    assert word in str(told.value)


def test_what_is_decided_without_it_is_not_refused(capture: Path) -> None:
    query = fk.FlowQuery(flow_filter="host 10.9.9.9 and tcp[tcpflags] & tcp-syn != 0")
    assert len(fk.open(capture).flows().where(query)) == 0


def test_flows_in_tunnels_match_by_their_own_addresses(tmp_path: Path) -> None:
    inner = wire.ether(wire.ip4("192.168.1.1", "192.168.1.2", wire.tcp(1234, 80, flags="S")))
    outer = wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(5555, 4789, wire.vxlan(inner))))
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap([Packet(wire.START_NS, bytes(outer))]))
    flows = fk.open(path).flows()
    assert len(flows.where(fk.FlowQuery(flow_filter="tcp and host 192.168.1.2"))) == 1
    assert len(flows.where(fk.FlowQuery(flow_filter="host 10.0.0.2"))) == 0


def test_fragments_without_their_first_have_no_ports(tmp_path: Path) -> None:
    pieces = wire.ip4_fragments("10.0.0.1", "10.0.0.2", wire.udp(7, 9, bytes(2000)), size=600, ident=7)[1:]
    path = tmp_path / "a.pcap"
    path.write_bytes(
        wire.pcap([Packet(wire.START_NS + i, bytes(wire.ether(p))) for i, p in enumerate(pieces)])
    )
    flows = fk.open(path).flows()
    assert len(flows.where(fk.FlowQuery(flow_filter="udp"))) == len(flows) == 1
    assert len(flows.where(fk.FlowQuery(flow_filter="port 9 or port 0"))) == 0


def test_only_the_word_vlan_shows_the_tags() -> None:
    assert compile_for_flows("port 33024")[1] is False
    assert compile_for_flows("not vlan 7")[1] is True
