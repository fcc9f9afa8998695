"""A day of captures cut by ``retain apply``, beside ``trim`` doing the same.

    python bench/retain.py                          # 8 files of 250 MB, three rounds
    python bench/retain.py --size 20MB --rounds 1   # only that it runs

A capture of elephants is divided into files, so that its flows go on from file to file. Every round
copies them afresh for each command (not timed) and runs ``trim --in-place`` and ``retain apply`` one after
the other, start of the interpreter included, captures in the page cache. Both write ledgers and the same
captures; that is checked. Given are wall time and processor time, and the ratio to ``trim`` of the same
round. The table is kept in ``bench/runs``.
"""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from make import write
from sizes import parse_size
from vs import RUNS, machine

POLICY = """
journal = "{work}/journal-{name}.jsonl"
inventory = "{work}/inventory-{name}.sqlite"
[dataset.day]
include = ["{folder}/*.pcap"]
settle = "0s"
{more}
[[dataset.day.tier]]
after = "1d"
cutoff = "100kB"
[limits]
jobs = 0
nice = 0
ionice = "none"
"""


def divide(capture: Path, folder: Path, files: int) -> None:
    """The records of a capture in files of about the same size."""
    folder.mkdir()
    data = memoryview(capture.read_bytes())
    at, begin, each = 24, 24, (len(data) - 24) // files
    for number in range(files):
        end = len(data) if number == files - 1 else begin + each
        while at < end:
            at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        with (folder / f"{number}.pcap").open("wb") as out:
            out.write(data[:24])
            out.write(data[begin:at])
        os.utime(folder / f"{number}.pcap", (1_700_000_000, 1_700_000_000))
        begin = at


def timed(line: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def once(fk: str, source: Path, work: Path) -> dict[str, tuple[float, float]]:
    """A round: the seconds of each command."""
    found, results = {}, {}
    for name, more in (
        ("trim", ""),
        ("apply", ""),
        ("apply, budget", '[dataset.day.budget]\ndisk = "100TB"'),
    ):
        folder = work / "day"
        shutil.copytree(source, folder)
        policy = work / "policy.toml"
        policy.write_text(POLICY.format(work=work, folder=folder, name=name.replace(", ", "-"), more=more))
        for path in work.glob("journal-*"):
            path.unlink()
        line = [fk, "trim", "100kB", str(folder), "--in-place", "--quiet"]
        if name != "trim":
            line = [fk, "retain", "apply", str(policy), "--quiet"]
        if more:
            # The plan has read the files before: the inventory knows them.
            subprocess.run(
                [fk, "retain", "plan", str(policy), "--quiet"], check=True, stdout=subprocess.DEVNULL
            )
        found[name] = timed(line)
        results[name] = {path.name: path.read_bytes() for path in sorted(folder.glob("*.pcap"))}
        assert results[name] == results["trim"], f"{name} gives other captures than trim"
        shutil.rmtree(folder)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--size", type=parse_size, default=250_000_000, help="of each file")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    fk = shutil.which("flowkeep") or sys.exit("flowkeep is not on the path")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        work = Path(name)
        write("elephants", given.size * given.files, work / "all.pcap")
        divide(work / "all.pcap", work / "source", given.files)
        (work / "all.pcap").unlink()
        rounds = [once(fk, work / "source", work) for _ in range(given.rounds)]
    lines = [f"{given.files} files of {given.size:,} bytes, 100kB, {'; '.join(machine())}", ""]
    lines.append(f"{'':16}{'wall s':>9}{'cpu s':>9}{'wall : trim':>13}{'cpu : trim':>12}")
    for case in rounds[0]:
        wall, cpu = (statistics.median(r[case][i] for r in rounds) for i in (0, 1))
        ratios = [statistics.median(r[case][i] / r["trim"][i] for r in rounds) for i in (0, 1)]
        lines.append(f"{case:16}{wall:9.2f}{cpu:9.2f}{ratios[0]:13.2f}{ratios[1]:12.2f}")
    text = "\n".join(lines) + "\n"
    print(text)
    RUNS.mkdir(exist_ok=True)
    (RUNS / f"{datetime.date.today().isoformat()}-retain.txt").write_text(text)


if __name__ == "__main__":
    main()
