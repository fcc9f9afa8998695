"""Takes captures in, one after another, where there is nothing that captures."""

from __future__ import annotations

import threading
from typing import Any

from .. import _native


class _Stopped(Exception):  # noqa: N818
    """The service ends."""


class Replay:
    """The face of ``_native.Capture``, for captures alone."""

    def __init__(self, cache: _native.Cache, **_: Any) -> None:
        self._cache = cache
        self._inputs: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def read(self, path: str) -> None:
        self._inputs.append(
            {
                "name": path,
                "kind": "file",
                "packets": 0,
                "bytes": 0,
                "drops": 0,
                "state": "waiting",
                "error": None,
            }
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def stats(self) -> list[dict[str, Any]]:
        return [dict(one) for one in self._inputs]

    def _progress(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _run(self) -> None:
        for one in self._inputs:
            one["state"] = "reading"
            try:
                done = self._cache.replay(one["name"], progress=self._progress)
                one.update(packets=done["packets"], bytes=done["bytes"], state="ended", error=done["damage"])
            except _Stopped:
                return
            except Exception as error:
                one.update(state="failed", error=str(error))
