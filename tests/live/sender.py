"""Sends numbered frames at a steady rate: ``python sender.py INTERFACE SIZE COUNT PER_SECOND``.

Many frames a system call (sendmmsg(2)), so that an interpreter is fast enough. Says how many were sent and how many
a second that were. PER_SECOND 0 is as fast as it goes.
"""

from __future__ import annotations

import ctypes
import socket
import sys
import time

BURST = 32


class _Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_len", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("sent", ctypes.c_uint),
    ]  # fmt: skip


def main(interface: str, size: int, count: int, rate: int) -> None:
    """Send them, and print what was done."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = bytes.fromhex("020000000001 020000000002 88b5")
    buffers = [ctypes.create_string_buffer(head + bytes(size - len(head)), size) for _ in range(BURST)]
    pieces = (_Piece * BURST)()
    messages = (_Message * BURST)()
    for i, buffer in enumerate(buffers):
        pieces[i] = _Piece(ctypes.addressof(buffer), size)
        messages[i].pieces = ctypes.pointer(pieces[i])
        messages[i].piece_count = 1
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        sent, began = 0, time.perf_counter()
        while sent < count:
            now = min(BURST, count - sent)
            for i in range(now):
                buffers[i][14:18] = (sent + i).to_bytes(4, "big")
            done = libc.sendmmsg(raw.fileno(), messages, now, 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
            ahead = sent / rate - (time.perf_counter() - began) if rate else 0
            if ahead > 0.0005:
                time.sleep(ahead)
        took = time.perf_counter() - began
    print(sent, int(sent / took))


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:5]))
