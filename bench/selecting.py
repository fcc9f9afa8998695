"""Taking packets and flows out of a capture, beside the tools that people use for it.

    python bench/selecting.py                       # 500 MB elephants, 200 MB mice, three rounds
    python bench/selecting.py --size 20MB --rounds 1     # only that it runs

Every round runs every command once, one after another; given is the median of the ratios to ``cat``, round by
round. Captures are made in a temporary folder and read once before. The other tools choose *packets*
that match; ``extract --where`` and ``--flow-filter`` choose whole flows, and so read the capture twice. The
table is printed and kept in ``bench/runs``.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from sizes import parse_size
from vs import RUNS, Case, machine, report, run, warmed

HOST = "192.0.2.7"
"""A server of one flow in 251."""


def named(n: int) -> str:
    """The first flows of a made capture (see make.py), every third, as an alert names them."""
    lines = []
    for flow in range(0, 3 * n, 3):
        port, server = 32_768 + flow % 16_384, flow * 7919 % 251
        lines.append(f"[**] made [**] 10.0.0.{flow // 16_384}:{port} -> 192.0.2.{server}\n")
    return "".join(lines)


def cases_of(kind: str, capture: Path, work: Path) -> list[Case]:
    """The cases of one capture."""
    cat, path, out = f"{kind}: cat", str(capture), work / "out"
    out.mkdir(exist_ok=True)
    program = shutil.which("flowkeep")
    fk = [program] if program else [sys.executable, "-m", "flowkeep"]
    into = str(out / "result.pcap")
    alerts = work / f"{kind}-alerts.txt"
    alerts.write_text(named(10_000))
    rivals = {
        "tshark -Y -w": ["tshark", "-n", "-r", path, "-Y", f"ip.addr == {HOST}", "-w", into],
        "tcpdump -r -w": ["tcpdump", "-n", "-r", path, "-w", into, f"host {HOST}"],
        "editcap 1-1000": ["editcap", "-r", path, into, "1-1000"],
    }
    own = {
        "extract --filter": ["--filter", f"host {HOST}"],
        "extract --where": ["--where", f"server_ip = '{HOST}'"],
        "extract --flow-filter": ["--flow-filter", f"host {HOST}"],
        "extract --flows-from 10,000": ["--flows-from", str(alerts)],
    }
    cases = [Case(cat, ["cat", path], cat)]
    cases += [
        Case(f"{kind}: {name}", [*fk, "extract", path, *what, "--force", "-o", into], cat)
        for name, what in own.items()
    ]
    cases += [Case(f"{kind}: {name}", it, cat) for name, it in rivals.items() if shutil.which(it[0])]
    return cases


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=parse_size, help="of both captures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    parser.add_argument("--no-record", action="store_true", help="keep no file in bench/runs")
    parser.add_argument("--note", help="a line for the record, such as who else used the machine")
    options = parser.parse_args()
    sizes = {"elephants": options.size or 5 * 10**8, "mice": options.size or 2 * 10**8}
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="flowkeep-bench-", dir=options.dir) as folder:
        cases = []
        for kind, size in sizes.items():
            capture, _ = warmed(kind, size, Path(folder))
            cases += cases_of(kind, capture, Path(folder))
        for number in range(options.rounds + 1):
            for case in cases:
                if not case.failed:
                    run(case)
            if number == 0:  # the warm-up does not count
                for case in cases:
                    case.seconds.clear()
    made = ", ".join(f"{kind} {size / 1e6:.0f} MB" for kind, size in sizes.items())
    lines = [
        f"bench/selecting.py: {made}, {options.rounds} rounds, whole commands, files in the page cache",
        *machine(),
    ]
    lines += [f"load average before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}"]
    lines += [options.note] if options.note else []
    lines += ["", *report(cases)]
    print("\n".join(lines))
    if not options.no_record:
        name = f"{datetime.date.today():%Y-%m-%d}-select-{platform.node() or 'unnamed'}.txt"
        (RUNS / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
