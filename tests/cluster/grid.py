"""A scheduler and workers as processes that a test may kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.command import DEADLINE, ENV

HOOK = Path(__file__).with_name("hook.py")


def until(reached: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for something that happens in another process."""
    import time

    end = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < end, "it did not happen"
        assert process is None or process.poll() is None, "the process has ended"
        time.sleep(0.02)


class Grid:
    """A cluster in processes of its own. ``told``: the environment of ``hook.py``."""

    def __init__(self, folder: Path, **told: str) -> None:
        self.folder, self.told = folder, told
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = 0
        self.scheduler: subprocess.Popen[bytes] | None = None

    def _start(self, *args: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *args], cwd=cwd or self.folder, env=ENV | self.told,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def begin(self) -> str:
        """Start the scheduler, again at the same place; its address."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--scheduler-file", str(file),
        )  # fmt: skip
        until(lambda: file.exists() and file.read_text().endswith("}"), self.scheduler)
        address: str = json.loads(file.read_text())["address"]
        self.port = int(address.rpartition(":")[2])
        return address

    def worker(self, name: str, *, cwd: Path | None = None, nanny: bool = False) -> subprocess.Popen[bytes]:
        """Start a worker; its processes stand in ``cwd``."""
        return self._start(
            "worker", f"tcp://127.0.0.1:{self.port}", "--host", "127.0.0.1", "--nthreads", "1", "--name", name,
            "--no-dashboard", "--preload", str(HOOK), "--nanny" if nanny else "--no-nanny", cwd=cwd,
        )  # fmt: skip

    def wait(self, workers: int) -> None:
        """Wait until so many have come."""
        from distributed import Client

        with Client(f"tcp://127.0.0.1:{self.port}") as client:
            client.wait_for_workers(workers, timeout=DEADLINE)

    def __enter__(self) -> Grid:
        return self

    def __exit__(self, *_: Any) -> None:
        import os

        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
