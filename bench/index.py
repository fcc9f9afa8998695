"""One flow out of a capture: by its index, without, and with other tools' filters.

    python bench/index.py                        # 2 GB elephants, 500 MB mice, five rounds
    python bench/index.py --elephants 50MB --mice 20MB --rounds 1

Every round runs every command once, one after another; times are of whole commands, interpreter start
included, captures come from the page cache. Ratios are to ``flowkeep flows --no-index`` of the same round.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sizes import parse_size


def commands(capture: Path, out: Path) -> dict[str, list[str]]:
    """What is measured, by name; the first one is the base."""
    fk = [shutil.which("flowkeep") or "flowkeep"]
    (row,) = subprocess.run(
        [*fk, "flows", capture, "--format", "csv", "--quiet", "--where", "flow_id = 17"],
        capture_output=True, check=True, text=True,
    ).stdout.splitlines()[1:]  # fmt: skip
    _, _, client, client_port, server, server_port, *_ = row.split(",")
    found = {
        "flows --no-index": [*fk, "flows", str(capture), "--no-index", "--quiet"],
        "flows": [*fk, "flows", str(capture), "--quiet"],
        "extract --flow": [
            *fk, "extract", str(capture), "--flow", "17", "-o", str(out), "--force", "--quiet",
        ],
        "extract --no-index": [
            *fk, "extract", str(capture), "--flow", "17", "-o", str(out), "--force",
            "--no-index", "--quiet",
        ],
        "version (start of the interpreter)": [*fk, "--version"],
    }  # fmt: skip
    both = f"host {client} and host {server} and port {client_port} and port {server_port}"
    if shutil.which("tcpdump"):
        found["tcpdump"] = ["tcpdump", "-r", str(capture), "-w", str(out), both]
    if shutil.which("tshark"):
        shown = (
            f"ip.addr=={client} && ip.addr=={server} && tcp.port=={client_port} && tcp.port=={server_port}"
        )
        found["tshark -Y"] = ["tshark", "-r", str(capture), "-Y", shown, "-w", str(out)]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--elephants", type=parse_size, default=2_000_000_000)
    parser.add_argument("--mice", type=parse_size, default=500_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    parser.add_argument("--no-rivals", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as name:
        for kind in ("elephants", "mice"):
            capture, out = Path(name) / f"{kind}.pcap", Path(name) / "out"
            make = Path(__file__).with_name("make.py")
            size = str(getattr(given, kind))
            subprocess.run([sys.executable, make, kind, size, capture], check=True, stdout=subprocess.DEVNULL)
            begin = time.perf_counter()
            subprocess.run(["flowkeep", "index", str(capture), "--quiet"], check=True, capture_output=True)
            took = time.perf_counter() - begin
            beside = capture.with_name(capture.name + ".flowkeep-index").stat().st_size
            print(f"{kind}: indexed in {took:.2f} s, {beside / capture.stat().st_size:.2%} of the capture")
            seconds: dict[str, list[float]] = {}
            for _ in range(given.rounds):
                for what, command in commands(capture, out).items():
                    if given.no_rivals and what.startswith("t"):
                        continue
                    begin = time.perf_counter()
                    subprocess.run(command, check=True, capture_output=True)
                    seconds.setdefault(what, []).append(time.perf_counter() - begin)
            base = seconds["flows --no-index"]
            for what, all_seconds in seconds.items():
                ratio = statistics.median(a / b for a, b in zip(all_seconds, base, strict=True))
                print(f"  {what:36} {statistics.median(all_seconds):7.2f} s {ratio:7.2f}")
            capture.unlink()


if __name__ == "__main__":
    main()
