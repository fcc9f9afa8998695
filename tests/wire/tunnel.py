"""Tunnels: GRE, ERSPAN, VXLAN, Geneve, GTP-U, Teredo, L2TP, CAPWAP.

Those inside UDP give the UDP payload. IP-in-IP and 6in4 need no function: an IP layer is a body.
"""

from __future__ import annotations

import struct

from .layer import Layer, addr, announced, checksum

VXLAN_PORT, GENEVE_PORT, GTPU_PORT, TEREDO_PORT, L2TP_PORT, CAPWAP_PORT = (
    4789, 6081, 2152, 3544, 1701, 5247,
)  # fmt: skip


def gre(
    body: bytes,
    *,
    key: int | None = None,
    seq: int | None = None,
    csum: bool = False,
    protocol: int | None = None,
) -> Layer:
    """GRE (RFC 2784, 2890) around anything with an EtherType, an Ethernet frame included."""
    flags = csum << 15 | (key is not None) << 13 | (seq is not None) << 12
    head = struct.pack(">HH", flags, announced(body, protocol, "ethertype"))
    tail = (b"" if key is None else struct.pack(">I", key)) + (b"" if seq is None else struct.pack(">I", seq))
    if csum:
        value = checksum(head + bytes(4) + tail + body)
        tail = struct.pack(">HH", value, 0) + tail
    return Layer(head + tail + body, proto=47)


def pptp(body: bytes, *, call: int = 1, seq: int = 0, ack: int | None = None) -> Layer:
    """Enhanced GRE of PPTP (RFC 2637) around a PPP payload."""
    inner = b"\xff\x03" + struct.pack(">H", announced(body, None, "ppp")) + body
    flags = 0x3001 | (ack is not None) << 7
    head = struct.pack(">HHHHI", flags, 0x880B, len(inner), call, seq)
    return Layer(head + (b"" if ack is None else struct.pack(">I", ack)) + inner, proto=47)


def erspan(frame: bytes, kind: int = 2, *, session: int = 1, seq: int = 0) -> Layer:
    """ERSPAN type I, II or III (1, 2, 3) in GRE around an Ethernet frame."""
    if kind == 1:
        return gre(frame, protocol=0x88BE)
    if kind == 2:
        return gre(struct.pack(">HHI", 1 << 12, session, 0) + frame, protocol=0x88BE, seq=seq)
    head = struct.pack(">HHIHH", 2 << 12, session, 0, 0, 0)
    return gre(head + frame, protocol=0x22EB, seq=seq)


def vxlan(frame: bytes, vni: int = 1) -> bytes:
    """VXLAN (RFC 7348) around an Ethernet frame, for UDP port 4789."""
    return struct.pack(">II", 0x08000000, vni << 8) + frame


def geneve(body: bytes, vni: int = 1, *, options: bytes = b"") -> bytes:
    """Geneve (RFC 8926) around anything with an EtherType, for UDP port 6081."""
    head = struct.pack(">BBHI", len(options) // 4, 0, announced(body, None, "ethertype"), vni << 8)
    return head + options + body


def gtpu(packet: bytes, teid: int = 1, *, seq: int | None = None, container: bool = False) -> bytes:
    """GTP-U G-PDU (TS 29.281) around an IP packet, for UDP port 2152.

    ``container`` adds the PDU session container extension header of 5G (TS 38.415).
    """
    optional = b""
    if seq is not None or container:
        optional = struct.pack(">HBB", seq or 0, 0, 0x85 if container else 0)
    if container:
        optional += b"\x01\x10\x09\x00"
    flags = 0x30 | container << 2 | (seq is not None) << 1
    return struct.pack(">BBHI", flags, 0xFF, len(optional) + len(packet), teid) + optional + packet


def teredo(packet: bytes, *, auth: bool = False, origin: tuple[str, int] | None = None) -> bytes:
    """Teredo (RFC 4380) around an IPv6 packet, for UDP port 3544, with its indications."""
    head = b"\0\x01\0\0" + bytes(9) if auth else b""
    if origin is not None:
        hidden = bytes(byte ^ 0xFF for byte in addr(origin[0]))
        head += struct.pack(">HH", 0, origin[1] ^ 0xFFFF) + hidden
    return head + packet


def l2tp(body: bytes, *, tunnel: int = 1, session: int = 1, length: bool = True) -> bytes:
    """An L2TPv2 data message (RFC 2661) around a PPP payload, for UDP port 1701."""
    inner = b"\xff\x03" + struct.pack(">H", announced(body, None, "ppp")) + body
    if not length:
        return struct.pack(">HHH", 0x0002, tunnel, session) + inner
    return struct.pack(">HHHH", 0x4002, 8 + len(inner), tunnel, session) + inner


def l2tpv3(frame: bytes, *, session: int = 1) -> Layer:
    """L2TPv3 directly over IP (RFC 3931, 4719) around an Ethernet frame, no cookie."""
    return Layer(struct.pack(">I", session) + frame, proto=115)


def capwap(frame: bytes, *, native: bool = False) -> bytes:
    """CAPWAP data (RFC 5415), for UDP port 5247: IEEE 802.11 when ``native``, else 802.3."""
    head_len, wbid = 2, 1
    bits = head_len << 19 | 1 << 14 | wbid << 9 | native << 8
    return struct.pack(">BBH", 0, bits >> 16, bits & 0xFFFF) + bytes(4) + frame
