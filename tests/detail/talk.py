"""Segments with every number given, so that what a flow's details must be can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import flowkeep as fk

from tests import wire

CLIENT, SERVER = 1000, 9000
"""First sequence numbers."""


class Seg(NamedTuple):
    """One segment; ``seq`` and ``ack`` count from the ends' first sequence numbers."""

    side: wire.talk.Side
    flags: str
    seq: int
    ack: int = 0
    size: int = 0
    window: int = 65535
    options: bytes = b""
    ms: float = 1
    """Time to the next segment."""
    broken: bool = False
    """With a wrong checksum."""


HANDSHAKE = [Seg("c", "S", 0), Seg("s", "SA", 0, 1), Seg("c", "A", 1, 1)]


def frames(
    segments: list[Seg],
    *,
    version: int = 4,
    isn: tuple[int, int] = (CLIENT, SERVER),
    ports: tuple[int, int] = (40000, 443),
    start_ns: int = wire.START_NS,
) -> list[wire.Packet]:
    """The segments as Ethernet frames."""
    client, server = ("10.0.0.1", "10.0.0.2") if version == 4 else ("2001:db8::1", "2001:db8::2")
    talk = wire.Conversation(f"[{client}]:{ports[0]}", f"[{server}]:{ports[1]}", start_ns=start_ns, step_ns=0)
    for seg in segments:
        own, peer = isn if seg.side == "c" else isn[::-1]
        segment = wire.tcp(
            *talk.ports(seg.side), bytes(range(97, 97 + 26)) * 3 if seg.size > 26 else b"x" * seg.size,
            seq=own + seg.seq, ack=peer + seg.ack if "A" in seg.flags else 0,
            flags=seg.flags, window=seg.window, options=seg.options,
        )  # fmt: skip
        talk.put(seg.side, segment)
        if seg.broken:
            last = talk.packets.pop()
            flipped = last.data[:-1] + bytes([last.data[-1] ^ 1])
            talk.packets.append(wire.Packet(last.ts_ns, flipped))
        talk.now += round(seg.ms * wire.MILLISECOND)
    return talk.packets


def details(
    packets: list[wire.Packet], folder: Path, *, link: int = 1, **options: Any
) -> list[dict[str, Any]]:
    """The flows of some packets, with details."""
    path = folder / "made.pcap"
    path.write_bytes(wire.pcap(packets, ns=True, link=link))
    return fk.open(path, options=fk.ReadOptions(**options)).flows(details=True).to_dicts()
