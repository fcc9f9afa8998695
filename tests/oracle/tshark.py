"""tshark's reading of a capture: packets, and for each 5-tuple packets and payload bytes of each end.

tshark runs once a file and prints every occurrence of a few header fields; flows are grouped here.
It and flowkeep mean different things by some headers. Those differences are settled here, and only
here:

* Only the dissectors of `HEADERS` are on, so no guess at a payload claims a packet. ICMP is off:
  the header quoted in an error message is no packet. Reassembly is off.
* The innermost IP header counts if all around it are of flowkeep's tunnels (`TUNNELS`), up to four;
  fragments are not looked into, nor AH in IPv4, which is a protocol like any other.
* A later fragment joins the flow of its first one, by the rule of `tests.model.flow`.
* A payload length that tshark does not print (a snapped header) is unknown; then the payload of
  the flow is not compared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

End = tuple[str, int]
Tuple = tuple[int, frozenset[End]]

TUNNELS = {"gre", "erspan", "vxlan", "geneve", "gtp", "teredo", "l2tp", "capwap.data"}
EXTENSIONS = ("ipv6.hopopts", "ipv6.routing", "ipv6.dstopts", "ipv6.fraghdr", "ah", "mipv6")
TRANSPORTS = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite"}
# fmt: off
HEADERS = {
    "frame", "eth", "ethertype", "llc", "vlan", "ieee8021ad", "ieee8021ah", "mpls", "pwethcw", "pwethnocw",
    "pwethheuristic", "pppoes", "ppp", "ppp_hdlc", "chdlc", "sll", "null", "raw", "fpp", "juniper",
    "wlan", "wlan_radio", "wlan_aggregate", "radiotap", "ppi", "prism", "wlancap", "pcap_pktdata",
    "ip", "ipv6", *EXTENSIONS, *TUNNELS, "capwap", "tcp", "udp", "sctp", "udplite", "data", "pkt_comment",
}
FIELDS = (
    "frame.protocols", "frame.time_epoch", "frame.encap_type",
    "ip.src", "ip.dst", "ip.proto", "ip.hdr_len", "ip.len", "ip.id", "ip.frag_offset", "ip.flags.mf",
    "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen",
    "ipv6.fraghdr.nxt", "ipv6.fraghdr.ident", "ipv6.fraghdr.offset", "ipv6.fraghdr.more",
    "ipv6.hopopts.nxt", "ipv6.routing.nxt", "ipv6.dstopts.nxt", "ah.next_header", "mip6.proto",
    "ipv6.hopopts.len_oct", "ipv6.routing.len_oct", "ipv6.dstopts.len_oct", "ah.length", "mip6.hlen",
    "tcp.srcport", "tcp.dstport", "tcp.len", "udp.srcport", "udp.dstport", "udp.length",
    "sctp.srcport", "sctp.dstport",
)
# fmt: on
NEAR_S, AFTER_PACKETS = 30, 1 << 13


@dataclass
class Side:
    """What one end of a 5-tuple sent; ``payload`` is None where it is not known."""

    packets: int = 0
    payload: int | None = 0

    def add(self, payload: int | None) -> None:
        self.packets += 1
        self.payload = None if payload is None or self.payload is None else self.payload + payload


@dataclass
class Reading:
    """What tshark found in one capture."""

    packets: int = 0
    flows: dict[Tuple, dict[End, Side]] = field(default_factory=dict)
    unread: str | None = None  # why tshark reads none of it


@dataclass
class _Packet:
    time: float
    src: str
    dst: str
    proto: int
    payload: int | None
    ports: tuple[int, int] = (0, 0)
    ident: str | None = None  # set in fragments
    later: bool = False


def available() -> bool:
    return shutil.which("tshark") is not None


def configure(folder: Path) -> None:
    """Make ``folder`` a configuration in which only the dissectors of `HEADERS` are on."""
    listed = subprocess.run(["tshark", "-G", "protocols"], capture_output=True, text=True, check=True)
    names = {line.split("\t")[2] for line in listed.stdout.splitlines()}
    (folder / "disabled_protos").write_text("".join(f"{name}\n" for name in sorted(names - HEADERS)))


def read(path: Path, configuration: Path) -> Reading:
    """Read one capture; a damaged one as far as tshark goes."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"]
    for name in (
        "ip.defragment",
        "ipv6.defragment",
        "tcp.desegment_tcp_streams",
        "tcp.analyze_sequence_numbers",
    ):
        command += ["-o", f"{name}:FALSE"]
    for name in FIELDS:
        command += ["-e", name]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(configuration)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    reading, packets = Reading(), []
    if "doesn't support" in done.stderr:
        reading.unread = done.stderr.strip().splitlines()[-1]
    for line in done.stdout.splitlines():
        columns = dict(zip(FIELDS, (v.split(",") if v else [] for v in line.split("\t")), strict=True))
        if not columns["frame.encap_type"]:
            continue  # a pcapng custom block, which tshark lists among the packets
        reading.packets += 1
        packet = _packet(columns)
        if packet is not None:
            packets.append(packet)
    for packet, ports in _with_ports(packets):
        ends = (packet.src, ports[0]), (packet.dst, ports[1])
        sides = reading.flows.setdefault((packet.proto, frozenset(ends)), {end: Side() for end in ends})
        sides[ends[0]].add(packet.payload)
    return reading


def _tokens(columns: dict[str, list[str]]) -> list[str]:
    return columns["frame.protocols"][0].split(":") if columns["frame.protocols"] else []


def _packet(columns: dict[str, list[str]]) -> _Packet | None:
    """The innermost IP packet that flowkeep would look at."""
    taken: Counter[str] = Counter()

    def value(name: str, token: str) -> str | None:
        """The field of the header of this kind that was reached last."""
        values, at = columns[name], taken[token] - 1
        return values[at] if 0 <= at < len(values) else None

    tokens = _tokens(columns)
    found: _Packet | None = None
    depth, tunnel = -1, False
    for at, token in enumerate(tokens):
        if token == "ip" and not columns["ip.src"]:
            continue  # a link type of IPv4 that holds IPv6
        taken[token] += 1
        if token in TUNNELS:
            tunnel = True
        if token not in ("ip", "ipv6"):
            continue
        over_ip = (
            found is not None and found.proto in (4, 41) and tokens[at - 1] in ("ip", "ipv6", *EXTENSIONS)
        )
        if found is not None and (found.ident is not None or not (tunnel or over_ip)):
            break
        depth, tunnel = depth + 1, False
        if depth > 4:
            break
        following = _header_chain(tokens, at)
        inner = _ip4(value) if token == "ip" else _ip6(value, tokens[at + 1 : following], taken)
        if inner is None:
            break
        inner.time = float(next(iter(columns["frame.time_epoch"]), 0))
        found = inner
        if not inner.later:
            kind = TRANSPORTS.get(inner.proto)
            here = tokens[following] if following < len(tokens) else ""
            _transport(inner, kind if kind == here else None, columns, taken)
    return found


def _header_chain(tokens: list[str], at: int) -> int:
    """Where the extension headers of an IPv6 header end."""
    end = at + 1
    while tokens[at] == "ipv6" and end < len(tokens) and tokens[end] in EXTENSIONS:
        end += 1
    return end


def _ip4(value) -> _Packet | None:  # type: ignore[no-untyped-def]
    src, dst, proto = value("ip.src", "ip"), value("ip.dst", "ip"), value("ip.proto", "ip")
    if src is None or dst is None or proto is None:
        return None
    length, size = value("ip.len", "ip"), value("ip.hdr_len", "ip")
    payload = None if length is None or size is None else max(int(length) - int(size), 0)
    later = int(value("ip.frag_offset", "ip") or 0) > 0
    more = (value("ip.flags.mf", "ip") or "0") in ("1", "True")
    ident = value("ip.id", "ip") if later or more else None
    return _Packet(0, src, dst, int(proto), payload, ident=ident, later=later)


NEXT = {
    "ipv6.hopopts": ("ipv6.hopopts.nxt", "ipv6.hopopts.len_oct"),
    "ipv6.routing": ("ipv6.routing.nxt", "ipv6.routing.len_oct"),
    "ipv6.dstopts": ("ipv6.dstopts.nxt", "ipv6.dstopts.len_oct"),
    "ipv6.fraghdr": ("ipv6.fraghdr.nxt", ""),
    "ah": ("ah.next_header", "ah.length"),
    "mipv6": ("mip6.proto", "mip6.hlen"),
}


def _ip6(value, extensions: list[str], taken: Counter[str]) -> _Packet | None:  # type: ignore[no-untyped-def]
    src, dst, proto = value("ipv6.src", "ipv6"), value("ipv6.dst", "ipv6"), value("ipv6.nxt", "ipv6")
    if src is None or dst is None or proto is None:
        return None
    length = int(value("ipv6.plen", "ipv6") or 0)
    packet = _Packet(0, src, dst, int(proto), length or None)
    ahead = Counter(taken)
    for kind in extensions:
        taken[kind] += 1
        following, size = NEXT[kind]
        proto = value(following, kind)
        if proto is None:
            return packet
        packet.proto = int(proto)
        bytes_ = 8
        if size:
            text = value(size, kind)
            units = {"ah": lambda n: (n + 2) * 4, "mipv6": lambda n: (n + 1) * 8}.get(kind, int)
            bytes_ = -1 if text is None else units(int(text))
        packet.payload = None if packet.payload is None or bytes_ < 0 else max(packet.payload - bytes_, 0)
        if kind == "ipv6.fraghdr":
            packet.later = int(value("ipv6.fraghdr.offset", kind) or 0) > 0
            if packet.later or (value("ipv6.fraghdr.more", kind) or "0") in ("1", "True"):
                packet.ident = value("ipv6.fraghdr.ident", kind)
    taken.clear()
    taken.update(ahead)  # the walk over the tokens counts them when it comes to them
    return packet


def _transport(packet: _Packet, kind: str | None, columns: dict[str, list[str]], taken: Counter[str]) -> None:
    room = packet.payload
    if kind is None:
        least = {6: 20, 17: 8, 132: 12, 136: 8, 1: 8, 58: 8}.get(packet.proto)
        if least is not None:
            packet.payload = None if room is None or room < least else room - least
            if packet.proto in TRANSPORTS:
                packet.payload = None
        return
    prefix = "udp" if kind == "udplite" else kind
    at = taken["udp"] + taken["udplite"] if prefix == "udp" else taken[kind]

    def value(name: str) -> str | None:
        values = columns[name]
        return values[at] if at < len(values) else None

    packet.ports = (int(value(f"{prefix}.srcport") or 0), int(value(f"{prefix}.dstport") or 0))
    if kind == "tcp":
        length = value("tcp.len")
        packet.payload = None if length is None else int(length)
    elif kind == "udp":
        length = value("udp.length")
        known = None if length is None or room is None else room - 8
        packet.payload = known if known is None or int(length or 0) < 8 else min(int(length or 0) - 8, known)
    else:
        packet.payload = None if room is None else room - (12 if kind == "sctp" else 8)


def _with_ports(packets: list[_Packet]) -> Iterator[tuple[_Packet, tuple[int, int]]]:
    """Each packet with its ports; later fragments with those of the first one of their datagram."""
    firsts: dict[object, list[int]] = defaultdict(list)
    for n, p in enumerate(packets):
        if p.ident is not None and not p.later:
            firsts[_datagram(p)].append(n)
    for n, p in enumerate(packets):
        ports = p.ports
        if p.later:
            numbers = firsts.get(_datagram(p), [])
            before = [m for m in numbers if m < n][-1:]
            after = [m for m in numbers if n < m <= n + AFTER_PACKETS][:1]
            near = [m for m in before + after if abs(packets[m].time - p.time) <= NEAR_S][:1]
            ports = packets[near[0]].ports if near else (0, 0)
        yield p, ports


def _datagram(p: _Packet) -> object:
    return p.src, p.dst, p.ident, 44 if ":" in p.src else p.proto
