"""Indexing killed at every step that changes the folder leaves no half-written index."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import flowkeep as fk

from tests import wire
from tests.cli import command
from tests.fault import captures
from tests.fault.captures import PART

_KILLED_AT = """
import os, signal, sys
left, watched = int(sys.argv.pop(1)), {"open", "fcntl.flock", "os.chmod", "os.rename", "os.remove"}
from flowkeep.cli import main
import flowkeep.cli.index_cmd
def hook(event, args):
    global left
    if event in watched and (event != "open" or "flowkeep" in str(args[0])):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
main()
"""


def killed_at(step: int, path: Path) -> bool:
    """Index, killed before the step of this number; whether it came so far."""
    line = [sys.executable, "-c", _KILLED_AT, str(step), "index", str(path), "--remake"]
    done = subprocess.run(line, env=command.ENV, capture_output=True, check=False, timeout=command.DEADLINE)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


def test_killed_at_every_step(tmp_path: Path) -> None:
    path, beside = tmp_path / "in.pcap", tmp_path / "in.pcap.flowkeep-index"
    (packets,) = captures.slices(1, 300)
    path.write_bytes(wire.pcap(packets))
    step = 0
    while killed_at(step, path):
        names = {p.name for p in tmp_path.iterdir()}
        assert names <= {path.name, beside.name, f".{beside.name}{PART}"}
        if beside.exists():  # it is there whole, or not at all
            assert fk.open(path).flows().files[0]["index"] == "used"
        step += 1
    assert step >= 4
    assert {p.name for p in tmp_path.iterdir()} == {path.name, beside.name}
    assert fk.open(path).flows().files[0]["index"] == "used"
