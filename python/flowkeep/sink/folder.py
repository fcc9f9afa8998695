"""A folder becomes visible only when whole: it is made hidden beside its place, and renamed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..errors import BusyError, OutputError, UsageError
from ..text import safe
from .atomic import part_path, sync_folder


class PartFolder:
    """A folder in the making. ``commit`` makes it visible in one step; leaving without removes it.

    The hidden folder is locked: two runs cannot make the same folder at once (BusyError). What a killed run
    left behind is removed first.
    """

    def __init__(self, path: Path) -> None:
        """Begin to make ``path``, which is not there yet, or empty.

        Raises UsageError, OutputError, BusyError.
        """
        self.path = path
        self.part = part_path(Path(os.path.abspath(path)))
        self._done = False
        made, fd = False, -1
        # From here to the inside of the with statement an interrupt has to wait: nobody would clean up.
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise UsageError(f"{safe(path)} is already there: name a new or an empty folder")
            self.part.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.part.mkdir()
                made = True
            fd = os.open(self.part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.empty()
        except BaseException as error:
            # An interrupt, too, leaves nothing behind.
            if made:
                shutil.rmtree(self.part, ignore_errors=True)
            if fd >= 0:
                os.close(fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            if isinstance(error, BlockingIOError):
                raise BusyError(
                    f"{safe(path)}: another flowkeep is making this folder; wait for it"
                ) from None
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise
        self._fd = fd

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{safe(self.path)}: cannot be written: {error.strerror}")

    def empty(self) -> None:
        """Begin anew."""
        for entry in os.scandir(self.part):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)

    def commit(self) -> None:
        """Make the folder visible. Raises OutputError."""
        try:
            sync_folder(self.part)
            os.rename(self.part, self.path)
            self._done = True
            sync_folder(self.part.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise OutputError(f"{safe(self.path)}: something else was written there meanwhile") from error
            raise self._failed(error) from error

    def __enter__(self) -> PartFolder:
        """The folder itself. An interrupt that had to wait comes now."""
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not made visible."""
        if not self._done:
            shutil.rmtree(self.part, ignore_errors=True)
        os.close(self._fd)
