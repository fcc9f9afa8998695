"""Trimming by a cluster of two workers beside ``--jobs 2``; the scheduler's memory.

    python bench/cluster.py                              # 8 files of 250 MB, 3 rounds; 10 and 1000 small
    python bench/cluster.py --size 5MB --rounds 1        # only that it runs

The cluster is running already: a scheduler and two workers with one thread each, on loopback. Every round
runs both commands, one after another; wall time is of the whole command. The ratio is that of the fastest
rounds. The scheduler's memory is what it has in RAM after a data set of 10 files, then after one of 1000.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import make
from sizes import parse_size

FLOWKEEP = [sys.executable, "-m", "flowkeep"]
DASK = [sys.executable, "-m", "dask"]


def timed(*command: str | Path) -> float:
    """Seconds of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


def rss(pid: int) -> int:
    """Bytes of a process in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say")


def split(kind: str, size: int, files: int, folder: Path) -> None:
    """A capture in so many files, so that flows go on from one to the next."""
    folder.mkdir()
    whole = folder.with_suffix(".pcap")
    make.write(kind, size * files, whole)
    data, head, at = whole.read_bytes(), whole.read_bytes()[:24], 24
    for n in range(files):
        start, end = at, 24 + (len(data) - 24) * (n + 1) // files
        while at < end:
            at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        (folder / f"{n:04}.pcap").write_bytes(head + data[start:at])
    whole.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=parse_size, default="250MB", help="of each of 8 files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=1000, help="small files")
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm") if Path("/dev/shm").is_dir() else None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as name:
        root = Path(name)
        processes: list[subprocess.Popen[bytes]] = []

        def start(*args: str) -> subprocess.Popen[bytes]:
            quiet = subprocess.DEVNULL
            process = subprocess.Popen([*DASK, *args], stdout=quiet, stderr=quiet, start_new_session=True)
            processes.append(process)
            return process

        try:
            file = root / "scheduler.json"
            scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                              "--scheduler-file", str(file))  # fmt: skip
            while not file.exists():
                time.sleep(0.1)
            time.sleep(0.5)
            address = json.loads(file.read_text())["address"]
            start("worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard")
            there = ["--cluster", address, "--spool", root / "spool"]
            for files in (10, given.many):
                split("mice", 20_000, files, root / f"small{files}")
                timed(*FLOWKEEP, "trim", "1kB", root / f"small{files}", "-o", root / "out", *there)
                print(f"scheduler after {files} files: {rss(scheduler.pid) / 1e6:.1f} MB")
                shutil.rmtree(root / "out")
            for kind in ("elephants", "mice"):
                split(kind, given.size, 8, root / kind)
                one, many = [], []
                for _ in range(given.rounds):
                    for seconds, how in ((one, ["--jobs", "2"]), (many, there)):
                        seconds.append(
                            timed(*FLOWKEEP, "trim", "100kB", root / kind, "-o", root / "out", *how)
                        )
                        shutil.rmtree(root / "out")
                ratio = min(many) / min(one)
                print(f"{kind}: --jobs 2 {min(one):.2f} s, two workers {min(many):.2f} s, {ratio:.2f}")
                shutil.rmtree(root / kind)
        finally:
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


if __name__ == "__main__":
    main()
