"""Whole commands against ``cat FILE > /dev/null``, beside other tools.

    python bench/vs.py                     # 2 GB elephants, 500 MB mice, five rounds
    python bench/vs.py --elephants 50MB --mice 20MB --rounds 1     # for CI: only that it runs

Every round runs every command once, one after another, so that a slow moment of the machine
meets all of them. Two ratios to ``cat`` are given: ``fastest``, of the best rounds of both, which
other work on the machine disturbs least and which the target is held to; and ``median``, of the ratios
round by round. Where they are far apart the machine was busy. Captures are
made in a temporary folder (``--dir``, by default /dev/shm if there is one) and read once before, so
that they come from the page cache. Times are of the whole command, interpreter start
included; peak memory is that of the process as the kernel counted it. The table is printed and
kept in ``bench/runs``.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sizes import parse_size

RUNS = Path(__file__).parent / "runs"


@dataclass
class Case:
    """A command to measure, and what it must not exceed."""

    name: str
    command: list[str]
    base: str  # name of the case that the ratio is taken to
    most: float | None = None  # ratio
    most_rss: int | None = None  # bytes
    clean: Path | None = None  # what it writes, to be removed after each run
    seconds: list[float] = field(default_factory=list)
    rss: int = 0
    failed: str = ""


def run(case: Case) -> None:
    """One run of a case; its time and peak memory are noted in it."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    with tempfile.TemporaryFile() as errors:
        actions = [
            (os.POSIX_SPAWN_DUP2, quiet, 1),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        start = time.perf_counter()
        pid = os.posix_spawnp(case.command[0], case.command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        case.seconds.append(time.perf_counter() - start)
        case.rss = max(case.rss, usage.ru_maxrss * 1024)
        if os.waitstatus_to_exitcode(status) != 0:
            errors.seek(0)
            case.failed = errors.read(300).decode(errors="replace").strip() or "failed"
    os.close(quiet)
    if case.clean is not None:
        shutil.rmtree(case.clean, ignore_errors=True)


def cases_of(kind: str, capture: Path, flows: int, work: Path, rivals: bool) -> list[Case]:
    """The cases of one capture."""
    cat, path = f"{kind}: cat", str(capture)
    out = work / "out"
    small = 150_000_000
    memory = small if kind == "elephants" else small + 250 * flows
    fk = [sys.executable, "-m", "flowkeep"]
    program = shutil.which("flowkeep")
    if program is not None:
        fk = [program]
    cases = [
        Case(cat, ["cat", path], cat),
        Case(
            f"{kind}: flowkeep flows",
            [*fk, "flows", path, "--format", "arrow", "-o", os.devnull],
            cat, 1.5 if kind == "elephants" else 6.0, memory,
        ),
        Case(
            f"{kind}: flowkeep trim 102400",
            [*fk, "trim", "102400", path, "--output", str(out)],
            cat, 3.0 if kind == "elephants" else None, memory, out,
        ),
        Case(f"{kind}: flowkeep info", [*fk, "info", path], cat, None, memory),
    ]  # fmt: skip
    others = {
        "tshark": ["tshark", "-n", "-q", "-r", path, "-z", "conv,tcp"],
        "tcpdump": ["tcpdump", "-n", "-r", path, "-w", os.devnull],
        "tcpflow": ["tcpflow", "-r", path, "-o", str(out)],
        "editcap": ["editcap", path, os.devnull],
        "capinfos": ["capinfos", path],
    }
    if rivals:
        for name, command in others.items():
            if shutil.which(name):
                cases.append(Case(f"{kind}: {name}", command, cat, clean=out))
    return cases


def start_cases() -> list[Case]:
    """Start-up against a bare interpreter."""
    bare = Case("start: python -c pass", [sys.executable, "-c", "pass"], "start: python -c pass")
    program = shutil.which("flowkeep")
    command = [program] if program else [sys.executable, "-m", "flowkeep"]
    return [bare, Case("start: flowkeep --version", [*command, "--version"], bare.name, 3.0)]


def report(cases: list[Case]) -> list[str]:
    """The table, a line a case."""
    by_name = {case.name: case for case in cases}
    head = ("case", "median s", "min s", "fastest", "median", "target", "RSS MB", "limit", "")
    lines = ["{:34} {:>9} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7}  {}".format(*head).rstrip()]
    for case in cases:
        if case.failed:
            lines.append(f"{case.name:34} {case.failed.splitlines()[-1][:60]}")
            continue
        base = by_name[case.base].seconds
        # Best to best, and round by round: see the head of this file.
        fastest = min(case.seconds) / min(base)
        ratio = statistics.median(a / b for a, b in zip(case.seconds, base, strict=False))
        over = case.most is not None and fastest > case.most
        over |= case.most_rss is not None and case.rss > case.most_rss
        checked = case.most is not None or case.most_rss is not None
        lines.append(
            f"{case.name:34} {statistics.median(case.seconds):9.3f} {min(case.seconds):8.3f} "
            f"{fastest:7.2f} {ratio:7.2f} {'' if case.most is None else f'{case.most:.1f}':>7} "
            f"{case.rss / 1e6:7.0f} "
            f"{'' if case.most_rss is None else f'{case.most_rss / 1e6:.0f}':>7}  "
            f"{'OVER' if over else 'ok' if checked else ''}".rstrip()
        )
    return lines


def machine() -> list[str]:
    """What the figures belong to."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if os.name == "posix" else []:
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    versions = [f"Python {platform.python_version()}"]
    for command in (["flowkeep", "--version"], ["tshark", "--version"], ["tcpdump", "--version"]):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            versions.append((done.stdout or done.stderr).splitlines()[0].strip())
    system = f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return [system, "; ".join(versions)]


def warmed(kind: str, size: int, work: Path) -> tuple[Path, int]:
    """A capture that is made and in the page cache, and about how many flows it has."""
    path = work / f"{kind}.pcap"
    # In a process of its own: the kernel counts the memory of the parent at the moment of a
    # spawn as the child's, so this process must stay small.
    maker = [sys.executable, str(Path(__file__).with_name("make.py")), kind, str(size), str(path)]
    subprocess.run(maker, check=True, stderr=subprocess.DEVNULL)
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass
    return path, size // 500  # 3.7 records of 136 bytes a mouse


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--elephants", type=parse_size, default=2 * 10**9)
    parser.add_argument("--mice", type=parse_size, default=5 * 10**8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    parser.add_argument("--no-rivals", action="store_true", help="flowkeep and cat alone")
    parser.add_argument("--no-record", action="store_true", help="keep no file in bench/runs")
    parser.add_argument("--note", help="a line for the record, such as who else used the machine")
    options = parser.parse_args()
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="flowkeep-bench-", dir=options.dir) as folder:
        work = Path(folder)
        cases = start_cases()
        for kind in ("elephants", "mice"):
            capture, flows = warmed(kind, getattr(options, kind), work)
            cases += cases_of(kind, capture, flows, work, not options.no_rivals)
        for number in range(options.rounds + 1):
            for case in cases:
                if not case.failed:
                    run(case)
            if number == 0:  # the warm-up does not count
                for case in cases:
                    case.seconds.clear()
    sizes = f"elephants {options.elephants / 1e6:.0f} MB, mice {options.mice / 1e6:.0f} MB"
    lines = [f"{sizes}, {options.rounds} rounds, whole commands, files in the page cache"]
    lines += [*machine(), f"load average before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}"]
    if options.note:
        lines.append(options.note)
    lines += ["", *report(cases)]
    print("\n".join(lines))
    if not options.no_record:
        RUNS.mkdir(exist_ok=True)
        name = f"{datetime.date.today():%Y-%m-%d}-{platform.node() or 'unnamed'}.txt"
        (RUNS / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
