"""A file becomes visible only when whole.

Hidden name in the same folder, write, fsync, take over owner, mode, times and xattrs, rename, fsync the
folder. At any crash the old or the new file is there, whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..errors import BusyError, OutputError
from ..places import Place, Url
from ..text import safe


def part_path(path: Path) -> Path:
    """The hidden name under which a file is made."""
    return path.with_name(f".{path.name}.flowkeep-part")


class Part:
    """A file in the making. ``commit`` makes it visible; leaving without removes it.

    The hidden file is locked: two runs cannot make the same file at once (BusyError). What a killed
    run left behind is taken over.
    """

    def __init__(self, path: Path) -> None:
        """Begin to make ``path``. Raises OutputError, BusyError."""
        self.path = path
        self.part = part_path(path)
        self._done = False
        try:
            self._fd = self._locked()
        except OSError as error:
            if isinstance(error, BusyError):
                raise
            raise OutputError(f"{safe(path)}: cannot be written: {error.strerror}") from error

    def _locked(self) -> int:
        while True:
            fd = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held the lock before may have renamed the file away.
                if os.fstat(fd).st_ino == os.stat(self.part).st_ino:
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise BusyError(
                    f"{safe(self.path)}: another flowkeep is making this file; wait for it"
                ) from None
            except FileNotFoundError:
                pass
            except BaseException:
                # An interrupt may come between the making and the lock; then nobody else removes it.
                self._abandon(fd)
                raise
            os.close(fd)

    def _abandon(self, fd: int) -> None:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == os.stat(self.part).st_ino:
                os.unlink(self.part)
        os.close(fd)

    def sync(self, like: Place | None = None) -> None:
        """Take over owner, mode, times and xattrs of ``like``, and bring everything to the disk."""
        try:
            if like is not None:
                take_over(like, self.part)
            else:
                os.fchmod(self._fd, 0o666 & ~_umask())
            os.fsync(self._fd)
        except OSError as error:
            raise OutputError(f"{safe(self.path)}: cannot be written: {error.strerror}") from error

    def commit(self) -> None:
        """Make the file visible, in one step."""
        try:
            os.replace(self.part, self.path)
            self._done = True
            sync_folder(self.path.parent)
        except OSError as error:
            raise OutputError(f"{safe(self.path)}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> Part:
        """The part itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not made visible."""
        if not self._done:
            with suppress(OSError):
                os.unlink(self.part)
        os.close(self._fd)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def take_over(source: Place, target: Path) -> None:
    """Give ``target`` the owner, mode, times and xattrs of ``source``, as far as this user may."""
    if isinstance(source, Url):
        os.chmod(target, 0o666 & ~_umask())
        return
    info = source.stat()
    with suppress(PermissionError):
        os.chown(target, info.st_uid, info.st_gid)
    os.chmod(target, stat.S_IMODE(info.st_mode))
    import shutil  # not for those who write no file

    shutil.copystat(source, target)


def being_written(path: Place) -> bool:
    """Whether another process has the file open for writing.

    A read lease is only granted when nobody has. Where leases cannot be had (other owner, network file
    systems) the answer is no, and the caller compares size and time before and after instead.
    """
    if isinstance(path, Url):
        return False  # a store shows whole files only
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
