"""Transport headers: TCP with options, UDP, UDP-Lite, SCTP, ICMP, ICMPv6."""

from __future__ import annotations

import struct

from .layer import Layer, checksum, crc32c

_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}


def tcp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    seq: int = 0,
    ack: int = 0,
    flags: str = "A",
    window: int = 65535,
    options: bytes = b"",
) -> Layer:
    """A TCP segment; ``flags`` are letters of FSRPAUEC, ``options`` made by the functions below."""
    options = options.ljust(len(options) + -len(options) % 4, b"\1")
    bits = sum(_FLAGS[letter] for letter in flags)
    head = struct.pack(
        ">HHIIBBHHH",
        sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
        (5 + len(options) // 4) << 4, bits, window, 0, 0,
    )  # fmt: skip
    return Layer(head + options + payload, proto=6, sum_at=16)


def mss(size: int) -> bytes:
    """The TCP maximum segment size option."""
    return struct.pack(">BBH", 2, 4, size)


def wscale(shift: int) -> bytes:
    """The TCP window scale option (RFC 7323)."""
    return struct.pack(">BBBB", 1, 3, 3, shift)


def sack_permitted() -> bytes:
    """The TCP SACK-permitted option (RFC 2018)."""
    return b"\1\1\4\2"


def sack(*blocks: tuple[int, int]) -> bytes:
    """The TCP SACK option (RFC 2018)."""
    edges = b"".join(struct.pack(">II", left, right) for left, right in blocks)
    return b"\1\1" + bytes([5, 2 + len(edges)]) + edges


def timestamps(value: int, echo: int = 0) -> bytes:
    """The TCP time stamps option (RFC 7323)."""
    return struct.pack(">BBBBII", 1, 1, 8, 10, value, echo)


def udp(sport: int, dport: int, payload: bytes = b"", *, checksum: bool = True) -> Layer:
    """A UDP datagram; without ``checksum`` the field is 0, as IPv4 allows."""
    data = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    return Layer(data, proto=17, sum_at=6 if checksum else None)


def udplite(sport: int, dport: int, payload: bytes = b"", *, coverage: int = 0) -> Layer:
    """A UDP-Lite datagram (RFC 3828); coverage 0 is all of it."""
    data = struct.pack(">HHHH", sport, dport, coverage, 0) + payload
    return Layer(data, proto=136, sum_at=6, sum_len=coverage or None)


def sctp(sport: int, dport: int, *chunks: bytes, tag: int = 1) -> Layer:
    """An SCTP packet (RFC 9260) with CRC-32C."""
    data = struct.pack(">HHII", sport, dport, tag, 0) + b"".join(chunks)
    return Layer(data[:8] + struct.pack("<I", crc32c(data)) + data[12:], proto=132)


def sctp_data(payload: bytes, *, tsn: int = 1, stream: int = 0, sequence: int = 0) -> bytes:
    """An SCTP DATA chunk holding a whole message."""
    chunk = struct.pack(">BBHIHHI", 0, 3, 16 + len(payload), tsn, stream, sequence, 0) + payload
    return chunk.ljust(len(chunk) + -len(chunk) % 4, b"\0")


def sctp_init(*, tag: int = 1, tsn: int = 1) -> bytes:
    """An SCTP INIT chunk."""
    return struct.pack(">BBHIIHHI", 1, 0, 20, tag, 65536, 1, 1, tsn)


def icmp(kind: int, code: int = 0, rest: int = 0, payload: bytes = b"") -> Layer:
    """An ICMP message; ``rest`` is the second word of its header."""
    data = struct.pack(">BBHI", kind, code, 0, rest) + payload
    return Layer(data[:2] + struct.pack(">H", checksum(data)) + data[4:], proto=1)


def icmp6(kind: int, code: int = 0, rest: int = 0, payload: bytes = b"") -> Layer:
    """An ICMPv6 message, whose checksum covers the pseudo-header."""
    return Layer(struct.pack(">BBHI", kind, code, 0, rest) + payload, proto=58, sum_at=2)


def ping(ident: int = 1, sequence: int = 1, *, reply: bool = False, size: int = 56) -> Layer:
    """An ICMP echo request or reply."""
    return icmp(0 if reply else 8, 0, ident << 16 | sequence, bytes(range(size)))
