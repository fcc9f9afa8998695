"""A command that is killed before one of its steps, as Python's audit events tell of them."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.cli import command

_KILLED_AT = """
import importlib, os, signal, sys
left, watched, loaded = int(sys.argv.pop(1)), sys.argv.pop(1).split(), sys.argv.pop(1).split()
from flowkeep.cli import main
for name in loaded:
    importlib.import_module(name)
def hook(event, args):
    global left
    if event in watched and (event != "open" or "flowkeep" in str(args[0])):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
main()
"""


def killed_at(step: int, watched: str, loaded: str, *args: object) -> bool:
    """Run a command, killed before the step of this number; whether it came so far.

    ``watched``: the events that are steps; ``open`` of files with ``flowkeep`` in their names alone. ``loaded``: modules whose
    loading is none of its steps.
    """
    line = [sys.executable, "-c", _KILLED_AT, str(step), watched, loaded, *map(str, args)]
    done = subprocess.run(line, env=command.ENV, capture_output=True, check=False, timeout=command.DEADLINE)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0
