"""Where tcpdump loses nothing, flowkeep loses nothing; what is lost is counted to the packet."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flowkeep import _native

from .net import Pair, cache, capturing, held, only, until

pytestmark = pytest.mark.namespace

SENDER = Path(__file__).with_name("sender.py")


def _sent(size: int, count: int, rate: int) -> tuple[int, int]:
    command = [sys.executable, "-S", str(SENDER), "vb", str(size), str(count), str(rate)]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(words[0]), int(words[1])


def _beside_tcpdump(size: int, count: int, rate: int) -> tuple[int, int]:
    """What tcpdump and flowkeep lost of the same packets."""
    dump = subprocess.Popen(
        ["tcpdump", "-i", "va", "-B", "65536", "-w", "/dev/null"], stderr=subprocess.PIPE, text=True
    )
    assert dump.stderr
    said = ""
    while "listening on" not in said:
        line = dump.stderr.readline()
        assert line, said
        said += line
    # What is let go is of no interest here, only whether it came.
    with capturing(cache(32 << 20), interfaces=["va"]) as capture:
        sent, reached = _sent(size, count, rate)
    dump.send_signal(signal.SIGINT)
    said = dump.communicate(timeout=60)[1]
    # Those it had no time to read before it was told to end are not lost to it: they were in its ring.
    lost = re.search(r"(\d+) packets? dropped by kernel", said)
    assert lost, said
    stats = only(capture)
    assert stats["packets"] + stats["drops"] == sent == count
    assert stats["bytes"] == stats["packets"] * size
    print(f"{size} B, {reached} packets/s: tcpdump lost {lost[1]} of {sent}, flowkeep {stats['drops']}")
    return int(lost[1]), stats["drops"]


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("size", [64, 1500])
def test_where_tcpdump_loses_nothing_nothing_is_lost(pair: Pair, size: int) -> None:
    # Other work on the machine may take the processor from either: it is tried again, at lower rates.
    for rate in (100_000, 50_000, 25_000, 10_000, 5_000):
        for _ in range(3):
            theirs, ours = _beside_tcpdump(size, rate, rate)
            if theirs:
                break
            if not ours:
                return
        else:
            pytest.fail(f"at {rate} packets/s tcpdump lost nothing three times, and flowkeep {ours}")
    pytest.skip("tcpdump loses packets at 5,000 a second here: nothing can be compared")


@pytest.mark.parametrize("ring", [1 << 20, 64 << 20])
def test_sent_is_received_and_dropped_at_any_rate(pair: Pair, ring: int) -> None:
    with capturing(cache(32 << 20), interfaces=["va"], ring=ring) as capture:
        sent, _ = _sent(1500, 60_000, 0)
    stats = only(capture)
    assert stats["packets"] + stats["drops"] == sent == 60_000


def test_every_packet_of_a_fast_run_is_the_one_that_was_sent(pair: Pair) -> None:
    store = cache(128 << 20)
    with capturing(store, interfaces=["va"]) as capture:
        _sent(200, 50_000, 50_000)
    assert only(capture)["drops"] == 0
    numbers = [int.from_bytes(r.data[14:18], "big") for r in held(store)[0]]
    assert numbers == list(range(50_000))


def test_questions_meanwhile_cost_no_packet(pair: Pair) -> None:
    store = cache(64 << 20)
    with capturing(store, interfaces=["va"]) as capture:
        command = [sys.executable, "-S", str(SENDER), "vb", "200", "100000", "50000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
            until(lambda: store.status()["received"]["packets"] > 0)
            asked = 0
            while run.poll() is None:
                reader: _native.CacheReader = store.reader()
                while not reader.ended:
                    reader.read()
                asked += 1
    assert asked > 0
    assert (only(capture)["packets"], only(capture)["drops"]) == (100_000, 0)
