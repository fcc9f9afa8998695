"""When the daemon looks again: after an interval, when a file was finished, or when it is told to."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any

SETTLE_S = 2.0
"""After the first finished file so long is waited for more."""


class Waker:
    """Sleeps until there is a reason not to. Safe to be woken from a signal handler."""

    def __init__(self, folders: Iterable[str] = ()) -> None:
        """``folders`` are watched with all below them where the package watchdog is installed."""
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._observer: Any = None
        self.watches = False
        """Whether finished files are noticed."""
        with suppress(ImportError, OSError):
            self._observe(folders)

    def _observe(self, folders: Iterable[str]) -> None:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        waker = self

        class _Handler(FileSystemEventHandler):  # type: ignore[misc]
            def on_closed(self, event: object) -> None:
                waker.wake()

            def on_moved(self, event: object) -> None:
                waker.wake()

        observer = Observer()
        for folder in folders:
            if os.path.isdir(folder):
                observer.schedule(_Handler(), folder, recursive=True)
                self.watches = True
        observer.daemon = True
        observer.start()
        self._observer = observer

    def wake(self) -> None:
        """End the sleep."""
        with suppress(BlockingIOError, OSError):
            os.write(self._write, b"!")

    def sleep(self, seconds: float) -> bool:
        """Sleep so long at most; whether it was woken. Signals wake it."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._read], [], [], left)
            if ready:
                with suppress(BlockingIOError):
                    while os.read(self._read, 4096):
                        pass
                return True
        return False

    def close(self) -> None:
        """End the watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
        os.close(self._read)
        os.close(self._write)

    def __enter__(self) -> Waker:
        """The waker itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the watching."""
        self.close()
