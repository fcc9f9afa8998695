"""What many machines cost: the model of docs/scale.md, fitted, and the fold over thousands of summaries.

python bench/scale.py fit          seconds and bytes of each step, with captures of several sizes; residuals
python bench/scale.py fold         one part of 100, 1,000 and 10,000 files: time a file, memory
"""

from __future__ import annotations

import argparse
import platform
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flowkeep import _native

START = 1_700_000_000


def capture(path: Path, flows: int, packets: int, length: int, seed: int, pool: int = 0) -> int:
    """Write a capture of UDP flows with so many packets each, with a pool out of so many flows; its bytes."""
    dice = random.Random(seed)
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        bodies = []
        for n in range(flows):
            number = dice.randrange(pool) if pool else seed * flows + n
            a, b = 0x0A000000 + number % (1 << 24), 0xAC100000 + number // 7 % (1 << 20)
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, length - 14, 0, 0, 64, 17, 0, a, b)
            udp = struct.pack(">HHHH", 1024 + number % 60000, 53, length - 34, 0)
            bodies.append(bytes(12) + b"\x08\x00" + ip + udp + bytes(length - 42))
        micros = 0
        for _ in range(packets):
            for body in bodies:
                out.write(struct.pack("<IIII", START + seed, micros % 1_000_000, length, length) + body)
                micros += 1
    return path.stat().st_size


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(work, *given):
    """What work gives, and its seconds of processor time."""
    before = spent()
    result = work(*given)
    return result, spent() - before


def solve(rows: list[tuple[float, ...]], wanted: list[float]) -> list[float]:
    """Least squares of the relative error, by the normal equations."""
    rows = [tuple(x / y for x in row) for row, y in zip(rows, wanted, strict=True)]
    n = len(rows[0])
    left = [[sum(r[i] * r[j] for r in rows) for j in range(n)] + [sum(r[i] for r in rows)] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(left[k][i]))
        left[i], left[pivot] = left[pivot], left[i]
        for k in range(n):
            if k != i:
                factor = left[k][i] / left[i][i]
                left[k] = [x - factor * y for x, y in zip(left[k], left[i], strict=True)]
    return [left[i][n] / left[i][i] for i in range(n)]


def fit() -> None:
    """Cost of each step by packets, bytes and flows."""
    shapes = [
        (20_000, 5, 120),
        (100_000, 3, 120),
        (200_000, 2, 120),
        (2_000, 100, 1514),
        (500, 500, 1514),
        (50_000, 8, 600),
    ]
    facts, steps = [], {"scan": [], "write": [], "read": [], "merge": [], "met_by": []}
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        carry = _native.Summary.start()
        for seed, (flows, packets, length) in enumerate(shapes):
            path, out = Path(folder) / "in.pcap", Path(folder) / "summary"
            size = capture(path, flows, packets, length, seed)
            path.read_bytes()
            (summary, _), t = timed(lambda p=path: _native.Summary.scan(str(p), jobs=1))
            steps["scan"].append(t)
            steps["write"].append(timed(summary.write, str(out))[1])
            back, t = timed(_native.Summary.read, str(out))
            steps["read"].append(t)
            _, t = timed(carry.met_by, back)
            steps["met_by"].append(t)
            steps["merge"].append(timed(carry.merge, back)[1])
            facts.append((flows * packets, size, flows))
            sizes.append((flows, out.stat().st_size))
    print(f"{'step':8} {'ns a packet':>12} {'ns a kB':>9} {'ns a flow':>10}   residuals")
    for name, seconds in steps.items():
        used = (
            [(1e-9 * f[0], 1e-9 * f[1] / 1000, 1e-9 * f[2]) for f in facts]
            if name == "scan"
            else [(1e-9 * f[2],) for f in facts]
        )
        found = solve(used, seconds)
        off = [
            sum(a * b for a, b in zip(found, row, strict=True)) / t - 1
            for row, t in zip(used, seconds, strict=True)
        ]
        columns = found if name == "scan" else [0, 0, *found]
        print(
            f"{name:8} {columns[0]:12.1f} {columns[1]:9.1f} {columns[2]:10.1f}   "
            + " ".join(f"{o:+.0%}" for o in off)
        )
    print("bytes of a summary a flow:", " ".join(f"{size / flows:.1f}" for flows, size in sizes))


def fold_one(files: int, flows: int, pool: int) -> None:
    """Merge so many summaries in order; a part sees ``flows`` of each file, of ``pool`` in all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.pcap"
        kinds = []
        for seed in range(50):
            capture(path, flows, 2, 120, seed, pool)
            kinds.append(_native.Summary.scan(str(path), jobs=1)[0].to_bytes())
        merged = _native.Summary.start()
        before, begun = spent(), time.monotonic()
        carried = 0
        marks = []
        for n in range(files):
            piece = _native.Summary.from_bytes(kinds[n % len(kinds)])
            carried += len(merged.met_by(piece).to_bytes())
            merged.merge(piece)
            if n + 1 in (files // 2, files):
                marks.append(spent() - before)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        late = (marks[1] - marks[0]) / (files - files // 2)
        print(
            f"{files:6,} {len(merged):9,} {1e3 * marks[1] / files:14.3f} {1e3 * late:18.3f} {peak:8.0f} "
            f"{carried / files:12,.0f} {time.monotonic() - begun:8.1f}",
            flush=True,
        )


def fold() -> None:
    """Fold one part of more and more files."""
    print(
        f"{'files':>6} {'flows':>9} {'ms a file':>14} {'of the later half':>18} {'MB peak':>8} "
        f"{'carry bytes':>12} {'wall s':>8}"
    )
    for files in (100, 1_000, 10_000):
        subprocess.run([sys.executable, __file__, "one", str(files)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["fit", "fold", "one"])
    parser.add_argument("files", nargs="?", type=int, default=1000)
    given = parser.parse_args()
    if given.what == "one":
        fold_one(given.files, 400, 20_000)
        return
    print(f"# {platform.processor() or platform.machine()}, flowkeep {_native.version()}")
    fit() if given.what == "fit" else fold()


if __name__ == "__main__":
    main()
