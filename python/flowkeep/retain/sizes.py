"""What a cutoff leaves of a file: its curve, and the bytes on disk that follow from it.

A curve holds, for each of :data:`CUTOFFS`, the captured bytes, packets and whole flows that the cutoff would
leave of the file as it stands. A cutoff between two of them counts as the larger one, so that
estimates err on the large side.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from .. import _native
from .model import Depth, FileState, Sizes

CUTOFFS = _native.curve_cutoffs()
"""Six a decade, from 100 bytes to 10 GB."""
_POINT = struct.Struct("<3Q")
Left = tuple[int, int, int]
"""Captured bytes, packets, whole flows."""

HEADERS = 66
"""Bytes that are taken to stay of a packet cut to its headers: Ethernet, IPv4, TCP with time stamps."""
RECORD, BLOCK = 16, 32
"""Bytes of a record's own header: pcap, pcapng (without padding)."""
LEDGER_FIXED, LEDGER_FLOW = 20_000, 160
"""Bytes of a ledger, and for each of its flows."""


def pack(points: Iterable[Left]) -> bytes:
    """A curve from what the cutoffs leave, smallest first; those behind the last one given leave all."""
    return b"".join(_POINT.pack(*point) for point in points)


def points(curve: bytes) -> list[Left]:
    """What the cutoffs leave, smallest first."""
    return list(_POINT.iter_unpack(curve))


def parse(text: str) -> tuple[Sizes, int | None]:
    """Sizes and time of the last packet, as ``flowkeep.curve`` in a ledger says them.

    Raises ValueError. The original numbers are not among them.
    """
    found = _native.parse_curve(text)
    if found is None:
        raise ValueError("its curve is none")
    packets, held, flows, last_ts, curve = found
    return Sizes(packets, held, flows, packets, held, curve), last_ts


def _at(curve: bytes, cutoff: int, rest: Left) -> Left:
    offset = bisect_left(CUTOFFS, cutoff) * _POINT.size
    if offset >= len(curve):
        return rest
    return _POINT.unpack_from(curve, offset)


def left(sizes: Sizes, cutoff: int | None, depths: Sequence[Depth] = ()) -> Left:
    """What a cutoff leaves of the captured bytes, packets and whole flows; None: all."""
    everything = (sizes.held, sizes.packets, sizes.flows)
    if cutoff is None and not depths:
        return everything
    total = everything if cutoff is None else _at(sizes.curve, cutoff, everything)
    if sizes.classes:
        sums = list(total)
        own = [depth.cutoff for depth in depths] or [cutoff] * (len(sizes.classes) - 1)
        own.append(None)  # the last class is that of the locked flows
        for (held, packets, curve), allowed in zip(sizes.classes, own, strict=False):
            whole = points(curve)[-1][2] if curve else 0
            rest = (held, packets, whole)
            common = rest if cutoff is None else _at(curve, cutoff, rest)
            deep = rest if allowed is None else _at(curve, allowed, rest)
            for i in range(3):
                sums[i] += deep[i] - common[i]
        clamped = [min(max(n, 0), most) for n, most in zip(sums, everything, strict=True)]
        total = (clamped[0], clamped[1], clamped[2])
    return total


def disk(file: FileState, held: int, packets: int) -> int:
    """Bytes on disk of the file's capture when so many captured bytes and packets of it are left."""
    sizes = file.sizes
    if sizes is None or (held >= sizes.held and packets >= sizes.packets):
        return file.size
    if file.stage.compression is not None:
        now = sizes.held + RECORD * sizes.packets
        return min(file.size, -(-file.size * (held + RECORD * packets) // max(now, 1)))
    extra = file.size - sizes.held - RECORD * sizes.packets
    record = BLOCK if extra >= (BLOCK - RECORD) * sizes.packets else RECORD
    return max(file.size - (sizes.held - held) - record * (sizes.packets - packets), 0)


def after_cut(file: FileState, cutoff: int | None, rest: str = "cut", depths: Sequence[Depth] = ()) -> int:
    """Bytes on disk of the file's capture when it has been cut so."""
    if file.sizes is None:
        return file.size
    held, packets, _ = left(file.sizes, cutoff, depths)
    lost, gone = file.sizes.held - held, file.sizes.packets - packets
    if rest == "headers":
        held, packets = held + min(lost, gone * HEADERS), file.sizes.packets
    elif rest.startswith("sample:"):
        k = int(rest.partition(":")[2])
        held, packets = held + -(-lost // k), packets + -(-gone // k)
    return disk(file, held, packets)


def ledger(file: FileState) -> int:
    """Bytes of the ledger that the file has, or would have after it is cut."""
    if file.ledger is not None or file.sizes is None:
        return file.ledger_size
    return LEDGER_FIXED + LEDGER_FLOW * file.sizes.flows
