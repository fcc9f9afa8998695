"""The browser with millions of flows: a page of the table, the first rows after the start, memory.

::

    python bench/ui.py                          # 5 million flows; a capture of 500 MB with an index
    python bench/ui.py --flows 1000000

``API`` is a page of 100 rows as ``/api/flows`` gives it, over loopback and on one connection; ``page`` is
the same in headless Chromium, from the call behind a click on a header, a scroll or a filter to the frame
which shows the rows. No page is asked for twice. The middle and the longest of the times are printed. Beside
them stands a sort of such a column by Polars: without ties kept in order, and without the page.

Memory is what the kernel says (VmRSS), above a server without captures; the flow table is what ``flowkeep
flows --details --identify --format arrow`` writes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent))

import polars as pl
from make import write

FLOWKEEP = [sys.executable, "-m", "flowkeep"]
BYTES_A_FLOW = 504.3
"""Of a capture of mice."""
FILTERS = {
    "tcpdump": "filter=" + quote("tcp port 443 and net 10.0.0.0/16"),
    "SQL": "where=" + quote("server_bytes > 200 AND proto = 'tcp'"),
    "keyword": "keyword=10.0.0.77",
    "regex": "keyword=" + quote("/10.0.0.7[0-9]$/"),
    "hide a host": "hide=host:10.0.0.5",
    "hide a port": "hide=port:53/udp",
    "hide a network": "hide=network:10.0.1.0/24",
}


class Server:
    """A running ``flowkeep ui``, and one connection to it."""

    def __init__(self, *args: str | Path) -> None:
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [*FLOWKEEP, "ui", *map(str, args), "--no-browser", "--quiet"], stderr=subprocess.PIPE
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline().decode()
        found = re.fullmatch(r"open http://(\S+?):(\d+)/\?token=(\S+)\n", line)
        assert found, line
        self.url, self.token = line.split()[1], found[3]
        self.connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=600)

    def ask(self, path: str) -> Any:
        """An answer of the API."""
        for again in (True, False):
            try:
                self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
                answer = self.connection.getresponse()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError):
                # The server closes a connection that was silent for some seconds.
                self.connection.close()
                assert again
        body = json.loads(answer.read())
        return body if answer.status == 200 else None

    def timed(self, path: str) -> float:
        """How long an answer takes, in seconds."""
        began = time.perf_counter()
        assert self.ask(path) is not None, path
        return time.perf_counter() - began

    def until(self, ready: Callable[[], bool]) -> float:
        """Seconds since the start when this holds."""
        while not ready():
            time.sleep(0.01)
        return time.perf_counter() - self.began

    def idle(self) -> bool:
        """Whether all is read."""
        state = self.ask("/api/files")
        assert not state["error"], state
        return bool(state["state"] == "idle")

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes, as the kernel says."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition(f"{what}:")[2].split()[0])

    def cpu(self) -> float:
        """Seconds of processor time until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.wait()


def chromium(playwright: Any) -> Any:
    """A browser, the system's."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


def line(name: str, times: list[float], beside: str = "") -> None:
    """One line: middle and longest of some times, in seconds."""
    ms = [1000 * each for each in times]
    print(
        f"  {name:<36}{statistics.median(ms):>7.0f} ms{max(ms):>8.0f} ms{len(ms):>6}   {beside}", flush=True
    )


def pages_of_the_api(server: Server, plain: Path) -> None:
    """Every column in both directions, at the start, in the middle and at the end."""
    rows = server.ask("/api/flows?limit=0")["total"]
    columns = list(server.ask("/api/summary")["columns"])
    by_kind: dict[str, dict[str, list[float]]] = {"numbers": {}, "texts": {}, "Community ID": {}}
    kinds = server.ask("/api/summary")["columns"]
    busy, took = server.cpu(), 0.0
    for column in columns:
        kind = (
            "Community ID"
            if column == "community_id"
            else "texts"
            if kinds[column] == "String"
            else "numbers"
        )
        for direction in ("", "-"):
            for place, offset in (
                ("first page", 0),
                ("any other page", rows // 2),
                ("any other page", rows - 100),
            ):
                one = server.timed(f"/api/flows?limit=100&offset={offset}&sort={direction}{column}")
                by_kind[kind].setdefault(place, []).append(one)
                took += one
    busy = server.cpu() - busy
    frame = pl.scan_ipc(plain)
    sorts = {"numbers": "server_bytes", "texts": "client_ip", "Community ID": "community_id"}
    for kind, places in by_kind.items():
        column = frame.select(sorts[kind]).collect().to_series()
        began = time.perf_counter()
        column.arg_sort()
        sort = time.perf_counter() - began
        for place, times in places.items():
            ratio = statistics.median(times) / sort
            beside = f"{ratio:.2f} x arg_sort of {sorts[kind]} by Polars, {1000 * sort:.0f} ms"
            line(f"API, sorted by {kind}, {place}", times, beside)
    line("API, not sorted, any page", [server.timed(f"/api/flows?offset={rows * n // 9}") for n in range(9)])
    print(f"  processor time of these pages: {busy:.1f} s, of {took:.1f} s that were waited")
    for name, query in FILTERS.items():
        first = server.timed(f"/api/flows?{query}&sort=-server_bytes")
        total = server.ask(f"/api/flows?{query}&limit=0")["total"]
        later = [server.timed(f"/api/flows?{query}&sort=duration&offset={total * n // 4}") for n in range(4)]
        line(f"API, filter: {name}, new", [first])
        line(f"API, filter: {name}, known", later)


DONE = """async ({what, arg}) => {
  const api = fk.state.grids.flows;
  fk.state.last_page_ms = null;
  const began = performance.now();
  if (what === 'sort') api.applyColumnState({ state: [arg], defaultState: { sort: null } });
  if (what === 'scroll') api.ensureIndexVisible(arg, 'top');
  if (what === 'filter') fk.look(arg, true);
  const full = () => [...document.querySelectorAll('.ag-row')].some(
    row => row.querySelector('[col-id=flow_id]')?.textContent);
  while (fk.state.last_page_ms === null || !full()) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - began > 60000) throw new Error('no page: ' + what + ' ' + JSON.stringify(arg));
  }
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def pages_of_the_browser(server: Server, browser: Any) -> None:
    """The same in a page: until the rows are others."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(server.url)
    page.wait_for_selector(".ag-row >> nth=8")
    rows = server.ask("/api/flows?limit=0")["total"]

    def timed(what: str, arg: Any) -> float:
        return float(page.evaluate(DONE, {"what": what, "arg": arg})) / 1000

    shown = page.evaluate("fk.state.grids.flows.getAllDisplayedColumns().map(c => c.getColId())")
    ways = [{"colId": column, "sort": way} for column in shown for way in ("desc", "asc")]
    line("page, sort", [timed("sort", way) for way in ways])
    line("page, scroll to any place", [timed("scroll", rows * n // 13) for n in (6, 1, 12, 3, 9, 5, 11, 2)])
    filters = []
    for query in FILTERS.values():
        filters.append(timed("filter", query + "&invert=1" if query.startswith("hide") else query))
    line("page, filter", filters)
    page.close()


def first_rows(capture: Path, playwright: Any) -> None:
    """From the start of the command to the first rows, with an index."""
    subprocess.run([*FLOWKEEP, "index", "--quiet", capture], check=True, capture_output=True)
    beside, api, seen, whole, busy = [], [], [], [], []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([*FLOWKEEP, "flows", capture, "-o", os.devnull, "--format", "arrow"], check=True)
        beside.append(time.perf_counter() - began)
        with Server(capture) as server:
            api.append(server.until(lambda asked=server: asked.ask("/api/flows?limit=50") is not None))
            busy.append(server.cpu())
            whole.append(server.until(server.idle))
        with chromium(playwright) as browser, Server(capture) as server:
            page = browser.new_page()
            page.goto(server.url)
            page.wait_for_function("document.querySelectorAll('.ag-row [col-id=flow_id]').length > 8")
            seen.append(time.perf_counter() - server.began)
    table = statistics.median(beside)
    for name, times in (
        ("flowkeep flows, to nowhere", beside),
        ("API, first rows", api),
        ("API, its processor time", busy),
        ("page, first rows", seen),
        ("all details", whole),
    ):
        ratio = f"{statistics.median(times) / table:.1f} x flowkeep flows"
        line(name, times, "" if times is beside else ratio)


def main() -> None:
    """Measure, and print it."""
    from playwright.sync_api import sync_playwright

    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--flows", type=int, default=5_000_000)
    options.add_argument("--size", type=int, default=500_000_000, help="bytes of the capture with an index")
    options.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    given = options.parse_args()
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    system = f"{platform.system()} {platform.release()}"
    print(f"{processor[1] if processor else '?'}, {os.cpu_count()} cores, {system}")
    load = f"load before: {os.getloadavg()[0]:.1f}"
    print(f"Python {platform.python_version()}; polars {pl.__version__}; {load}\n", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, sync_playwright() as playwright:
        small, large = Path(folder, "small.pcap"), Path(folder, "large.pcap")
        write("mice", given.size, small)
        print(f"start, {given.size / 1e6:,.0f} MB of mice        middle    longest  times")
        first_rows(small, playwright)
        small.unlink()
        write("mice", int(given.flows * BYTES_A_FLOW), large)
        plain = Path(folder, "flows.arrow")
        args = ["flows", large, "--details", "--identify", "--format", "arrow", "-o", plain]
        subprocess.run([*FLOWKEEP, *map(str, args)], check=True)
        with Server("--root", folder) as server:
            empty = server.memory()
        with Server(large) as server:
            server.until(server.idle)
            loaded = server.memory()
            rows = server.ask("/api/flows?limit=0")["total"]
            print(f"\npages, {rows:,} flows               middle    longest  times")
            pages_of_the_api(server, plain)
            with chromium(playwright) as browser:
                pages_of_the_browser(server, browser)
            sizes = loaded, server.memory(), server.memory("VmHWM")
        arrow = plain.stat().st_size
        print(f"\nmemory, {rows:,} flows: flow table {arrow / 1e6:,.0f} MB")
        print(f"  {'server without captures':<36}{empty / 1e6:>7,.0f} MB")
        for name, size in zip(("loaded", "after all of these pages", "at most"), sizes, strict=True):
            ratio = f"{(size - empty) / arrow:.2f} x the flow table above that"
            print(f"  {name:<36}{size / 1e6:>7,.0f} MB   {ratio}")


if __name__ == "__main__":
    main()
