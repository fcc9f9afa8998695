"""What is left of privileges, read from the kernel, and that nothing more is needed."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .net import Pair, numbered, send

pytestmark = pytest.mark.namespace

_CHILD = """if True:
    import glob, json, sys
    from flowkeep import _native

    def status():
        told = []
        for path in glob.glob("/proc/self/task/*/status"):
            lines = dict(line.split(":", 1) for line in open(path) if ":" in line)
            told.append({k: lines[k].split() for k in ("Uid", "Gid", "Groups", "NoNewPrivs", "CapInh", "CapPrm",
                                                       "CapEff", "CapBnd", "CapAmb")})
        return told

    store = _native.Cache(64 << 20, [(10**18, -1)])
    capture = None
    for line in sys.stdin:
        try:
            result = eval(line)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        print(json.dumps(result), flush=True)
"""


class _Child:
    """A process to which lines of Python are given."""

    def __init__(self) -> None:
        self._run = subprocess.Popen(
            [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, line: str) -> Any:
        assert self._run.stdin and self._run.stdout
        self._run.stdin.write(line + "\n")
        self._run.stdin.flush()
        return json.loads(self._run.stdout.readline())

    def close(self) -> None:
        assert self._run.stdin and self._run.stdout
        self._run.stdin.close()
        self._run.wait(60)
        self._run.stdout.close()


@pytest.fixture
def child() -> Iterator[_Child]:
    made = _Child()
    yield made
    made.close()


def _waits(child: _Child, true: str) -> None:
    """Ask until it is true; fail when it never is."""
    assert child(
        f"next((True for _ in range(20000) if __import__('time').sleep(0.002) or ({true})), False)"
    ), true


def _harmless(child: _Child) -> list[dict[str, list[str]]]:
    threads = child("status()")
    for thread in threads:
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(thread[kind][0], 16) == 0, kind
        assert thread["NoNewPrivs"] == ["1"]
    return threads  # type: ignore[no-any-return]


OPEN = "(globals().update(capture=_native.Capture(store, interfaces=['va'], promiscuous=True)), None)[1]"


def test_nothing_is_left_and_the_capture_goes_on_when_its_interface_is_back(
    pair: Pair, child: _Child
) -> None:
    assert child(OPEN) is None
    assert child("_native.drop_privileges()") is None
    [thread] = _harmless(child)
    assert int(thread["CapBnd"][0], 16) == 0
    assert child("capture.start()") is None
    assert len(_harmless(child)) == 2
    send("vb", numbered(2))
    _waits(child, "capture.stats()[0]['packets'] == 2")
    pair.remove()
    _waits(child, "capture.stats()[0]['state'] == 'waiting'")
    pair.add()
    _waits(child, "capture.stats()[0]['state'] == 'running'")
    send("vb", numbered(3))
    _waits(child, "capture.stats()[0]['packets'] == 5")
    assert "PermissionError" in child("_native.Capture(store, interfaces=['vb'])")
    assert "CAP_NET_RAW" in child("_native.Capture(store, interfaces=['vb'])")
    assert child("capture.stop()") is None


def test_all_interfaces_without_privileges_are_those_that_come_later_too(pair: Pair, child: _Child) -> None:
    pair.remove()
    assert child("(globals().update(capture=_native.Capture(store, promiscuous=True)), None)[1]") is None
    assert child("_native.drop_privileges()") is None
    assert child("capture.start()") is None
    pair.add()
    send("vb", numbered(2))
    _waits(child, "capture.stats()[0]['packets'] == 4")
    assert child("sorted(capture.stats()[0]['interfaces'])") == ["va", "vb"]
    assert child("capture.stats()[0]['error']") is None


def test_another_user_with_no_other_group(pair: Pair, child: _Child) -> None:
    try:
        account = pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("there is no user nobody")
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        pytest.skip("not root: in this namespace there is no other user")
    assert child(OPEN) is None
    assert child("_native.drop_privileges('nobody')") is None
    [thread] = _harmless(child)
    assert thread["Uid"] == [str(account.pw_uid)] * 4
    assert thread["Gid"] == [str(account.pw_gid)] * 4
    assert thread["Groups"] in ([str(account.pw_gid)], [])
    assert "PermissionError" in child("__import__('os').setuid(0)")
    assert child("capture.start()") is None
    send("vb", numbered(2))
    _waits(child, "capture.stats()[0]['packets'] == 2")


def test_a_thread_that_keeps_privileges_is_told(pair: Pair, child: _Child) -> None:
    assert child(OPEN) is None
    assert child("capture.start()") is None
    assert "still has privileges" in child("_native.drop_privileges()")


def test_a_user_that_there_is_not(pair: Pair, child: _Child) -> None:
    answer = child("_native.drop_privileges('no-such-user')")
    assert "UsageError" in answer and "no-such-user" in answer
    assert os.getuid() != 0 or int(child("status()")[0]["CapPrm"][0], 16) != 0
