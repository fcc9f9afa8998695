"""The socket of a service: nobody else's, from its first moment on, and taken over only from the dead."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from flowkeep.cache.listen import close_unix, listen_unix
from flowkeep.errors import BusyError, FlowkeepError, OutputError, UsageError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "run" / "cache.sock"


def inode(path: Path) -> int:
    return os.lstat(path).st_ino


def test_only_the_owner_may_connect(place: Path) -> None:
    before = os.umask(0)
    try:
        with listen_unix(place):
            assert stat.S_IMODE(place.lstat().st_mode) == 0o600
            assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_the_mode_is_right_before_anybody_could_look(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of the mode would come too late; so there is none."""
    for name in ("chmod", "fchmod", "lchmod"):
        monkeypatch.setattr(
            os, name, lambda *_, **__: pytest.fail("the mode was changed afterwards"), raising=False
        )
    with listen_unix(place):
        assert stat.S_IMODE(place.lstat().st_mode) == 0o600


def test_everybody_may_connect_when_asked(place: Path) -> None:
    with listen_unix(place, everybody=True):
        assert stat.S_IMODE(place.lstat().st_mode) == 0o666


def test_a_living_service_is_left_alone(place: Path) -> None:
    with listen_unix(place) as sock:
        before = inode(place)
        with pytest.raises(BusyError, match="running there already"):
            listen_unix(place)
        assert inode(place) == before
        sock.settimeout(10)
        sock.accept()[0].close()  # the look of the second one


def test_a_living_service_whose_queue_is_full_is_left_alone(place: Path) -> None:
    with listen_unix(place) as sock:
        sock.listen(0)
        waiting = []
        try:
            while True:
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                waiting.append(client)
                client.connect(os.fspath(place))
        except BlockingIOError:
            pass
        with pytest.raises(BusyError):
            listen_unix(place)
        for client in waiting:
            client.close()


def test_what_a_killed_service_left_behind_is_taken_over(place: Path) -> None:
    listen_unix(place).close()
    assert place.exists()
    with listen_unix(place), socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(place))


def test_a_service_takes_its_own_name_away(place: Path) -> None:
    sock = listen_unix(place)
    close_unix(sock, place, inode(place))
    assert not place.exists()


def test_a_service_leaves_the_name_of_another_one(place: Path) -> None:
    first = listen_unix(place)
    mine = inode(place)
    place.rename(place.with_name("away"))
    with listen_unix(place):
        close_unix(first, place, mine)
        assert place.exists()


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_nothing_but_a_socket_is_taken_away(place: Path, what: str) -> None:
    place.parent.mkdir(mode=0o700)
    if what == "file":
        place.write_bytes(b"precious")
    elif what == "folder":
        place.mkdir()
    else:
        place.symlink_to(place.with_name("elsewhere"))
    with pytest.raises(UsageError, match="no socket"):
        listen_unix(place)
    assert os.path.lexists(place)


def test_a_folder_in_which_others_write_is_no_place(place: Path) -> None:
    place.parent.mkdir()
    place.parent.chmod(0o777)
    with pytest.raises(UsageError, match="other users can write"):
        listen_unix(place)
    assert not place.exists()
    place.parent.chmod(0o1777)
    listen_unix(place).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
def test_a_folder_of_another_user_is_no_place(place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    os.chown(place.parent, 65534, 65534)
    with pytest.raises(UsageError, match="other users can write"):
        listen_unix(place)
    with listen_unix(place, owner=65534):
        assert place.stat().st_uid == 65534


def test_no_folder_and_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no socket can be made"):
        listen_unix(tmp_path / "a" / "b" / "cache.sock")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        listen_unix(tmp_path / "file" / "cache.sock")


def test_of_many_that_begin_at_once_one_gets_the_place(place: Path) -> None:
    listen_unix(place).close()  # and it is a stale one, which all may take over
    barrier, got, refused = threading.Barrier(8), [], []

    def begin() -> None:
        barrier.wait()
        try:
            got.append(listen_unix(place))
        except FlowkeepError as error:
            refused.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)
    assert all(isinstance(error, BusyError) for error in refused)
    got[0].close()


def test_a_place_is_looked_at_and_taken_by_one_at_a_time(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a stale socket and the new one, no other service may do the same."""
    listen_unix(place).close()
    held = []

    def unlink(path: Path) -> None:
        other = os.open(place.parent, os.O_RDONLY)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(path)
        os.close(other)
        os.remove(path)

    monkeypatch.setattr("flowkeep.cache.listen.os.unlink", unlink)
    listen_unix(place).close()
    assert held == [place]
