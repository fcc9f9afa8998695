"""Capture writers: pcap in all its dialects, pcapng with every block."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from .talk import Packet

Order = Literal["<", ">"]
PCAP_US, PCAP_NS, PCAP_MODIFIED, PCAP_NETSNIFF = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34, 0xA1E2CB12


def pcap(
    packets: Iterable[Packet],
    *,
    link: int = 1,
    order: Order = "<",
    ns: bool = False,
    snaplen: int = 262144,
    magic: int | None = None,
    version: tuple[int, int] = (2, 4),
) -> bytes:
    """A pcap file. Microseconds are rounded down, as capturing kernels do."""
    kind = magic if magic is not None else PCAP_NS if ns else PCAP_US
    fine = kind in (PCAP_NS, PCAP_NETSNIFF)
    out = [struct.pack(order + "IHHiIII", kind, *version, 0, 0, snaplen, link)]
    for packet in packets:
        seconds, rest = divmod(packet.ts_ns, 1_000_000_000)
        sizes = (len(packet.data), packet.original)
        out.append(struct.pack(order + "IIII", seconds, rest if fine else rest // 1000, *sizes))
        if kind == PCAP_NETSNIFF:  # time source, ifindex, protocol, hardware type, packet type
            out.append(struct.pack(order + "HHHBB", 1, 2, 0x0800, 1, 0))
        if kind == PCAP_MODIFIED:  # ifindex, protocol, packet type, padding
            out.append(struct.pack(order + "IHBB", 2, 0x0800, 0, 0))
        out.append(packet.data)
    return b"".join(out)


@dataclass(frozen=True)
class Interface:
    """A pcapng interface; ``resolution`` is the raw byte of if_tsresol, ``offset`` in seconds."""

    link: int = 1
    snaplen: int = 0
    name: str | None = None
    resolution: int | None = None
    offset: int | None = None

    @property
    def per_second(self) -> int:
        """Ticks a second."""
        if self.resolution is None:
            return 1_000_000
        power = self.resolution & 0x7F
        return int(2**power) if self.resolution & 0x80 else int(10**power)

    def ticks(self, ts_ns: int) -> int:
        """The time stamp of a moment, rounded down."""
        since = Fraction(ts_ns, 1_000_000_000) - (self.offset or 0)
        return int(since * self.per_second // 1)


def option(order: Order, code: int, value: bytes) -> bytes:
    """A pcapng option, padded."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(order: Order, kind: int, body: bytes, options: bytes = b"") -> bytes:
    """A pcapng block; options get their end mark."""
    if options:
        options += bytes(4)
    data = body + bytes(-len(body) % 4) + options
    size = struct.pack(order + "I", len(data) + 12)
    return struct.pack(order + "I", kind) + size + data + size


def section_header(order: Order, *, length: int = -1, comment: str | None = None) -> bytes:
    """A Section Header Block; length -1 is not given."""
    options = b"" if comment is None else option(order, 1, comment.encode())
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length), options)


def interface_block(order: Order, interface: Interface) -> bytes:
    """An Interface Description Block."""
    options = b""
    if interface.name is not None:
        options += option(order, 2, interface.name.encode())
    if interface.resolution is not None:
        options += option(order, 9, bytes([interface.resolution]))
    if interface.offset is not None:
        options += option(order, 14, struct.pack(order + "q", interface.offset))
    return block(order, 1, struct.pack(order + "HHI", interface.link, 0, interface.snaplen), options)


def names_block(order: Order, names: Sequence[tuple[str, bytes]]) -> bytes:
    """A Name Resolution Block of (name, packed IPv4 or IPv6 address)."""
    records = b""
    for name, address in names:
        value = address + name.encode() + b"\0"
        records += struct.pack(order + "HH", 1 if len(address) == 4 else 2, len(value))
        records += value + bytes(-len(value) % 4)
    return block(order, 4, records + bytes(4))


def secrets_block(order: Order, keys: bytes) -> bytes:
    """A Decryption Secrets Block with a TLS key log."""
    return block(order, 10, struct.pack(order + "II", 0x544C534B, len(keys)) + keys)


def statistics_block(order: Order, iface: int, received: int) -> bytes:
    """An Interface Statistics Block."""
    options = option(order, 4, struct.pack(order + "Q", received))
    return block(order, 5, struct.pack(order + "III", iface, 0, 0), options)


def custom_block(order: Order, data: bytes, *, pen: int = 32473) -> bytes:
    """A Custom Block; 32473 is the enterprise number for examples (RFC 5612)."""
    return block(order, 0xBAD, struct.pack(order + "I", pen) + data)


def enhanced_packet(order: Order, packet: Packet, ticks: int, *, comment: str | None = None) -> bytes:
    """An Enhanced Packet Block."""
    head = struct.pack(
        order + "IIIII",
        packet.iface, ticks >> 32, ticks & 0xFFFFFFFF, len(packet.data), packet.original,
    )  # fmt: skip
    options = b"" if comment is None else option(order, 1, comment.encode())
    return block(order, 6, head + packet.data, options)


def obsolete_packet(order: Order, packet: Packet, ticks: int) -> bytes:
    """A Packet Block, the obsolete ancestor of the enhanced one."""
    head = struct.pack(
        order + "HHIIII",
        packet.iface, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet.data), packet.original,
    )  # fmt: skip
    return block(order, 2, head + packet.data)


def simple_packet(order: Order, packet: Packet) -> bytes:
    """A Simple Packet Block: no time, interface 0."""
    return block(order, 3, struct.pack(order + "I", packet.original) + packet.data)


def pcapng(
    packets: Sequence[Packet],
    *,
    interfaces: Sequence[Interface] = (Interface(),),
    order: Order = "<",
    blocks: Sequence[bytes] = (),
    trailer: Sequence[bytes] = (),
    comment: str | None = None,
    packet_comments: dict[int, str] | None = None,
    spb: bool = False,
    obsolete: bool = False,
) -> bytes:
    """One section. ``blocks`` stand before the packets, ``trailer`` after them.

    Several sections, each in its own byte order, are several results joined together.
    """
    comments = packet_comments or {}
    out = [section_header(order, comment=comment)]
    out += [interface_block(order, interface) for interface in interfaces]
    out += blocks
    for number, packet in enumerate(packets):
        ticks = interfaces[packet.iface].ticks(packet.ts_ns)
        if spb:
            out.append(simple_packet(order, packet))
        elif obsolete:
            out.append(obsolete_packet(order, packet, ticks))
        else:
            out.append(enhanced_packet(order, packet, ticks, comment=comments.get(number)))
    return b"".join([*out, *trailer])
