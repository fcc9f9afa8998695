"""Takes the place of a service's Unix socket, safely."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import BusyError, OutputError, UsageError
from ..text import safe
from .place import check_socket

BACKLOG = 128
"""Clients that wait to be let in."""


def listen_unix(path: Path, *, owner: int | None = None, everybody: bool = False) -> socket.socket:
    """A listening socket at ``path``, which only its owner may connect to (mode 0600).

    ``owner``: the user who will serve it, if that is another one. ``everybody``: all may connect, and
    whoever accepts looks at who they are. What a killed service left behind is taken over; it is told from a
    living one by connecting. Raises BusyError for a living one, UsageError for a place that others control or
    that holds something else, OutputError when it cannot be made.
    """
    path = check_socket(path)
    try:
        folder = _folder(path.parent, owner)
        try:
            # One at a time looks whether somebody is there and takes the place.
            fcntl.flock(folder, fcntl.LOCK_EX)
            _make_room(path)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                # The mode is right from the first moment on.
                mask = os.umask(0o177)
                try:
                    sock.bind(os.fspath(path))
                finally:
                    os.umask(mask)
                if owner is not None and owner != os.geteuid():
                    os.chown(path, owner, -1, follow_symlinks=False)
                if everybody:
                    os.chmod(path, 0o666)
                sock.listen(BACKLOG)
            except BaseException:
                sock.close()
                raise
            return sock
        finally:
            os.close(folder)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{safe(path)}: no socket can be made there: {error.strerror}") from error


def close_unix(sock: socket.socket, path: Path, inode: int) -> None:
    """Close a socket and take its name away, unless the name is another one's by now."""
    # The name goes first: who finds none need not wonder whether somebody lives there.
    with suppress(OSError):
        if os.lstat(path).st_ino == inode:
            os.unlink(path)
    sock.close()


def _folder(folder: Path, owner: int | None) -> int:
    """The folder, opened; made if there is none. Raises OSError, UsageError."""
    with suppress(FileExistsError):
        os.mkdir(folder, 0o755 if owner is not None or os.geteuid() == 0 else 0o700)
        if owner is not None:
            os.chown(folder, owner, -1)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    info = os.fstat(fd)
    trusted = {0, os.geteuid(), owner}
    # In a folder such as /tmp only the owner of a name can take it away.
    if info.st_uid not in trusted or (info.st_mode & 0o022 and not info.st_mode & stat.S_ISVTX):
        os.close(fd)
        raise UsageError(
            f"{safe(folder)} is no place for a socket: other users can write there and put their own in its "
            "place; name another folder with --socket"
        )
    return fd


def _make_room(path: Path) -> None:
    """Take away a socket that nobody serves. Raises BusyError, UsageError, OSError."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(info.st_mode):
        raise UsageError(f"{safe(path)} is there and is no socket: name another place with --socket")
    if info.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise UsageError(f"{safe(path)} is a socket of another user: name another place with --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        except BlockingIOError:
            raise BusyError(_busy(path)) from None  # so many wait that there is somebody
        else:
            raise BusyError(_busy(path))
    with suppress(FileNotFoundError):
        os.unlink(path)


def _busy(path: Path) -> str:
    return (
        f"{safe(path)}: a cache is running there already: stop it first, or give this one another place "
        "with --socket"
    )
