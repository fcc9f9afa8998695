"""A progress bar on stderr for work that takes longer than a second."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from ..ops.meter import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_PATIENCE_S = 1.0


class ProgressBar:
    """Shows nothing on a pipe, nothing for the first second, and leaves nothing behind."""

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        """``what``: the work, in a word."""
        self._what = what
        self._on = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._start = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    @property
    def update(self) -> Progress | None:
        """What the work calls with bytes done and bytes in all; None when nobody looks."""
        return self._update if self._on else None

    def _update(self, done: int, total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._start < _PATIENCE_S:
                return
            self._begin()
        assert self._bar is not None and self._task is not None
        self._bar.update(self._task, completed=done, total=None if total < 0 else total)

    def _begin(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(self._what, total=None)
        self._bar.start()

    def __enter__(self) -> ProgressBar:
        """The bar."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
