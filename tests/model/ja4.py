"""JA3 and JA4 of a ClientHello, plainly, from the lists that it holds.

Values that are there to be ignored (GREASE, RFC 8701) count in neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

_VERSIONS = {
    0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2",
    0xFEFF: "d1", 0xFEFD: "d2", 0xFEFC: "d3",
}  # fmt: skip
SNI, ALPN = 0, 16


@dataclass
class Hello:
    """What a ClientHello holds, in the order it stands there."""

    carrier: str = "t"
    """``t`` for TLS over TCP, ``q`` for QUIC, ``d`` for DTLS."""
    version: int = 0x0303
    versions: list[int] = field(default_factory=list)
    """Of the extension supported_versions."""
    ciphers: list[int] = field(default_factory=list)
    extensions: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    alpn: list[bytes] = field(default_factory=list)


def is_grease(value: int) -> bool:
    """One of the sixteen values that RFC 8701 sets aside."""
    return value in {n << 12 | 0x0A00 | n << 4 | 0x0A for n in range(16)}


def _kept(values: Iterable[int]) -> list[int]:
    return [value for value in values if not is_grease(value)]


def ja3_text(hello: Hello) -> str:
    """What JA3 is the MD5 of."""
    lists = (hello.ciphers, hello.extensions, hello.groups, hello.points)
    return ",".join([str(hello.version), *("-".join(map(str, _kept(values))) for values in lists)])


def ja3(hello: Hello) -> str:
    """The JA3."""
    return hashlib.md5(ja3_text(hello).encode(), usedforsecurity=False).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "000000000000"


def _codes(values: Iterable[int]) -> str:
    return ",".join(f"{value:04x}" for value in values)


def ja4(hello: Hello) -> str:
    """The JA4."""
    ciphers, extensions = _kept(hello.ciphers), _kept(hello.extensions)
    offered = _kept(hello.versions) or [hello.version]
    # The highest, known or not; versions of DTLS count downwards.
    version = min(offered) if hello.carrier == "d" else max(offered)
    first = hello.alpn[0] if hello.alpn else b""
    if not first:
        alpn = "00"
    elif chr(first[0]).isalnum() and chr(first[-1]).isalnum() and max(first[0], first[-1]) < 128:
        alpn = chr(first[0]) + chr(first[-1])
    else:
        alpn = first.hex()[0] + first.hex()[-1]
    head = (
        hello.carrier
        + _VERSIONS.get(version, "00")
        + ("d" if SNI in extensions else "i")
        + f"{min(len(ciphers), 99):02}{min(len(extensions), 99):02}"
        + alpn
    )
    kinds = _codes(sorted(kind for kind in extensions if kind not in (SNI, ALPN)))
    signatures = _codes(_kept(hello.signatures))
    both = f"{kinds}_{signatures}" if kinds and signatures else kinds or signatures
    return f"{head}_{_digest(_codes(sorted(ciphers)))}_{_digest(both)}"
