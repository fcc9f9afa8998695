"""Frames for the demo capture, with correct lengths and checksums."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import NamedTuple

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP, UDP, ICMP, ICMP6, GRE = 6, 17, 1, 58, 47
# maximum segment size 1460, SACK permitted, time stamps, no-op, window scale 7
SYN_OPTIONS = bytes.fromhex("020405b4 0402 080a0000000100000000 01 030307")


class Host(NamedTuple):
    """An end of a conversation."""

    mac: bytes
    ip: bytes  # 4 or 16 bytes


def host(address: str, number: int) -> Host:
    """A host with a locally administered MAC address."""
    return Host(b"\x02\0\0\0" + number.to_bytes(2, "big"), ip_address(address).packed)


def checksum(*parts: bytes) -> int:
    """The Internet checksum (RFC 1071) of parts; all but the last have an even length.

    A sum of 16-bit words with end-around carry is a remainder modulo 65535, and
    one long division is much faster here than a loop.
    """
    total = 0
    for part in parts:
        number = int.from_bytes(part, "big")
        total += (number << 8 if len(part) % 2 else number) % 0xFFFF
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if any(map(any, parts)) else 0))


def ether(src: Host, dst: Host, packet: bytes, tags: bytes = b"") -> bytes:
    """An Ethernet frame around an IP packet; ``tags`` are VLAN tags from `vlan`."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return b"".join((dst.mac, src.mac, tags, kind, packet))


def vlan(vid: int, tpid: int = 0x8100) -> bytes:
    """An IEEE 802.1Q or 802.1ad tag."""
    return struct.pack(">HH", tpid, vid)


def ip(src: bytes, dst: bytes, proto: int, body: bytes, ident: int = 0) -> bytes:
    """An IPv4 or IPv6 packet, as the length of the addresses says."""
    if len(src) == 16:
        return b"".join((struct.pack(">IHBB", 6 << 28, len(body), proto, 64), src, dst, body))
    start = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(body), ident & 0xFFFF, 0x4000, 64, proto)
    value = checksum(start, src, dst)
    return b"".join((start, value.to_bytes(2, "big"), src, dst, body))


def _pseudo(src: bytes, dst: bytes, proto: int, length: int) -> bytes:
    return src + dst + struct.pack(">IHH", length, 0, proto)


def tcp(
    src: Host,
    dst: Host,
    ports: tuple[int, int],
    seq: int,
    ack: int,
    flags: int,
    payload: bytes = b"",
) -> bytes:
    """A TCP segment in IP; a SYN carries the usual options."""
    options = SYN_OPTIONS if flags & SYN else b""
    size = 20 + len(options)
    numbers = (*ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, size << 2, flags, 64240)
    head = struct.pack(">HHIIBBH", *numbers)
    pseudo = _pseudo(src.ip, dst.ip, TCP, size + len(payload))
    value = checksum(pseudo, head, options, payload)
    tail = struct.pack(">HH", value, 0)
    return ip(src.ip, dst.ip, TCP, b"".join((head, tail, options, payload)), seq >> 4)


def udp(src: Host, dst: Host, ports: tuple[int, int], payload: bytes) -> bytes:
    """A UDP datagram in IP."""
    head = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    value = checksum(_pseudo(src.ip, dst.ip, UDP, 8 + len(payload)), head, payload) or 0xFFFF
    return ip(src.ip, dst.ip, UDP, head[:6] + value.to_bytes(2, "big") + payload)


def ping(src: Host, dst: Host, number: int, *, reply: bool) -> bytes:
    """An ICMP or ICMPv6 echo in IP."""
    six = len(src.ip) == 16
    kind = (129 if reply else 128) if six else (0 if reply else 8)
    body = struct.pack(">BBHHH", kind, 0, 0, 0x4242, number) + bytes(range(56))
    proto = ICMP6 if six else ICMP
    value = checksum(_pseudo(src.ip, dst.ip, proto, len(body)) if six else b"", body)
    return ip(src.ip, dst.ip, proto, body[:2] + value.to_bytes(2, "big") + body[4:])


def vxlan(src: Host, dst: Host, frame: bytes, vni: int) -> bytes:
    """A frame in VXLAN (RFC 7348) in IP; without UDP checksum, as VXLAN senders do."""
    payload = struct.pack(">II", 0x08000000, vni << 8) + frame
    head = struct.pack(">HHHH", 49152 + vni % 1000, 4789, 8 + len(payload), 0)
    return ip(src.ip, dst.ip, UDP, head + payload)


def gre(src: Host, dst: Host, packet: bytes) -> bytes:
    """An IP packet in GRE (RFC 2784) in IP."""
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return ip(src.ip, dst.ip, GRE, struct.pack(">HH", 0, kind) + packet)


def arp(src: Host, dst: Host, *, reply: bool) -> bytes:
    """An ARP frame."""
    target = dst.mac if reply else bytes(6)
    to = dst.mac if reply else b"\xff" * 6
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2 if reply else 1) + src.mac + src.ip
    return (to + src.mac + b"\x08\x06" + body + target + dst.ip).ljust(60, b"\0")


def lldp(src: Host, name: bytes) -> bytes:
    """An LLDP frame (IEEE 802.1AB)."""
    parts = [(1, b"\x04" + src.mac), (2, b"\x05uplink"), (3, b"\0\x78"), (5, name), (0, b"")]
    body = b"".join(struct.pack(">H", kind << 9 | len(value)) + value for kind, value in parts)
    return b"\x01\x80\xc2\0\0\x0e" + src.mac + b"\x88\xcc" + body
