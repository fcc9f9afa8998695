"""Deterministic captures of any size to measure with.

``elephants``  about 90 % of the bytes in 1 % of the flows: TCP, 1514-byte frames, the flows
               interleaved packet by packet; the rest in short flows.
``mice``       very many flows of 3 to 5 small frames (about 120 bytes with record header), each
               alive for a short time among some thousands of others.

    python bench/make.py elephants 2GB /dev/shm/elephants.pcap

pcap, microseconds, little-endian, Ethernet, IPv4. The IP checksum is right, those of TCP and UDP
are 0: nothing that is measured here looks at them. In elephants, times go back a little now and
then, as on a capture card with several queues.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sizes import parse_size

START = 1_700_000_000
HEADERS = 16 + 14 + 20 + 20  # record, Ethernet, IPv4, TCP
BATCH = 32_768
Columns = dict[str, NDArray[Any]]


def layout(frame: int, transport: str) -> np.dtype[np.void]:
    """A pcap record with a frame of ``frame`` bytes, every field at its place."""
    fields: list[tuple[str, Any]] = [
        ("sec", "<u4"), ("usec", "<u4"), ("caplen", "<u4"), ("wirelen", "<u4"),
        ("macs", "S12"), ("ethertype", ">u2"),
        ("version", ">u2"), ("length", ">u2"), ("ident", ">u2"), ("flags", ">u2"),
        ("ttl", "u1"), ("proto", "u1"), ("sum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
        ("sport", ">u2"), ("dport", ">u2"),
    ]  # fmt: skip
    if transport == "tcp":
        fields += [
            ("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"), ("bits", "u1"),
            ("window", ">u2"), ("l4sum", ">u2"), ("urgent", ">u2"),
        ]  # fmt: skip
        rest = frame - 54
    else:
        fields += [("l4len", ">u2"), ("l4sum", ">u2")]
        rest = frame - 42
    if rest:
        fields.append(("payload", f"V{rest}"))
    return np.dtype(fields)


def fill(kind: np.dtype[np.void], columns: Columns, payload: bytes) -> NDArray[Any]:
    """Records of one layout from their columns ``us, src, dst, sport, dport`` and, for TCP,
    ``seq, ack, bits``."""
    count = len(columns["us"])
    frame = kind.itemsize - 16
    out = np.zeros(count, dtype=kind)
    names = kind.names or ()
    out["sec"] = START + columns["us"] // 1_000_000
    out["usec"] = columns["us"] % 1_000_000
    out["caplen"] = out["wirelen"] = frame
    out["macs"] = b"\x02\0\0\0\0\2\x02\0\0\0\0\1"
    out["ethertype"] = 0x0800
    out["version"], out["length"], out["flags"], out["ttl"] = 0x4500, frame - 14, 0x4000, 64
    for name in ("src", "dst", "sport", "dport"):
        out[name] = columns[name]
    if "seq" in names:
        out["proto"], out["offset"], out["window"] = 6, 0x50, 65535
        for name in ("seq", "ack", "bits"):
            out[name] = columns[name]
    else:
        out["proto"], out["l4len"] = 17, frame - 34
    if "payload" in names:
        out["payload"] = np.frombuffer(payload, dtype="u1")[: kind["payload"].itemsize].tobytes()
    out["sum"] = ip_sum(out)
    return out


def ip_sum(out: NDArray[Any]) -> NDArray[Any]:
    """The checksums of the IP headers."""
    total = np.zeros(len(out), dtype=np.uint32)
    for name in ("version", "length", "ident", "flags"):
        total += out[name]
    total += out["ttl"].astype(np.uint32) << 8
    total += out["proto"]
    for name in ("src", "dst"):
        total += (out[name] >> 16).astype(np.uint32) + (out[name] & 0xFFFF).astype(np.uint32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def file_header() -> bytes:
    """The header of the capture."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def ends(flow: NDArray[Any], back: NDArray[Any], port: int) -> Columns:
    """Addresses and ports of flows by number; ``back`` is true for what the server sends.

    The number is spread over client address and port, so that each flow is another 5-tuple.
    """
    client = 0x0A000000 + flow // 16_384
    server = 0xC0000200 + flow * 7919 % 251
    client_port = 32_768 + flow % 16_384
    return {
        "src": np.where(back, server, client), "dst": np.where(back, client, server),
        "sport": np.where(back, port, client_port), "dport": np.where(back, client_port, port),
    }  # fmt: skip


def elephants(size: int, seed: int = 1) -> Iterator[bytes]:
    """Pieces of the capture. One flow in a hundred is an elephant."""
    rng = np.random.default_rng(seed)
    payload = rng.bytes(1460)
    data, small = layout(1514, "tcp"), layout(120, "tcp")
    packets = int(size * 0.9) // data.itemsize
    big = max(2, min(200, packets // 2_000))
    mice, per_mouse = big * 99, 0
    left = size - packets * data.itemsize
    per_mouse = max(1, left // (small.itemsize * mice))
    sent = np.zeros(big, dtype=np.int64)
    us, done_mice, total_mice = 0, 0, mice * per_mouse
    yield file_header()
    for at in range(0, packets, BATCH):
        count = min(BATCH, packets - at)
        flow = rng.integers(0, big, count)
        # The n-th packet of a flow in this batch, to number its bytes.
        order = np.argsort(flow, kind="stable")
        ordered = flow[order]
        rank = np.empty(count, dtype=np.int64)
        rank[order] = np.arange(count) - np.searchsorted(ordered, ordered)
        seq = (sent[flow] + rank) * 1460 + 1
        sent += np.bincount(flow, minlength=big)
        times = us + np.arange(count) * 10
        us += count * 10
        back = np.ones(count, dtype=bool)
        columns = ends(flow, back, 443)
        columns |= {"us": times, "seq": seq & 0xFFFFFFFF, "ack": np.ones(count, dtype=np.int64)}
        columns["bits"] = np.full(count, 0x10)
        records = fill(data, columns, payload).tobytes()
        due = total_mice * (at + count) // packets
        number = np.arange(done_mice, due)
        done_mice = due
        mouse = {"us": np.linspace(times[0], times[-1], len(number)).astype(np.int64)}
        nth = number % per_mouse
        columns = ends(big + number // per_mouse, nth % 2 == 1, 80)
        columns |= mouse | {"seq": nth // 2 * 66 + 1, "ack": (nth + 1) // 2 * 66 + 1}
        columns["bits"] = np.full(len(number), 0x18)
        yield from woven(records, data.itemsize, fill(small, columns, payload).tobytes(), small)


def woven(big: bytes, size: int, small: bytes, kind: np.dtype[np.void]) -> Iterator[bytes]:
    """Two runs of records over the same time, a slice of each in turn."""
    parts = 64
    many, few = len(big) // size, len(small) // kind.itemsize
    for part in range(parts):
        yield big[many * part // parts * size : many * (part + 1) // parts * size]
        start, stop = few * part // parts, few * (part + 1) // parts
        yield small[start * kind.itemsize : stop * kind.itemsize]


def mice(size: int, seed: int = 2) -> Iterator[bytes]:
    """Pieces of the capture. TCP SYN, SYN/ACK, data, sometimes FIN; some UDP questions and answers.

    A flow's packets lie within some thousand flows of each other, as each of the rounds below
    sends one packet of every flow that is alive.
    """
    rng = np.random.default_rng(seed)
    payload = rng.bytes(128)
    alive = 4_096
    tcp, udp = layout(120, "tcp"), layout(118, "udp")
    us, flow, written = 0, 0, 0
    yield file_header()
    # Rounds of four packets for TCP (3 of 4 flows) and of three for UDP: 3.7 on average.
    plan = [(0x02, False), (0x12, True), (0x18, False), (0x11, True)]
    while written < size:
        share = rng.random(alive) < 0.72
        numbers = np.arange(flow, flow + alive)
        flow += alive
        for nth, (bits, back) in enumerate(plan):
            pieces = []
            for kind, chosen, port in ((tcp, numbers[share], 443), (udp, numbers[~share], 53)):
                if kind is udp and nth == 3:
                    continue
                count = len(chosen)
                chosen = rng.permutation(chosen)
                columns = ends(chosen, np.full(count, back), port)
                columns["us"] = us + np.arange(count)
                us += count
                if kind is tcp:
                    columns["seq"] = np.full(count, 1 if nth < 2 else 68)
                    columns["ack"] = np.full(count, 0 if nth == 0 else 68)
                    columns["bits"] = np.full(count, bits)
                records = fill(kind, columns, payload)
                pieces.append(records.tobytes())
            data = b"".join(pieces)
            written += len(data)
            yield data


def write(kind: str, size: int, path: Path) -> None:
    """Write a capture of a kind, of about ``size`` bytes."""
    makers = {"elephants": elephants, "mice": mice}
    with path.open("wb") as file:
        for piece in makers[kind](size):
            file.write(piece)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=["elephants", "mice"])
    parser.add_argument("size", type=parse_size, help="bytes, or with kB, MB, GB, KiB, MiB, GiB")
    parser.add_argument("path", type=Path)
    options = parser.parse_args()
    write(options.kind, options.size, options.path)
    print(f"{options.path}: {options.path.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
