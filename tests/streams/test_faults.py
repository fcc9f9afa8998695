"""Many streams, hostile captures, full disks, interrupts: bounds hold and nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import flowkeep as fk
import pytest

from tests import wire
from tests.cli import command
from tests.fault.test_full_disk import OUTPUT_ERROR, limited
from tests.streams.cases import c, connection
from tests.wire import Packet


def many(path: Path, count: int, size: int = 300) -> Path:
    """Open connections of one segment with a hole before the second, all at once."""
    with path.open("wb") as out:
        out.write(wire.pcap([]))
        for part in range(2):
            packets = []
            for n in range(count):
                src = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
                segment = wire.tcp(1024, 80, bytes([n & 255]) * size, seq=1 + part * 2 * size, ack=1)
                packets.append(Packet(wire.START_NS, bytes(wire.ether(wire.ip4(src, "192.0.2.1", segment)))))
            out.write(wire.pcap(packets)[24:])
    return path


def test_many_streams_at_once(tmp_path: Path) -> None:
    count = 20_000
    path = many(tmp_path / "many.pcap", count)
    # 20 files open at most, and memory that is counted by the kernel.
    code = (
        "import resource, sys, flowkeep as fk\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))\n"
        "r = fk.open(sys.argv[1]).streams(sys.argv[2])\n"
        # getrusage would tell the peak of the parent at the start.
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM:'))\n"
        "print(r.flows, r.files, r.bytes, r.gaps, peak.split()[1])\n"
    )
    line = [sys.executable, "-c", code, str(path), str(tmp_path / "out")]
    done = subprocess.run(line, capture_output=True, check=True, env=command.ENV, timeout=300)
    flows, files, size, gaps, rss = map(int, done.stdout.split())
    assert (flows, files, size, gaps) == (count, 2 * count, 600 * count, count)
    assert rss < 100_000 + count * 6  # kB: what a bare run takes, and some 6 kB a stream


def test_hostile_bytes_come_to_an_end(tmp_path: Path) -> None:
    dice = random.Random(7)
    good = wire.merged(
        connection([c(0, b"x" * 400), c(400, b"y" * 400)]),
        [Packet(wire.START_NS, bytes(wire.ether(f))) for f in wire.ip4_fragments(
            "10.0.0.1", "10.0.0.2", wire.tcp(40000, 80, bytes(900), seq=2000), size=256, ident=3)],
        [Packet(wire.START_NS, bytes(wire.ether(f))) for f in wire.ip6_fragments(
            "2001:db8::1", "2001:db8::2", wire.tcp(40000, 80, bytes(900), seq=2000), size=256, ident=3)],
    )  # fmt: skip
    for number in range(60):
        packets = []
        for _ in range(60):
            p = dice.choice(good)
            data = bytearray(p.data)
            for _ in range(dice.randrange(6)):
                data[dice.randrange(12, len(data))] = dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])
            packets.append(
                Packet(
                    p.ts_ns, bytes(data[: dice.choice([len(data), dice.randrange(14, len(data))])]), len(data)
                )
            )
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(wire.pcap(packets))
        report = fk.open(path).streams(tmp_path / f"out{number}", gaps="omit", frames=True, udp=True)
        assert report.bytes <= sum(len(p.data) for p in packets)


def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "big.pcap"
    path.write_bytes(wire.pcap(wire.tcp_session(script=[("c", bytes(400_000))])))
    done = limited(100_000, "streams", path, "-o", tmp_path / "out")
    assert done.returncode == OUTPUT_ERROR, done.stderr
    assert str(tmp_path / "out") in command.said(done)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.pcap"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    line = ["streams", "-", "-o", tmp_path / "out"]
    run = command.start(*line, stdin=read)
    os.close(read)
    os.write(write, wire.pcap(connection([c(0, b"x" * 400)])))
    while not (tmp_path / ".out.flowkeep-part").exists():
        assert run.poll() is None, run.stderr and run.stderr.read()
    run.send_signal(signal.SIGINT)
    assert run.wait(command.DEADLINE) == 130
    os.close(write)
    assert list(tmp_path.iterdir()) == []
    assert run.stdout is not None and run.stderr is not None
    run.stdout.close()
    run.stderr.close()


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(connection([c(0, b"x")])))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    with pytest.raises(fk.UsageError, match="name a new or an empty folder"):
        fk.open(path).streams(tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]
