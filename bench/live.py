"""Packets of a veth pair into a cache, beside tcpdump with a ring of the same size: losses by rate.

    python bench/live.py                              # 64 and 1500 B, rising rates, 5 s each
    python bench/live.py --seconds 2 --rates 50000,100000

Needs root, or a user that may make namespaces: it runs itself under unshare. tcpreplay sends where it is
installed, else tests/live/sender.py. Each rate is measured with each program alone, in turn. Processor time
is what the program took in user and system mode; the kernel's side of a capture falls to the sender.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSIDE = "FLOWKEEP_BENCH_NAMESPACE"
FAST = 300_000
"""Packets a second of the run that is as fast as it goes, to say how many they are."""


@dataclass
class Run:
    """One program at one rate."""

    sent: int
    rate: int
    lost: int
    cpu: float


def _send(size: int, rate: int, seconds: float, work: Path) -> tuple[int, int]:
    """Packets sent, and how many a second that were."""
    count = int((rate or FAST) * seconds)
    if shutil.which("tcpreplay"):
        from tests import wire as w

        path = work / f"{size}.pcap"
        if not path.exists():
            body = bytes(size - 42)
            packets = [w.ip("192.0.2.1", f"198.51.100.{i % 250}", w.udp(i + 1, 9, body)) for i in range(1000)]
            frames = [bytes(w.ether(packet)) for packet in packets]
            path.write_bytes(w.pcap([w.Packet(i, frame) for i, frame in enumerate(frames)]))
        loops = max(1, count // 1000)
        pace = ["--topspeed"] if rate == 0 else ["--pps", str(rate)]
        done = subprocess.run(
            ["tcpreplay", "-i", "vb", "-K", *pace, "--loop", str(loops), str(path)],
            capture_output=True,
            text=True,
        )
        words = re.search(r"Actual: (\d+) packets .* sent in ([\d.]+)", done.stdout)
        assert words, done.stdout + done.stderr
        return int(words[1]), int(int(words[1]) / float(words[2]))
    sender = [
        sys.executable,
        "-S",
        str(ROOT / "tests" / "live" / "sender.py"),
        "vb",
        str(size),
        str(count),
        str(rate),
    ]
    sent, reached = subprocess.run(sender, capture_output=True, text=True, check=True).stdout.split()
    return int(sent), int(reached)


def _tcpdump(size: int, rate: int, seconds: float, work: Path) -> Run:
    run = subprocess.Popen(
        ["tcpdump", "-i", "va", "-B", "65536", "-w", "/dev/null"], stderr=subprocess.PIPE, text=True
    )
    assert run.stderr
    while "listening on" not in run.stderr.readline():
        pass
    sent, reached = _send(size, rate, seconds, work)
    sender = resource.getrusage(resource.RUSAGE_CHILDREN)
    run.send_signal(signal.SIGINT)
    said = run.communicate()[1]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lost = re.search(r"(\d+) packets? dropped by kernel", said)
    assert lost, said
    return Run(sent, reached, int(lost[1]), _cpu(after) - _cpu(sender))


def _flowkeep(size: int, rate: int, seconds: float, work: Path) -> Run:
    import flowkeep as fk
    from flowkeep import _native

    store = fk.Cache(memory="256MiB").native
    capture = _native.Capture(store, interfaces=["va"])
    capture.start()
    before = _cpu(resource.getrusage(resource.RUSAGE_SELF))
    sent, reached = _send(size, rate, seconds, work)
    capture.stop()
    after = _cpu(resource.getrusage(resource.RUSAGE_SELF))
    [stats] = capture.stats()
    assert stats["packets"] + stats["drops"] == sent, (stats, sent)
    return Run(sent, reached, stats["drops"], after - before)


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _pair() -> None:
    for which in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")
    subprocess.run(["ip", "link", "add", "va", "type", "veth", "peer", "name", "vb"], check=True)
    for name in ("va", "vb"):
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    time.sleep(2)  # until the kernel sends on both


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64,1500")
    parser.add_argument(
        "--rates", default="50000,100000,200000,400000,0", help="packets/s; 0: as fast as it goes"
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    if not os.environ.get(INSIDE):
        flags = ["-n"] if os.getuid() == 0 else ["-rn"]
        command = ["unshare", *flags, sys.executable, *sys.argv]
        sys.exit(subprocess.run(command, env=os.environ | {INSIDE: "1"}, check=False).returncode)
    sys.path.insert(0, str(ROOT))
    _pair()
    programs = [("tcpdump -B 65536", _tcpdump), ("flowkeep", _flowkeep)]
    if shutil.which("tcpdump") is None:
        programs.pop(0)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print("size    asked    program           sent     packets/s     lost   lost %   cpu s")
    with tempfile.TemporaryDirectory() as work:
        for size in map(int, options.sizes.split(",")):
            for rate in map(int, options.rates.split(",")):
                for name, program in programs:
                    run = program(size, rate, options.seconds, Path(work))
                    print(f"{size:4} {rate:8}    {name:16} {run.sent:7} {run.rate:11}  {run.lost:8} "
                          f"{100 * run.lost / run.sent:7.2f}  {run.cpu:6.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
