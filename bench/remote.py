"""Listing the flows of a capture on a web server, beside `curl | flowkeep flows -` and the file itself.

    python bench/remote.py CAPTURE [RUNS]

The server is on loopback and sends from the page cache. Each run measures all three, one after another; told
are the medians and the medians of the ratios within a run. The processor time is that of the client and curl.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FLOWKEEP = [sys.executable, "-m", "flowkeep"]


def handler(path: Path) -> type[BaseHTTPRequestHandler]:
    size = path.stat().st_size

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path != "/x.pcap":
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            begin, end = (int(span[1]), min(int(span[2]) + 1, size)) if span else (0, size)
            self.send_response(206 if span else 200)
            self.send_header("Content-Length", str(end - begin))
            if span:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.end_headers()
            self.wfile.flush()
            with path.open("rb") as file:
                while begin < end:
                    begin += os.sendfile(self.connection.fileno(), file.fileno(), begin, end - begin)

    return Handler


def measured(command: str) -> tuple[float, float]:
    """Seconds, and seconds of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, shell=True, check=True, stderr=subprocess.DEVNULL)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    path, runs = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    # The server is a process of its own: its time is not that of the client.
    if len(sys.argv) > 3:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(path))
        print(server.server_address[1], flush=True)
        server.serve_forever()
    serving = subprocess.Popen([sys.executable, __file__, str(path), "0", "serve"], stdout=subprocess.PIPE)
    assert serving.stdout is not None
    url = f"http://127.0.0.1:{int(serving.stdout.readline())}/x.pcap"
    end = "--format arrow -o /dev/null"
    flows = " ".join([*FLOWKEEP, "flows"])
    ways = {
        "file": f"{flows} {path} {end}",
        "curl | flows -": f"curl -s {url} | {flows} - {end}",
        "flows URL": f"{flows} {url} {end}",
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    try:
        for _ in range(runs):
            for name, command in ways.items():
                found[name].append(measured(command))
    finally:
        serving.terminate()
        serving.wait()
    print(f"{path.stat().st_size:,} bytes, {runs} runs, {os.cpu_count()} cores")
    for name, times in found.items():
        wall, cpu = (statistics.median(t[i] for t in times) for i in (0, 1))
        ratios = [
            statistics.median(t[i] / c[i] for t, c in zip(times, found["curl | flows -"], strict=True))
            for i in (0, 1)
        ]
        print(f"{name:15} {wall:6.2f} s  {cpu:6.2f} s CPU   {ratios[0]:.2f} and {ratios[1]:.2f} of curl's")


if __name__ == "__main__":
    main()
