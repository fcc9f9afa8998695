"""Very many TCP connections, made column by column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests import wire

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint32]

SYN, SYN_ACK, ACK, PUSH, FIN = 0x02, 0x12, 0x10, 0x18, 0x11
ROUNDS, SIZE = 2, 40


def payload(n: int) -> Bytes:
    """What is sent: by connection, round, end and place."""
    return np.random.default_rng(n).integers(0, 256, (n, ROUNDS, 2, SIZE), dtype=np.uint8)


def capture(path: Path, n: int, *, together: bool) -> Bytes:
    """A pcap file of ``n`` connections: all open at once and never closed, or each closed before the next begins."""
    sent, ids = payload(n), np.arange(n, dtype=np.uint32)
    seq = [ids * np.uint32(7919) + np.uint32(1), ids * np.uint32(104_729) + np.uint32(5)]
    none, zero = np.zeros((n, 0), np.uint8), np.zeros(n, np.uint32)
    frames = []

    def put(end: int, flags: int, data: Bytes = none) -> None:
        ack = zero if flags == SYN else seq[1 - end]
        frames.append(_frames(ids, end, flags, seq[end], ack, data))
        seq[end] = seq[end] + np.uint32(data.shape[1] + (flags & 3 != 0))

    put(0, SYN)
    put(1, SYN_ACK)
    put(0, ACK)
    for k in range(ROUNDS):
        for end in (0, 1):
            put(end, PUSH, sent[:, k, end])
    if not together:
        put(0, FIN)
        put(1, FIN)
        put(0, ACK)
    records = [_records(made, k * n) for k, made in enumerate(frames)]
    with path.open("wb") as file:
        file.write(wire.pcap([]))
        if together:
            for made in records:
                file.write(made.tobytes())
        else:
            file.write(np.concatenate(records, 1).tobytes())
    return sent


def _frames(ids: Numbers, end: int, flags: int, seq: Numbers, ack: Numbers, data: Bytes) -> Bytes:
    n, size = len(ids), 40 + data.shape[1]
    frames = np.zeros((n, 14 + size), np.uint8)
    frames[:, 12] = 8
    ip = frames[:, 14:]
    ip[:, 0], ip[:, 3], ip[:, 8], ip[:, 9] = 0x45, size, 64, 6
    client, server = np.zeros((n, 4), np.uint8), np.zeros((n, 4), np.uint8)
    client[:, 0], client[:, 1], client[:, 3] = 10, ids // 50_000, 1
    server[:] = (192, 0, 2, 1)
    ports = [10_000 + ids % 50_000, np.full(n, 443, np.uint32)]
    ip[:, 12:16], ip[:, 16:20] = (client, server) if end == 0 else (server, client)
    tcp = ip[:, 20:]
    for at, port in ((0, ports[end]), (2, ports[1 - end])):
        tcp[:, at], tcp[:, at + 1] = port >> 8, port & 255
    for k in range(4):
        tcp[:, 4 + k], tcp[:, 8 + k] = seq >> (24 - 8 * k) & 255, ack >> (24 - 8 * k) & 255
    tcp[:, 12], tcp[:, 13], tcp[:, 14], tcp[:, 20:] = 0x50, flags, 255, data
    pseudo = np.concatenate([ip[:, 12:20], np.tile(np.array([0, 6, 0, size - 20], np.uint8), (n, 1)), tcp], 1)
    tcp[:, 16:18] = _checksum(pseudo)
    ip[:, 10:12] = _checksum(ip[:, :20])
    return frames


def _checksum(data: Bytes) -> Bytes:
    """RFC 1071, of an even number of bytes a row."""
    total = (data[:, ::2].astype(np.uint32) << 8 | data[:, 1::2]).sum(1)
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return np.stack([total >> 8, total & 255], 1).astype(np.uint8)


def _records(frames: Bytes, first: int) -> Bytes:
    n, size = frames.shape
    at = first + np.arange(n, dtype=np.int64)
    heads = np.zeros((n, 4), "<u4")
    heads[:, 0], heads[:, 1], heads[:, 2], heads[:, 3] = 1_700_000_000 + at // 10**6, at % 10**6, size, size
    return np.concatenate([heads.view(np.uint8).reshape(n, 16), frames], 1)
