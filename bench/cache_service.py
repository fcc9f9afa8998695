"""Asks a cache for the packets of one host while it captures: first byte, packets lost, memory.

::

    unshare -n python bench/cache_service.py            # as root; else unshare -rn
    unshare -n python bench/cache_service.py --rate 200000 --size 1500 --clients 20

Frames of 4,096 TCP flows go through a veth pair at a steady rate. Meanwhile each client asks again and again
for one host. The kernel says what memory the service has (VmRSS), and its bound is printed beside.
"""

from __future__ import annotations

import argparse
import ctypes
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import wire
from tests.cache.service import Service, connected, header, request, until
from tests.live.net import Pair

BURST = 64
FLOWS = 4096


class _Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_len", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("sent", ctypes.c_uint),
    ]  # fmt: skip


def frames(size: int) -> list[bytes]:
    """One frame of each flow; the hosts are 10.0.0.0 to 10.0.15.255."""
    payload = bytes(max(size - 54, 0))
    return [
        wire.ether(
            wire.ip4(f"10.0.{n // 256}.{n % 256}", "192.0.2.1", wire.tcp(1024 + n, 443, payload, flags="PA"))
        )
        for n in range(FLOWS)
    ]


def send(size: int, seconds: float, rate: int) -> tuple[int, float]:
    """Send at a rate, many frames a system call; how many, in which time."""
    libc = ctypes.CDLL(None, use_errno=True)
    kept = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames(size)]
    messages = (_Message * FLOWS)()
    pieces = (_Piece * FLOWS)()
    for i, buffer in enumerate(kept):
        pieces[i] = _Piece(ctypes.addressof(buffer), len(buffer))
        messages[i].pieces, messages[i].piece_count = ctypes.pointer(pieces[i]), 1
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("vb", 0))
        sent, began = 0, time.perf_counter()
        while sent < seconds * rate:
            at = sent % FLOWS
            done = libc.sendmmsg(raw.fileno(), ctypes.byref(messages[at]), min(BURST, FLOWS - at), 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
            ahead = sent / rate - (time.perf_counter() - began)
            if ahead > 0.0005:
                time.sleep(ahead)
        return sent, time.perf_counter() - began


def main() -> None:
    """Measure, and print it."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rate", type=int, default=100_000)
    options.add_argument("--size", type=int, default=200)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--clients", type=int, default=1)
    options.add_argument("--memory", type=int, default=64_000_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, Pair():
        args = ("-i", "va", "--memory", str(given.memory))
        with Service(Path(folder), *args) as service:
            measure(service, given)


def measure(service: Service, given: argparse.Namespace) -> None:
    """With a service that captures ``va``."""
    status = Path(f"/proc/{service.process.pid}/status")
    over, peak, first, whole = threading.Event(), [0], [], []

    def watch() -> None:
        while not over.wait(0.01):
            peak[0] = max(peak[0], 1024 * int(status.read_text().partition("VmRSS:")[2].split()[0]))

    def ask(n: int) -> None:
        while not over.is_set():
            began = time.perf_counter()
            with connected(service.socket) as sock:
                sock.sendall(request(ask="read", filter=f"host 10.0.3.{n}", frames=False))
                header(sock)
                if sock.recv(1):
                    first.append(time.perf_counter() - began)
                while sock.recv(1 << 18):
                    pass
                whole.append(time.perf_counter() - began)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(given.clients)]
    threads.append(threading.Thread(target=watch))
    for thread in threads:
        thread.start()
    sent, took = send(given.size, given.seconds, given.rate)
    over.set()
    for thread in threads:
        thread.join()
    until(lambda: sum(counted(service)) >= sent)
    _, lost = counted(service)
    print(f"sent      {sent:,} frames of {given.size} B, {sent / took:,.0f}/s")
    print(f"lost      {lost:,}")
    for name, times in (("first byte", first), ("whole answer", whole)):
        ms = sorted(1000 * t for t in times)
        middle, late = statistics.median(ms), ms[len(ms) * 99 // 100]
        print(f"{name:<12} median {middle:.1f} ms, 99 % {late:.1f} ms, longest {ms[-1]:.1f} ms, of {len(ms)}")
    print(f"memory    {peak[0]:,} bytes at most, of them the ring {64 << 20:,}; bound {given.memory:,}")


def counted(service: Service) -> tuple[int, int]:
    """Packets that came, and that the kernel lost."""
    (one,) = service.asked(ask="status")["status"]["inputs"]
    return one["packets"], one["drops"]


if __name__ == "__main__":
    main()
