"""How fast a capture goes into the cache: one thread, beside ``cat`` and ``flowkeep flows`` on the same file.

    python bench/cache.py                           # 1 GB elephants, 300 MB mice, three rounds
    python bench/cache.py --size 20MB --rounds 1    # only that it runs

Every round runs every command once, one after another, from the page cache. Given are packets for each
second of
processor time (user and system together, interpreter start taken off) and the median of the ratios to
``cat`` in elapsed time. A cache of 64 MiB
is full after a moment: then every packet that comes lets others go, which is the usual state; one of 4
GiB takes all.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sizes import parse_size
from vs import RUNS, machine, warmed

INGEST = """
import sys, flowkeep as fk
cache = fk.Cache(memory=sys.argv[2])
if sys.argv[1]:
    print(cache.native.replay(sys.argv[1], jobs=1)["packets"])
"""


@dataclass
class Case:
    """A command and what it took, round by round."""

    name: str
    command: list[str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def run(case: Case) -> str:
    """Run once."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(case.command, stdout=subprocess.PIPE, check=True)
    case.wall.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    case.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return done.stdout[-20:].decode(errors="replace")


def cases_of(capture: Path) -> list[Case]:
    """What is run on one capture; the first is the base, the second the start of the interpreter."""
    program = shutil.which("flowkeep") or "flowkeep"
    ingest = [sys.executable, "-c", INGEST]
    return [
        Case("cat", ["sh", "-c", f"cat '{capture}' > /dev/null"]),
        Case("interpreter", [*ingest, "", "64MiB"]),
        Case("cache of 64 MiB", [*ingest, str(capture), "64MiB"]),
        Case("cache of 4 GiB", [*ingest, str(capture), "4GiB"]),
        Case("flowkeep flows", [program, "flows", str(capture), "--format", "arrow", "-o", "/dev/null",
                                "--jobs", "1", "--quiet", "--no-index"]),
    ]  # fmt: skip


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=parse_size, help="of both captures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    parser.add_argument("--no-record", action="store_true", help="keep no file in bench/runs")
    parser.add_argument("--note", help="a line for the record, such as who else used the machine")
    options = parser.parse_args()
    load = os.getloadavg()
    lines = []
    for kind, size in (("elephants", options.size or 10**9), ("mice", options.size or 3 * 10**8)):
        with tempfile.TemporaryDirectory(prefix="flowkeep-bench-", dir=options.dir) as folder:
            capture, _ = warmed(kind, size, Path(folder))
            cases = cases_of(capture)
            packets = 0
            for number in range(options.rounds + 1):
                for case in cases:
                    said = run(case)
                    if case.name == "cache of 64 MiB":
                        packets = int(said)
                    if number == 0:  # the warm-up does not count
                        case.wall.clear()
                        case.cpu.clear()
        start = statistics.median(cases[1].cpu)
        lines.append(f"{kind}: {capture_size(size)}, {packets:,} packets")
        for case in cases:
            ratio = statistics.median(a / b for a, b in zip(case.wall, cases[0].wall, strict=True))
            cpu = max(statistics.median(case.cpu) - start, 1e-9)
            rate = (
                "" if case.name in ("cat", "interpreter") else f"{packets / cpu / 1e6:8.2f} million packets/s"
            )
            lines.append(f"  {case.name:18} {statistics.median(case.wall):8.2f} s {ratio:8.1f} x cat {rate}")
    text = "\n".join(
        [*machine(), f"load before: {load[0]:.1f}", *([options.note] if options.note else []), "", *lines]
    )
    print(text)
    if not options.no_record:
        name = f"{datetime.date.today()}-cache-{platform.node() or 'machine'}.txt"
        (RUNS / name).write_text(text + "\n", encoding="utf-8")


def capture_size(size: int) -> str:
    """For people."""
    return f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
