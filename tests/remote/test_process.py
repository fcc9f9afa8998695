"""Whole processes: memory, interrupts, and a death in the middle of an upload."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from tests.cli.command import DEADLINE, ENV, run, start
from tests.remote.server import Web

_MEASURED = """
import sys
from flowkeep.cli.app import run
status = run(sys.argv[1:])
print(*[l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")], file=sys.stderr)
sys.exit(status)
"""


def _peak(name: str) -> int:
    """Most memory in MiB of listing the flows of a capture."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, "flows", name, "-o", "/dev/null", "--format", "csv"],
        env=ENV, stderr=subprocess.PIPE, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split()[-1]) // 1024


@pytest.mark.parametrize("ranges", [True, False])
def test_memory_does_not_grow_with_the_capture(ranges: bool, web: Web, capture: Path) -> None:
    data = capture.read_bytes()
    web.ranges = ranges
    web.files["small"] = data * 10
    web.files["large"] = data * 60
    small, large = _peak(web.url("small")), _peak(web.url("large"))
    # 180 MB against 30: blocks ahead and in hand are some 100 MiB at most, whatever the length.
    assert large < small + 90, (small, large)
    assert large < 400


def _until(found: Any) -> None:
    end = time.monotonic() + DEADLINE
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.mark.parametrize("head", [True, False])
def test_a_slow_server_does_not_keep_a_run_from_being_stopped(head: bool, web: Web, capture: Path) -> None:
    web.files["x"] = capture.read_bytes()
    web.hold, web.hold_head = threading.Event(), head
    running = start("flows", web.url("x"))
    _until(lambda: any(head or begin for begin, _ in web.ranges_of("x")))
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=DEADLINE)
    assert running.returncode == 130, err
    assert err.decode().strip().endswith("nothing half-done was left behind")


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_death_in_the_middle_of_an_upload_leaves_nothing_to_be_seen(
    sent: signal.Signals, s3: Any, web: Web, capture: Path
) -> None:
    # So large that parts have gone up before the end.
    data = capture.read_bytes() * 12
    s3.pipe_file("s3://bucket/in/x.pcapng", data)
    # One behind the other: the first comes whole from the store, the second never ends.
    web.files["y.pcapng"] = data
    web.hold = threading.Event()
    args = ["extract", "s3://bucket/in/x.pcapng", web.url("y.pcapng"), "-o", "s3://bucket/out.pcapng"]
    running = start(*args, env={**os.environ, **ENV})

    def begun() -> bool:
        return bool(s3.list_multipart_uploads("bucket"))

    _until(begun)
    running.send_signal(sent)
    running.communicate(timeout=DEADLINE)
    assert running.returncode in (-signal.SIGKILL, 130)
    s3.invalidate_cache()
    assert s3.find("bucket") == ["bucket/in/x.pcapng"]
    assert s3.cat_file("bucket/in/x.pcapng") == data
    if sent == signal.SIGINT:
        assert not s3.list_multipart_uploads("bucket"), "who is asked to stop cleans up"
    web.hold.set()
    # What is left of the dead run is in nobody's way.
    done = run(*args, env={**os.environ, **ENV})
    assert done.returncode == 0, done.stderr
    s3.invalidate_cache()
    assert s3.find("bucket") == ["bucket/in/x.pcapng", "bucket/out.pcapng"]


def test_fsspec_is_loaded_for_urls_alone(capture: Path) -> None:
    code = (
        "import sys\nfrom flowkeep.cli.app import run\nrun(sys.argv[1:])\n"
        "assert not {'fsspec', 'aiohttp', 'asyncio'} & set(sys.modules), 'loaded'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "flows", capture, "-o", "/dev/null", "--format", "csv"],
        env=ENV, stderr=subprocess.PIPE, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_is_missing_is_named(capture: Path) -> None:
    code = (
        "import sys\nsys.modules['fsspec'] = None\nfrom flowkeep.cli.app import run\n"
        "sys.exit(run(['flows', 's3://bucket/x']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENV, stderr=subprocess.PIPE, timeout=DEADLINE, check=False
    )
    assert done.returncode == 2 and b"pip install 'flowkeep[remote]'" in done.stderr
    assert re.search(rb"s3://bucket/x", done.stderr)
    assert fk.open(capture).paths == [capture]
