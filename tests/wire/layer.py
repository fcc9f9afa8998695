"""What every layer of a made frame shares: its bytes, and what the layer below must say of it."""

from __future__ import annotations

import ipaddress
import struct


class Layer(bytes):
    """Bytes of one header with everything inside it.

    A layer below asks ``ethertype``, ``proto`` (IP protocol number) and ``ppp`` how to announce
    it. ``sum_at`` is the offset of a checksum that covers the pseudo-header of the IP layer
    below, over the first ``sum_len`` bytes; IP fills it in.
    """

    ethertype: int | None
    proto: int | None
    ppp: int | None
    sum_at: int | None
    sum_len: int | None

    def __new__(
        cls,
        data: bytes,
        *,
        ethertype: int | None = None,
        proto: int | None = None,
        ppp: int | None = None,
        sum_at: int | None = None,
        sum_len: int | None = None,
    ) -> Layer:
        self = super().__new__(cls, data)
        self.ethertype = ethertype
        self.proto = proto
        self.ppp = ppp
        self.sum_at = sum_at
        self.sum_len = sum_len
        return self


def announced(body: bytes, given: int | None, name: str) -> int:
    """The number a header must carry for ``body``: the given one, else the body's own."""
    number = given if given is not None else getattr(body, name, None)
    if not isinstance(number, int):
        raise TypeError(f"{name} of the body is not known; pass it")
    return number


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def sealed(body: bytes, src: bytes, dst: bytes, proto: int) -> bytes:
    """``body`` with its transport checksum filled in for these addresses."""
    at = body.sum_at if isinstance(body, Layer) else None
    if at is None:
        return body
    assert isinstance(body, Layer)
    covered = body if body.sum_len is None else body[: body.sum_len]
    if len(src) == 4:
        pseudo = src + dst + struct.pack(">BBH", 0, proto, len(body))
    else:
        pseudo = src + dst + struct.pack(">IxxxB", len(body), proto)
    value = checksum(pseudo + covered)
    if value == 0 and proto in (17, 136):
        value = 0xFFFF  # 0 means "no checksum" in UDP (RFC 768)
    return body[:at] + struct.pack(">H", value) + body[at + 2 :]


def mac(text: str) -> bytes:
    """The six bytes of ``02:00:00:00:00:01``."""
    return bytes.fromhex(text.replace(":", ""))


def addr(text: str) -> bytes:
    """The 4 or 16 bytes of an IP address."""
    return ipaddress.ip_address(text).packed


_CRC32C: list[int] = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    _CRC32C.append(_n)


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), the checksum of SCTP (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
