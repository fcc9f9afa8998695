"""Writes the demo capture: pcapng with two named interfaces, nanoseconds and a comment."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from .traffic import packets


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _file_header(seed: int) -> bytes:
    comment = f"Made by flowkeep demo, seed {seed}; nobody's real traffic."
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(1, comment.encode()) + bytes(4)
    out = _block(0x0A0D0D0A, section)
    for name in (b"office0", b"uplink0"):
        options = _option(2, name) + _option(9, b"\x09") + bytes(4)
        out += _block(1, struct.pack("<HHI", 1, 0, 262144) + options)
    return out


def write_demo(
    path: Path,
    size: int = 100_000_000,
    seed: int = 2024,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a pcapng capture of about ``size`` bytes; the same seed gives the same bytes.

    ``progress(done, total)`` is called with bytes some hundred times. Raises OSError.
    """
    head, padding = struct.Struct("<IIIIIII"), [b"", b"\0\0\0", b"\0\0", b"\0"]
    tail = struct.Struct("<I")
    done = 0
    with path.open("wb") as file:
        done += file.write(_file_header(seed))
        for slot in packets(size, seed):
            out: list[bytes] = []
            for ts, iface, data in slot:
                pad = padding[len(data) & 3]
                total = 32 + len(data) + len(pad)
                high, low, n = ts >> 32, ts & 0xFFFFFFFF, len(data)
                out += (head.pack(6, total, iface, high, low, n, n), data, pad, tail.pack(total))
            done += file.write(b"".join(out))
            if progress is not None:
                progress(min(done, size), size)
