"""The cases: small captures built from packets, so that any choice of the packets can be built again."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import lz4.frame
import zstandard

from tests import wire
from tests.wire import MILLISECOND, START_NS, Interface, Packet
from tests.wire.talk import Wrap
from tests.wire.write import Order, enhanced_packet, interface_block, option, section_header

from .links import LINKS

Build = Callable[[Sequence[Packet]], bytes]
CUTOFF = 500
"""Bytes of each flow that the golden trims keep."""


@dataclass(frozen=True)
class Case:
    """A capture: its packets flow by flow, and what makes a file of packets in order of time."""

    flows: tuple[tuple[Packet, ...], ...]
    build: Build
    unpack: Callable[[bytes], bytes] = bytes
    """What undoes the compression."""

    @property
    def packets(self) -> list[Packet]:
        """All packets in order of time."""
        return wire.merged(*map(list, self.flows))

    @property
    def data(self) -> bytes:
        """The capture."""
        return self.build(self.packets)

    def kept(self, cutoff: int) -> list[Packet]:
        """The packets that stay: flow by flow, as long as the running total is at most the cutoff.

        TCP packets with SYN, FIN or RST stay anyway; here they are the three first and three last of a
        connection but for its bare ACKs.
        """
        stay = set[int]()
        for flow in self.flows:
            total = 0
            for at, packet in enumerate(flow):
                total += len(packet.data)
                control = len(flow) > 4 and at in (0, 1, len(flow) - 3, len(flow) - 2)
                if total <= cutoff or control:
                    stay.add(id(packet))
        return [packet for packet in self.packets if id(packet) in stay]


def talk(
    link: Wrap | None = None, *, v6: bool = False, ifaces: Sequence[int] = (0,), parity: int = 0
) -> tuple[tuple[Packet, ...], ...]:
    """A connection of nine packets that a cutoff of 500 bytes cuts, and a question with its answer."""
    client, server = ("[2001:db8::1]", "[2001:db8::2]") if v6 else ("10.0.0.1", "10.0.0.2")
    start = START_NS + 123_456_789 + parity
    tcp = wire.tcp_session(
        f"{client}:40000", f"{server}:80", [("c", b"GET /\r\n" * 20), ("s", b"answer " * 30)],
        link=link, start_ns=start, iface=ifaces[0],
    )  # fmt: skip
    udp = wire.udp_dialogue(
        f"{client}:40001", f"{server}:53", link=link, start_ns=start + MILLISECOND // 2, iface=ifaces[-1]
    )
    return tuple(tcp), tuple(udp)


def _named(build: Callable[..., bytes], **rest: object) -> Case:
    return Case(talk(), partial(build, **rest))


def _comments(packets: Sequence[Packet], *, order: Order) -> bytes:
    """Comments on the section and on packets, an option nobody knows, and every other block there is."""
    interface = Interface(name="eth0", resolution=9)
    out = [section_header(order, comment="the section"), interface_block(order, interface)]
    out.append(wire.names_block(order, [("host.example.com", wire.addr("10.0.0.2"))]))
    out.append(wire.secrets_block(order, b"CLIENT_RANDOM 00 11\n"))
    for packet in packets:
        comment = f"at {packet.ts_ns}" if packet.ts_ns // MILLISECOND % 2 else None
        out.append(enhanced_packet(order, packet, interface.ticks(packet.ts_ns), comment=comment))
    out += [wire.custom_block(order, b"custom"), wire.statistics_block(order, 0, 11)]
    unknown = struct.pack(order + "III", 0x80000123, 16, 0xDEADBEEF) + struct.pack(order + "I", 16)
    return b"".join([*out, unknown])


def _unknown_options(packets: Sequence[Packet]) -> bytes:
    """Packets and interface carry options of numbers that are not assigned."""
    interface = Interface()
    extra = option("<", 32_000, b"odd") + bytes(4)
    out = [section_header("<")]
    body = struct.pack("<HHI", 1, 0, 0) + extra
    out.append(struct.pack("<II", 1, len(body) + 12) + body + struct.pack("<I", len(body) + 12))
    for packet in packets:
        plain = enhanced_packet("<", packet, interface.ticks(packet.ts_ns))
        size = len(plain) + len(extra)
        out.append(plain[:4] + struct.pack("<I", size) + plain[8:-4] + extra + struct.pack("<I", size))
    return b"".join(out)


def _sections(packets: Sequence[Packet]) -> bytes:
    """Three sections, of both byte orders and different clocks; the middle one is always empty."""
    middle = START_NS + 127_000_000
    first = [p for p in packets if p.ts_ns < middle]
    last = [p for p in packets if p.ts_ns >= middle]
    return (
        wire.pcapng(first, order="<", comment="one")
        + wire.pcapng([], order=">")
        + wire.pcapng(last, order=">", interfaces=[Interface(resolution=9, name="b")])
    )


def _packed(
    pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes], build: Build = wire.pcap
) -> Case:
    return Case(talk(), lambda packets: pack(build(packets)), unpack)


def _unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


_TWO = [Interface(name="a"), Interface(name="b", resolution=9)]
_SHIFTED = [Interface(resolution=6, offset=1_000_000_000)]

FORMATS: dict[str, Case] = {
    "pcap-le-us": _named(wire.pcap),
    "pcap-be-us": _named(wire.pcap, order=">"),
    "pcap-le-ns": _named(wire.pcap, ns=True),
    "pcap-be-ns": _named(wire.pcap, order=">", ns=True),
    "pcap-modified-le": _named(wire.pcap, magic=wire.PCAP_MODIFIED),
    "pcap-modified-be": _named(wire.pcap, magic=wire.PCAP_MODIFIED, order=">"),
    "pcap-netsniff-le": _named(wire.pcap, magic=wire.PCAP_NETSNIFF),
    "pcap-netsniff-be": _named(wire.pcap, magic=wire.PCAP_NETSNIFF, order=">"),
    "pcapng-le": _named(wire.pcapng),
    "pcapng-be": _named(wire.pcapng, order=">"),
    "pcapng-sections": _named(_sections),
    "pcapng-interfaces": Case(talk(ifaces=(0, 1)), partial(wire.pcapng, interfaces=_TWO)),
    "pcapng-tsresol-ms": _named(wire.pcapng, interfaces=[Interface(resolution=3)]),
    "pcapng-tsresol-2^-20": _named(wire.pcapng, interfaces=[Interface(resolution=0x80 | 20)]),
    "pcapng-tsoffset": _named(wire.pcapng, interfaces=_SHIFTED),
    "pcapng-obsolete": _named(wire.pcapng, obsolete=True),
    "pcapng-simple": _named(wire.pcapng, spb=True),
    "pcapng-comments-le": _named(_comments, order="<"),
    "pcapng-comments-be": _named(_comments, order=">"),
    "pcapng-unknown-options": _named(_unknown_options),
    "pcap-gzip": _packed(partial(gzip.compress, mtime=0), gzip.decompress),
    "pcap-zstd": _packed(zstandard.compress, _unzstd),
    "pcap-lz4": _packed(lz4.frame.compress, lz4.frame.decompress),
    "pcap-xz": _packed(lzma.compress, lzma.decompress),
    "pcapng-gzip": _packed(partial(gzip.compress, mtime=0), gzip.decompress, wire.pcapng),
}
"""One case for each dialect, block and compression."""

LINK_TYPES: dict[str, Case] = {
    f"link-{name}": Case(talk(wrap, v6=name == "ipv6"), partial(wire.pcap, link=link))
    for name, (link, wrap) in LINKS.items()
}
"""One case for each link type, and for what may stand between it and IP."""

LINK_TYPES["link-unknown"] = Case(talk(), partial(wire.pcap, link=147))

CASES = FORMATS | LINK_TYPES
