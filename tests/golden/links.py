"""Headers of link types that only the golden tests build."""

from __future__ import annotations

import struct

from tests.wire import samples
from tests.wire.layer import announced
from tests.wire.link import c_hdlc, ether, ppp, wlan
from tests.wire.talk import Wrap


def prism(packet: bytes) -> bytes:
    """The 144-byte header of Prism cards: message code, its length, device, then ten items of 12 bytes."""
    head = struct.pack("<II16s", 0x44, 144, b"wlan0")
    items = b"".join(struct.pack("<IHHI", 0x44 | (n + 1) << 12, 0, 4, n) for n in range(10))
    return head + items + wlan(packet)


def avs(packet: bytes) -> bytes:
    """The 64-byte header of the AVS project, in network order."""
    return struct.pack(">II", 0x80211001, 64) + bytes(56) + wlan(packet)


def mpacket(packet: bytes) -> bytes:
    """IEEE 802.3br: preamble, the start delimiter of an express frame, the frame, its checksum."""
    return b"\x55" * 7 + b"\xd5" + ether(packet) + bytes(4)


def juniper_ether(packet: bytes) -> bytes:
    """Juniper's magic, flags and a 6-byte extension before an Ethernet frame."""
    return b"MGC\x81" + struct.pack(">H", 6) + b"\x01\x01\x07\x02\x01\x09" + ether(packet)


def juniper_ppp(packet: bytes) -> bytes:
    """Juniper's magic and flags before a PPP frame."""
    return b"MGC\x01" + ppp(packet)


def juniper_chdlc(packet: bytes) -> bytes:
    """Juniper's magic and flags before a Cisco HDLC frame."""
    return b"MGC\x01" + c_hdlc(packet)


def pppd(packet: bytes) -> bytes:
    """PPP as pppd hands it over: a direction in the place of the address 0xff."""
    return b"\x01\x03" + struct.pack(">H", announced(packet, None, "ppp")) + packet


def ppp_with_dir(packet: bytes) -> bytes:
    """A direction before a PPP frame."""
    return b"\x00" + ppp(packet, hdlc=True)


def c_hdlc_with_dir(packet: bytes) -> bytes:
    """A direction before a Cisco HDLC frame."""
    return b"\x00" + c_hdlc(packet)


LINKS: dict[str, tuple[int, Wrap]] = {
    **samples.LINKS,
    **samples.LINKS_ONE_VERSION,
    "prism": (119, prism),
    "avs": (163, avs),
    "pppd": (166, pppd),
    "juniper-ether": (178, juniper_ether),
    "juniper-ppp": (179, juniper_ppp),
    "juniper-chdlc": (181, juniper_chdlc),
    "ppp-with-dir": (204, ppp_with_dir),
    "c-hdlc-with-dir": (205, c_hdlc_with_dir),
    "mpacket": (274, mpacket),
}
"""Name to link type and what makes a frame of an IP packet."""
