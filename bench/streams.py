"""All streams of a capture into files in memory, beside tcpflow in the same run.

    python bench/streams.py                       # 2 GB elephants, three rounds
    python bench/streams.py --size 50MB --rounds 1

Wall time is held to a third of tcpflow's, memory to 300 MB. See ``bench/vs.py`` for how is measured: fastest
rounds are compared. Processor time is printed, too, for other work on the machine disturbs it least.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import make
from sizes import parse_size
from vs import Case, run

MOST_RATIO, MOST_RSS = 1 / 3, 300_000_000


def main() -> None:
    """Measure and print; exit status 1 when a target is missed with --strict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=parse_size, default="2GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        work = Path(name)
        capture = work / "elephants.pcap"
        make.write("elephants", options.size, capture)
        fk = [sys.executable, "-m", "flowkeep", "streams", str(capture), "-o", str(work / "out"), "--quiet"]
        cases = [
            Case("flowkeep streams", fk, "tcpflow", clean=work / "out"),
            Case(
                "tcpflow",
                ["tcpflow", "-r", str(capture), "-o", str(work / "out")],
                "tcpflow",
                clean=work / "out",
            ),
        ]
        if shutil.which("tcpflow") is None:
            cases.pop()
        cases.append(Case("cat", ["cat", str(capture)], "tcpflow"))
        cpu: dict[str, list[float]] = {case.name: [] for case in cases}
        for _ in range(options.rounds):
            for case in cases:
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                run(case)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu[case.name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        for case in cases:
            print(f"{case.name:18} {min(case.seconds):7.2f} s  cpu {min(cpu[case.name]):6.2f} s  "
                  f"{case.rss / 1e6:6.0f} MB  {case.failed}")  # fmt: skip
        if len(cases) < 3:
            return
        ratio = min(cases[0].seconds) / min(cases[1].seconds)
        both = min(cpu[cases[0].name]) / min(cpu[cases[1].name])
        print(
            f"wall time {ratio:.2f} of tcpflow, target {MOST_RATIO:.2f}; processor time {both:.2f}; "
            f"memory limit {MOST_RSS / 1e6:.0f} MB"
        )
        if options.strict and (ratio > MOST_RATIO or cases[0].rss > MOST_RSS):
            sys.exit(1)


if __name__ == "__main__":
    main()
