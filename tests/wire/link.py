"""Link layers: Ethernet and what stands between it and IP, cooked, loop-back, PPP, IEEE 802.11."""

from __future__ import annotations

import struct
from typing import Literal

from .layer import Layer, addr, announced, mac

ETHERNET, NULL, PPP, RAW_BSD, RAW_OPENBSD, PPP_HDLC, PPP_ETHER = 1, 0, 9, 12, 14, 50, 51
RAW, C_HDLC, IEEE802_11, LOOP, SLL, RADIOTAP, PPI = 101, 104, 105, 108, 113, 127, 192
IPV4, IPV6, SLL2 = 228, 229, 276

CLIENT_MAC = "02:00:00:00:00:01"
SERVER_MAC = "02:00:00:00:00:02"
_SNAP = b"\xaa\xaa\x03\x00\x00\x00"


def ether(
    body: bytes,
    *,
    src: str = CLIENT_MAC,
    dst: str = SERVER_MAC,
    ethertype: int | None = None,
    pad: bool = False,
) -> Layer:
    """An Ethernet II frame; ``pad`` fills it to the 60 bytes of the shortest frame."""
    frame = mac(dst) + mac(src) + struct.pack(">H", announced(body, ethertype, "ethertype")) + body
    if pad:
        frame = frame.ljust(60, b"\0")
    return Layer(frame, ethertype=0x6558, proto=143, ppp=0x0031)


def ether_llc(llc: bytes, *, src: str = CLIENT_MAC, dst: str = "01:80:c2:00:00:00") -> Layer:
    """An IEEE 802.3 frame with a length field, as spanning tree sends them."""
    frame = mac(dst) + mac(src) + struct.pack(">H", len(llc)) + llc
    return Layer(frame.ljust(60, b"\0"), ethertype=0x6558)


def snap(body: bytes, *, ethertype: int | None = None) -> bytes:
    """LLC/SNAP before ``body`` (RFC 1042)."""
    return _SNAP + struct.pack(">H", announced(body, ethertype, "ethertype")) + body


def vlan(body: bytes, vid: int, *, pcp: int = 0, tpid: int = 0x8100, ethertype: int | None = None) -> Layer:
    """An IEEE 802.1Q tag; nest two with ``tpid=0x88A8`` on the outer for QinQ."""
    inner = announced(body, ethertype, "ethertype")
    return Layer(struct.pack(">HH", pcp << 13 | vid, inner) + body, ethertype=tpid)


def mpls(body: bytes, *labels: int, ttl: int = 64) -> Layer:
    """A stack of MPLS labels (RFC 3032), the first one outermost."""
    stack = b"".join(
        struct.pack(">I", label << 12 | (i == len(labels) - 1) << 8 | ttl) for i, label in enumerate(labels)
    )
    return Layer(stack + body, ethertype=0x8847, proto=137, ppp=0x0281)


def ppp(body: bytes, *, protocol: int | None = None, hdlc: bool = False) -> Layer:
    """A PPP frame (RFC 1661), with address and control field if ``hdlc`` (RFC 1662)."""
    head = b"\xff\x03" if hdlc else b""
    return Layer(head + struct.pack(">H", announced(body, protocol, "ppp")) + body, ethertype=0x880B)


def pppoe(body: bytes, session: int = 1) -> Layer:
    """A PPPoE session packet (RFC 2516) around a PPP payload, which brings its own protocol."""
    inner = ppp(body)
    return Layer(struct.pack(">BBHH", 0x11, 0, session, len(inner)) + inner, ethertype=0x8864)


def pppoe_discovery(code: int = 0x09) -> Layer:
    """A PPPoE discovery packet (PADI by default), which holds no IP."""
    return Layer(struct.pack(">BBHHHH", 0x11, code, 0, 4, 0x0101, 0), ethertype=0x8863)


def arp(sender: str, target: str, *, op: int = 1, sender_mac: str = CLIENT_MAC) -> Layer:
    """An ARP request (``op=1``) or reply (``op=2``)."""
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, op)
    return Layer(head + mac(sender_mac) + addr(sender) + bytes(6) + addr(target), ethertype=0x0806)


def lldp(name: str = "switch.example.com") -> Layer:
    """An LLDP data unit (IEEE 802.1AB) with chassis, port, time to live and system name."""

    def tlv(kind: int, value: bytes) -> bytes:
        return struct.pack(">H", kind << 9 | len(value)) + value

    chassis = tlv(1, b"\x04" + mac(SERVER_MAC))
    unit = chassis + tlv(2, b"\x05port-1") + tlv(3, b"\0\x78") + tlv(5, name.encode()) + tlv(0, b"")
    return Layer(unit, ethertype=0x88CC)


def stp() -> Layer:
    """A spanning tree frame: IEEE 802.3 with LLC, no EtherType."""
    return ether_llc(b"\x42\x42\x03" + bytes(35))


def sll(body: bytes, *, direction: int = 0, ethertype: int | None = None) -> Layer:
    """Linux cooked capture (link type 113); ``direction`` 0 is to us, 4 from us."""
    kind = announced(body, ethertype, "ethertype")
    head = struct.pack(">HHH", direction, 1, 6) + mac(CLIENT_MAC)
    return Layer(head + struct.pack(">HH", 0, kind) + body)


def sll2(body: bytes, *, ifindex: int = 2, direction: int = 0, ethertype: int | None = None) -> Layer:
    """Linux cooked capture version 2 (link type 276)."""
    kind = announced(body, ethertype, "ethertype")
    head = struct.pack(">HHIHBB", kind, 0, ifindex, 1, direction, 6)
    return Layer(head + mac(CLIENT_MAC) + bytes(2) + body)


def null(body: bytes, *, order: Literal["<", ">"] = "<", family: int | None = None) -> Layer:
    """BSD loop-back (link type 0): the address family in the order of the capturing machine."""
    return Layer(struct.pack(order + "I", _family(body) if family is None else family) + body)


def loop(body: bytes) -> Layer:
    """OpenBSD loop-back (link type 108): the address family in network order."""
    return Layer(struct.pack(">I", _family(body)) + body)


def _family(body: bytes) -> int:
    return 2 if body[0] >> 4 == 4 else 30


def c_hdlc(body: bytes) -> Layer:
    """Cisco HDLC (link type 104)."""
    return Layer(struct.pack(">BBH", 0x0F, 0, announced(body, None, "ethertype")) + body)


def wlan(
    body: bytes,
    *,
    qos: bool = True,
    protected: bool = False,
    to_ds: bool = True,
    from_ds: bool = False,
    ht: bool = False,
) -> Layer:
    """An IEEE 802.11 data frame around LLC/SNAP; a ``protected`` one holds ``body`` as it is."""
    flags = to_ds * 0x01 | from_ds * 0x02 | protected * 0x40 | ht * 0x80
    head = bytes([0x88 if qos else 0x08, flags, 0, 0])
    head += mac("02:00:00:00:00:03") + mac(CLIENT_MAC) + mac(SERVER_MAC) + b"\x10\0"
    if to_ds and from_ds:
        head += mac("02:00:00:00:00:04")
    if qos:
        head += b"\0\0"
    if qos and ht:
        head += bytes(4)
    return Layer(head + (body if protected else snap(body)))


def wlan_beacon() -> Layer:
    """An IEEE 802.11 beacon, which carries no data."""
    head = b"\x80\0\0\0" + b"\xff" * 6 + mac(SERVER_MAC) * 2 + b"\x20\0"
    return Layer(head + bytes(8) + b"\x64\0\x01\0" + b"\0\x07example")


def radiotap(frame: bytes, *, fcs: bool = False) -> Layer:
    """A radiotap header (flags, rate) before an IEEE 802.11 frame, with ``fcs`` one behind it."""
    head = struct.pack("<BBHIBB", 0, 0, 10, 0b110, 0x10 if fcs else 0, 2)
    return Layer(head + frame + (bytes(4) if fcs else b""))


def ppi(frame: bytes, *, link: int = IEEE802_11) -> Layer:
    """A Per-Packet Information header without fields before a frame of ``link``."""
    return Layer(struct.pack("<BBHI", 0, 0, 8, link) + frame)
