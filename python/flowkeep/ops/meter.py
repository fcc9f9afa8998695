"""Progress over a data set from the progress of its files."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all (-1 when nobody knows) some ten times a second."""


class Meter:
    """Adds up the progress of files that are read one after another."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        """``total``: bytes of all files, -1 when not known."""
        self._total, self._progress, self._before = total, progress, 0

    def file(self, size: int) -> Progress | None:
        """The progress function for a file of this size."""
        if self._progress is None:
            return None
        progress, total, before = self._progress, self._total, self._before
        self._before += max(size, 0)
        most = size if size >= 0 else 1 << 62

        def report(done: int, _: int) -> None:
            # Of a compressed file the bytes are counted that came out.
            progress(before + min(done, most), total)

        return report
