"""Cases of TCP that tools decide differently, each a capture of one connection with what is true of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests import wire
from tests.wire import Packet
from tests.wire.talk import MILLISECOND, START_NS

A, B = b"A", b"B"
ISN, SERVER_ISN = 1000, 9000
Step = tuple[str, int, bytes, str]
"""Side, offset of the first byte behind the SYN, payload, flags."""


def connection(
    steps: Iterable[Step], *, syn: bool = True, isn: int = ISN, syn_data: bytes = b"", ports: tuple[int, int] = (40000, 80),
    start_ns: int = START_NS,
) -> list[Packet]:  # fmt: skip
    """Segments at the given places. What a side acknowledges is an offset in ``ack:N`` flags, else 0."""
    ends = {"c": ("10.0.0.1", ports[0]), "s": ("10.0.0.2", ports[1])}
    made: list[Packet] = []
    now = start_ns

    def put(side: str, seq: int, payload: bytes, flags: str, ack: int) -> None:
        nonlocal now
        (src, sport), (dst, dport) = ends[side], ends["s" if side == "c" else "c"]
        segment = wire.tcp(
            sport, dport, payload, seq=seq % (1 << 32), ack=ack % (1 << 32), flags=flags, window=65535
        )
        made.append(Packet(now, bytes(wire.ether(wire.ip4(src, dst, segment)))))
        now += MILLISECOND

    begin = {"c": isn, "s": SERVER_ISN}
    if syn:
        put("c", isn, syn_data, "S", 0)
        put("s", SERVER_ISN, b"", "SA", isn + 1 + len(syn_data))
        put("c", isn + 1 + len(syn_data), b"", "A", SERVER_ISN + 1)
    for side, offset, payload, flags in steps:
        letters, _, acked = flags.partition(":")
        peer = begin["s" if side == "c" else "c"]
        put(side, begin[side] + 1 + offset, payload, letters, peer + 1 + int(acked or 0))
    return made


def ack(n: int) -> Step:
    """The server acknowledges the client's first ``n`` bytes."""
    return "s", 0, b"", f"A:{n}"


def c(offset: int, payload: bytes, flags: str = "PA") -> Step:
    """The client sends."""
    return "c", offset, payload, flags


Range = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A connection, and what is true of the client's stream."""

    name: str
    packets: list[Packet]
    data: bytes
    gaps: list[tuple[int, int, str]] = field(default_factory=list)
    overlaps: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    """Offset, the version kept, the other one."""
    anomalies: list[str] = field(default_factory=list)
    tshark: bytes | None = None
    """What ``-z follow,tcp,raw`` gives, where that is something else."""
    tcpflow: bytes | None = None


_MISSING = b"[20 bytes missing in capture file]\0"
_MISSING_10 = b"[10 bytes missing in capture file]\0"


def _seq() -> bytes:
    return bytes(range(32, 92))


def damaged(packet: Packet) -> Packet:
    """With a TCP checksum that is wrong."""
    data = bytearray(packet.data)
    data[51] ^= 0x55
    return Packet(packet.ts_ns, bytes(data))


S = _seq()
crossed = connection([c(0, S[:30]), c(30, S[30:]), ack(60)])
decoyed = connection([c(0, S[:20]), c(20, B * 20), c(20, S[20:]), ack(60)])
CASES = [
    Case("in order", connection([c(0, S[:20]), c(20, S[20:40]), c(40, S[40:]), ack(60)]), S),
    Case("duplicate", connection([c(0, S[:20]), c(0, S[:20]), c(20, S[20:]), ack(60)]), S),
    Case("out of order", connection([c(0, S[:20]), c(40, S[40:]), c(20, S[20:40]), ack(60)]), S),
    Case("partial overlap forward", connection([c(0, S[:40]), c(20, S[20:]), ack(60)]), S),
    Case("partial overlap out of order", connection([c(0, S[:10]), c(30, S[30:]), c(10, S[10:40]), ack(60)]), S),
    Case("superset retransmission", connection([c(0, S[:20]), c(0, S), ack(60)]), S),
    Case("FIN before data", connection([c(0, S[:20]), c(60, b"", "FA"), c(20, S[20:]), ack(61)]), S),
    Case(
        "keep-alive", connection([c(0, S), ack(60), c(59, b"\0"), ack(60)]), S, anomalies=["keep_alive"],
    ),
    Case("zero-window probe", connection([c(0, S[:59]), ack(59), c(59, S[59:]), ack(60)]), S),
    Case("sequence wrap", connection([c(0, S[:30]), c(30, S[30:]), ack(60)], isn=(1 << 32) - 20), S),
    Case(
        "same range twice, different bytes", connection([c(0, A * 20), c(0, B * 20), c(20, b"C"), ack(21)]),
        A * 20 + b"C", overlaps=[(0, A * 20, B * 20)], tcpflow=B * 20 + b"C",
    ),
    Case(
        "different bytes ahead of a hole",
        connection([c(0, b"x" * 10), c(20, A * 20), c(20, B * 20), c(10, b"y" * 10), ack(40)]),
        b"x" * 10 + b"y" * 10 + A * 20, overlaps=[(20, A * 20, B * 20)],
        tcpflow=b"x" * 10 + b"y" * 10 + B * 20,
    ),
    Case(
        "partial conflict", connection([c(0, A * 50), c(25, B * 50), ack(75)]), A * 50 + B * 25,
        overlaps=[(25, A * 25, B * 25)], tcpflow=A * 25 + B * 50,
    ),
    Case(
        "a gap, later data acknowledged", connection([c(0, S[:20]), c(40, S[40:]), ack(60)]), S[:20] + S[40:],
        gaps=[(20, 20, "not_captured")], tshark=S[:20] + _MISSING + S[40:], tcpflow=S[:20] + bytes(20) + S[40:],
    ),
    Case(
        "data behind a gap, never acknowledged", connection([c(0, S[:20]), ack(20), c(40, S[40:])]),
        S[:20] + S[40:], gaps=[(20, 20, "not_captured")], tshark=S[:20], tcpflow=S[:20] + bytes(20) + S[40:],
    ),
    Case(
        "data after FIN", connection([c(0, S[:40]), c(40, b"", "FA"), ack(41), c(41, S[40:])]), S[:40],
        anomalies=["data_after_fin"],
    ),
    Case(
        "data on SYN", connection([c(20, S[20:]), ack(60)], syn_data=S[:20]), S,
    ),
    Case(
        "mid-stream", connection([c(0, S[:30]), c(30, S[30:]), ack(60)], syn=False), S, anomalies=["mid_stream"],
    ),
    Case("one direction", [p for p in connection([c(0, S[:30]), c(30, S[30:])]) if p.ts_ns != START_NS + MILLISECOND], S),
    Case(
        "superset with other bytes", connection([c(0, A * 20), c(40, A * 20), c(0, B * 60), ack(60)]),
        A * 20 + B * 20 + A * 20, overlaps=[(0, A * 20, B * 20), (40, A * 20, B * 20)],
        tshark=A * 20 + B * 40, tcpflow=B * 60,
    ),
    Case(
        "other bytes for what was acknowledged", connection([c(0, S), ack(60), c(20, B * 20), ack(60)]), S,
        overlaps=[(20, S[20:40], B * 20)], tcpflow=S[:20] + B * 20 + S[40:],
    ),
    Case(
        "three versions", connection([c(0, A * 20), c(0, B * 20), c(0, b"C" * 20), ack(20)]), A * 20,
        overlaps=[(0, A * 20, B * 20), (0, A * 20, b"C" * 20)], tcpflow=b"C" * 20,
    ),
    Case(
        "last byte differs, as if a keep-alive", connection([c(0, S), ack(59), c(59, b"?"), ack(60)]), S,
        overlaps=[(59, S[59:], b"?")],
    ),
    Case("FIN with data out of order", connection([c(40, S[40:], "FPA"), c(20, S[20:40]), c(0, S[:20]), ack(61)]), S),
    Case(
        "data after RST", connection([c(0, S[:40]), ack(40), c(40, b"", "RA"), c(40, S[40:])]), S[:40],
        anomalies=["data_after_reset"], tshark=S,
    ),
    Case(
        "RST outside of the window", connection([c(0, S[:20]), c(10_000_000, b"", "R"), c(20, S[20:]), ack(60)]), S,
        anomalies=["reset_outside_window"], tcpflow=S[:20],
    ),
    Case(
        "data far outside of the window", connection([c(0, S[:20]), c(1_000_000, B * 20), c(20, S[20:]), ack(60)]), S,
        anomalies=["outside_window"], tcpflow=S + bytes(1_000_000 - 60) + B * 20,
    ),
    Case(
        "two gaps", connection([c(0, S[:10]), c(20, S[20:30]), c(40, S[40:]), ack(60)]), S[:10] + S[20:30] + S[40:],
        gaps=[(10, 10, "not_captured"), (30, 10, "not_captured")],
        tshark=S[:10] + _MISSING_10 + S[20:30] + _MISSING_10 + S[40:],
        tcpflow=S[:10] + bytes(10) + S[20:30] + bytes(10) + S[40:],
    ),
    Case(
        "gap at the begin", connection([c(20, S[20:]), ack(60)]), S[20:], gaps=[(0, 20, "not_captured")],
        tshark=_MISSING + S[20:], tcpflow=bytes(20) + S[20:],
    ),
    Case(
        "acknowledged and not captured at the end", connection([c(0, S[:40]), ack(60), c(60, b"", "FA"), ack(61)]), S[:40],
        gaps=[(40, 20, "not_captured")],
    ),
    Case(
        "mid-stream, the first segments out of order",
        connection([c(40, S[40:]), c(20, S[20:40]), c(0, S[:20]), ack(60)], syn=False), S, anomalies=["mid_stream"],
        tshark=S[40:],
    ),
    Case("SYN/ACK before SYN", [crossed[1], crossed[0], *crossed[2:]], S),
    Case("half-closed", connection([c(0, S[:20]), ("s", 0, b"", "FA:20"), c(20, S[20:]), ("s", 1, b"", "A:60")]), S),
    Case("decoy with a bad checksum", [*decoyed[:4], damaged(decoyed[4]), *decoyed[5:]], S, anomalies=["bad_checksum"],
        tshark=S[:20] + B * 20 + S[40:]),
    Case("every checksum bad, as with offload", [damaged(p) if p.data[54:] else p for p in crossed], S, anomalies=["checksum_offload"]),
]  # fmt: skip
