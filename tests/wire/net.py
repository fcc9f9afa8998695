"""IPv4 and IPv6: headers, options, extension headers, fragments."""

from __future__ import annotations

import struct

from .layer import Layer, addr, announced, checksum, sealed

HOP_BY_HOP, ROUTING, FRAGMENT, AH, NO_NEXT, DEST_OPTIONS = 0, 43, 44, 51, 59, 60


def ip4(
    src: str,
    dst: str,
    body: bytes,
    *,
    proto: int | None = None,
    ident: int = 0,
    ttl: int = 64,
    tos: int = 0,
    df: bool = False,
    more: bool = False,
    offset: int = 0,
    options: bytes = b"",
    total: int | None = None,
) -> Layer:
    """An IPv4 packet; ``offset`` in bytes, ``total`` overrides the length field (0 as with TSO)."""
    number = announced(body, proto, "proto")
    if offset == 0 and not more:
        body = sealed(body, addr(src), addr(dst), number)
    options = options.ljust(-len(options) % 4 + len(options), b"\0")
    length = 20 + len(options) + len(body) if total is None else total
    flags = df << 14 | more << 13 | offset // 8
    head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, tos, length, ident, flags, ttl, number, 0)
    head += addr(src) + addr(dst) + options
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return Layer(head + body, ethertype=0x0800, proto=4, ppp=0x0021)


def ip4_fragments(
    src: str, dst: str, body: bytes, *, size: int, ident: int, proto: int | None = None
) -> list[Layer]:
    """The fragments of one datagram, ``size`` payload bytes each (a multiple of 8), in order."""
    number = announced(body, proto, "proto")
    whole = sealed(body, addr(src), addr(dst), number)
    return [
        ip4(
            src, dst, whole[at : at + size],
            proto=number, ident=ident, offset=at, more=at + size < len(whole),
        )
        for at in range(0, len(whole), size)
    ]  # fmt: skip


def router_alert() -> bytes:
    """The IPv4 Router Alert option (RFC 2113)."""
    return b"\x94\x04\0\0"


def ip6(
    src: str,
    dst: str,
    body: bytes,
    *,
    proto: int | None = None,
    headers: tuple[tuple[int, bytes], ...] = (),
    hops: int = 64,
    flow_label: int = 0,
    length: int | None = None,
) -> Layer:
    """An IPv6 packet; ``headers`` are extension headers as (number, bytes from `ext`), in order.

    The next-header byte, the first of each extension header, is filled in here.
    """
    number = announced(body, proto, "proto")
    inner = sealed(body, addr(src), addr(dst), number)
    following = number
    for kind, data in reversed(headers):
        inner = bytes([following]) + data[1:] + inner
        following = kind
    size = len(inner) if length is None else length
    head = struct.pack(">IHBB", 6 << 28 | flow_label, size, following, hops)
    return Layer(head + addr(src) + addr(dst) + inner, ethertype=0x86DD, proto=41, ppp=0x0057)


def ext(kind: int, size: int = 8) -> tuple[int, bytes]:
    """An extension header of ``size`` bytes (a multiple of 8) filled with padding.

    ``ROUTING`` gives a type 2 header without segments left, ``AH`` one with a zero ICV.
    """
    if kind == AH:
        return kind, struct.pack(">BBHII", 0, size // 4 - 2, 0, 1, 1).ljust(size, b"\0")
    if kind == ROUTING:
        return kind, struct.pack(">BBBB", 0, size // 8 - 1, 2, 0).ljust(size, b"\0")
    return kind, struct.pack(">BBBB", 0, size // 8 - 1, 1, size - 4).ljust(size, b"\0")


def ip6_fragments(
    src: str,
    dst: str,
    body: bytes,
    *,
    size: int,
    ident: int,
    proto: int | None = None,
    headers: tuple[tuple[int, bytes], ...] = (),
) -> list[Layer]:
    """The fragments of one IPv6 datagram; ``headers`` stand before each fragment header."""
    number = announced(body, proto, "proto")
    whole = sealed(body, addr(src), addr(dst), number)
    pieces = []
    for at in range(0, len(whole), size):
        more = at + size < len(whole)
        fragment = (FRAGMENT, struct.pack(">BBHI", 0, 0, at | more, ident))
        pieces.append(ip6(src, dst, whole[at : at + size], proto=number, headers=(*headers, fragment)))
    return pieces


def ip(src: str, dst: str, body: bytes) -> Layer:
    """IPv4 or IPv6, as the addresses say."""
    return ip6(src, dst, body) if ":" in src else ip4(src, dst, body)
