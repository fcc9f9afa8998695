"""What tests let happen in workers; Dask loads it into each of them. The environment says what."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowkeep.cluster.spool import Spool
from flowkeep.sink.atomic import Part


def _once(marker: str) -> bool:
    """Whether nobody was here before."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _around_commit(name: str, before: Callable[[], None], behind: Callable[[], None]) -> None:
    real = Part.commit

    def commit(part: Part) -> None:
        if part.path.name == name:
            before()
        real(part)
        if part.path.name == name:
            behind()

    Part.commit = commit  # type: ignore[method-assign]


def _nothing() -> None:
    pass


if name := os.environ.get("HOOK_KILL_BEFORE"):
    _around_commit(name, lambda: _die() if _once(os.environ["HOOK_MARKER"]) else None, _nothing)
if name := os.environ.get("HOOK_KILL_BEHIND"):
    _around_commit(name, _nothing, lambda: _die() if _once(os.environ["HOOK_MARKER"]) else None)
if name := os.environ.get("HOOK_HOLD"):

    def _hold() -> None:
        if _once(os.environ["HOOK_MARKER"]):
            while True:
                time.sleep(60)

    _around_commit(name, _hold, _nothing)


def _log(path: str) -> None:
    real = Spool.put

    def put(spool: Spool, name: str, write: Callable[[str], None]) -> None:
        real(spool, name, write)
        with Path(path).open("a") as out:
            out.write(f"{name}\n")

    Spool.put = put  # type: ignore[method-assign]


if log := os.environ.get("HOOK_LOG"):
    _log(log)
