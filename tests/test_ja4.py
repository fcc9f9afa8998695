"""The model of JA4 on published fingerprints, and flowkeep against the model."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import flowkeep as fk
import pytest

from tests import wire
from tests.model.ja4 import Hello, is_grease, ja3, ja3_text, ja4

CHROME = Hello(
    versions=[0x2A2A, 0x0304, 0x0303],
    ciphers=[
        0x4A4A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014,
        0x009C, 0x009D, 0x002F, 0x0035,
    ],
    extensions=[
        0x8A8A, 0, 23, 65281, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27, 17513, 0x5A5A, 21,
    ],
    groups=[0xBABA, 29, 23, 24],
    points=[0],
    signatures=[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
    alpn=[b"h2", b"http/1.1"],
)  # fmt: skip


def test_the_fingerprint_of_chrome_is_the_published_one() -> None:
    # The example of the specification of JA4; its JA3 is Chrome's of the same time.
    assert ja4(CHROME) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert ja3(CHROME) == "cd08e31494f9531f560d64c695473da9"


def test_parts_that_are_absent_or_odd() -> None:
    assert ja4(Hello()) == "t12i000000_000000000000_000000000000"
    assert ja4(Hello(carrier="d", version=0xFEFF, versions=[0xFEFD, 0xFEFF]))[:10] == "dd2i000000"
    assert ja4(Hello(alpn=[b"\xab\xcd"]))[8:10] == "ad"
    assert ja4(Hello(alpn=[b"h"]))[8:10] == "hh"
    assert ja4(Hello(ciphers=[1] * 120, carrier="q"))[:8] == "q12i9900"
    assert ja3_text(Hello(ciphers=[0x1A1A, 5])) == "771,5,,,"
    assert [n for n in range(0x10000) if is_grease(n)][:3] == [0x0A0A, 0x1A1A, 0x2A2A]


def u16(values: list[int]) -> bytes:
    return b"".join(struct.pack(">H", value) for value in values)


def counted(size: int, body: bytes) -> bytes:
    return len(body).to_bytes(size, "big") + body


def body_of(hello: Hello) -> bytes:
    """The message of a hello, the extensions in their order, with the lists they hold."""
    held = {
        0: counted(2, b"\0" + counted(2, b"a.example")),
        10: counted(2, u16(hello.groups)),
        11: counted(1, bytes(hello.points)),
        13: counted(2, u16(hello.signatures)),
        16: counted(2, b"".join(counted(1, name) for name in hello.alpn)),
        43: counted(1, u16(hello.versions)),
    }
    extensions = b"".join(u16([kind]) + counted(2, held.get(kind, b"")) for kind in hello.extensions)
    body = u16([hello.version]) + bytes(32) + counted(1, b"") + counted(2, u16(hello.ciphers))
    return body + counted(1, b"\0") + counted(2, extensions)


def in_records(hello: Hello, size: int) -> bytes:
    message = b"\x01" + counted(3, body_of(hello))
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + counted(2, part) for part in parts)


def random_hello(rng: random.Random) -> Hello:
    grease = [n << 12 | 0x0A00 | n << 4 | 0x0A for n in range(16)]
    pick = lambda most, pool: rng.sample(pool, rng.randrange(most))  # noqa: E731
    kinds = pick(12, [0, 5, 10, 11, 13, 16, 18, 21, 23, 27, 35, 43, 45, 51, 65281, *grease])
    return Hello(
        version=rng.choice([0x0301, 0x0302, 0x0303]),
        ciphers=[
            rng.choice([*range(0x40), 0x1301, 0xC02F, 0xCCA8, *grease]) for _ in range(1 + rng.randrange(120))
        ],
        extensions=kinds,
        groups=pick(5, [23, 24, 25, 29, 30, *grease]) if 10 in kinds else [],
        points=pick(3, [0, 1, 2]) if 11 in kinds else [],
        signatures=pick(6, [0x0403, 0x0804, 0x0401, 0x0503, *grease]) if 13 in kinds else [],
        alpn=pick(3, [b"h2", b"http/1.1", b"\xff\x01x", b"a"]) if 16 in kinds else [],
        versions=pick(4, [0x0302, 0x0303, 0x0304, *grease]) if 43 in kinds else [],
    )


@pytest.mark.parametrize("size", [16_000, 100])
def test_flowkeep_says_what_the_model_says(size: int, tmp_path: Path) -> None:
    rng = random.Random(size)
    hellos = [CHROME, *(random_hello(rng) for _ in range(300))]
    frames = []
    for n, hello in enumerate(hellos):
        stream, seq = in_records(hello, size), 1
        client = f"10.1.{n // 200}.{n % 200 + 1}"
        while stream:
            cut = rng.randrange(1, 600)
            data = wire.tcp(40_000, 9_000 + n, stream[:cut], seq=seq, flags="PA")
            frames.append(wire.ether(wire.ip4(client, "192.0.2.1", data)))
            stream, seq = stream[cut:], seq + len(stream[:cut])
    path = tmp_path / "hellos.pcap"
    path.write_bytes(wire.pcap([wire.Packet(wire.START_NS + n, f) for n, f in enumerate(frames)]))
    rows = fk.open(path).flows(identify=True).to_dicts()
    assert len(rows) == len(hellos)
    for row, hello in zip(rows, hellos, strict=True):
        assert (row["service"], row["ja3"], row["ja4"]) == ("tls", ja3(hello), ja4(hello)), hello
        named = 0 in hello.extensions
        assert row["sni"] == ("a.example" if named else None)
