"""Memory as the kernel counts it, over hours of made traffic with a changing load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import DEADLINE, ENV

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

MEMORY = 32 << 20
BESIDE = 40_000_000

RUN = """
import random, struct, sys
import flowkeep as fk

def rss(name):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(name))

before = rss("VmRSS")
cache = fk.Cache(memory=int(sys.argv[1]))
number = cache.native.interface("eth0", 1)
add, rng = cache.native.add, random.Random(5)
now, second, sent = 1_700_000_000 * 10**9, 10**9, 0

def frame(proto, a, b, ap, bp, flags, size):
    head = struct.pack(">HHHHBBHII", 0x4500, (40 if proto == 6 else 28) + size, 0, 0, 64, proto, 0, a, b)
    if proto == 6:
        head += struct.pack(">HHIIBBHHH", ap, bp, 1, 1, 0x50, flags, 9999, 0, 0)
    else:
        head += struct.pack(">HHHH", ap, bp, 8 + size, 0)
    return b"\\2" * 12 + b"\\x08\\0" + head + bytes(size)

reader = cache.read(follow=True)  # one that never reads
for minute in range(60):
    kind = ("mice", "elephants", "flood", "mice", "quiet", "large")[minute % 6]
    count = {"mice": 6000, "elephants": 15000, "flood": 25000, "quiet": 200, "large": 200}[kind]
    for n in range(count):
        now += 60 * second // count
        sent += 1
        if kind == "elephants":
            add(number, now, frame(6, 1 + n % 5, 9, 1000 + minute, 445, 0x18, 1460))
        elif kind == "flood":
            add(number, now, frame(6, rng.getrandbits(32), 9, n & 0xffff, 443, 2, 0))
        elif kind == "large":
            add(number, now, b"\\3" * 262144)
        else:
            a, p = 10 << 24 | sent // 2, 1024 + sent // 2 % 60000
            add(number, now, frame(17, a, 9, p, 53, 0, 30) if sent % 2 == 0 else frame(17, 9, a, 53, p, 0, 150))
    status = cache.status()
    assert status["used"]["total"] <= status["bound"], status["used"]
    gone = sum(each["packets"] for each in status["let_go"].values())
    assert status["received"]["packets"] == sent == status["held"]["packets"] + gone
    if minute % 20 == 0:
        for piece in cache.read(filter="udp"):
            pass
        len(cache.flows())
print(rss("VmHWM") - before, rss("VmRSS") - before)
"""


def test_an_hour_of_changing_load_stays_within_the_bound() -> None:
    command = [sys.executable, "-c", RUN, str(MEMORY)]
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE, env=ENV, check=False)
    assert done.returncode == 0, done.stderr.decode()
    peak, last = map(int, done.stdout.split())
    assert last <= peak <= MEMORY + BESIDE
    assert last >= MEMORY // 2, "memory is used"
