"""Amounts of memory, addresses, tokens, users."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest
from flowkeep.cache import place
from flowkeep.cache.memory_text import default_memory, machine_memory, parse_memory
from flowkeep.cache.peers import Allowed, tcp_peer, unix_peer, user_of
from flowkeep.cache.place import Endpoint, check_socket, parse_endpoint
from flowkeep.cache.token import read_token, same
from flowkeep.errors import UsageError

GB = 10**9


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 << 20),
        ("1%", 80_000_000),
        ("2.5 %", 200_000_000),
        ("100%", 8 * GB),
        ("1GB", GB),
        ("1000000", 10**6),
    ],
)
def test_memory_is_a_size_or_a_share(text: str, size: int) -> None:
    assert parse_memory(text, machine=8 * GB) == size


@pytest.mark.parametrize(
    "text", ["", "%", "0%", "101%", "-1%", "9GB", "999kB", "much", "1e9", "1%%", "0.0001%", "\x1b[2J"]
)
def test_what_is_no_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_memory(text, machine=8 * GB)
    assert str(refused.value).isprintable()


def test_the_default_is_one_per_cent_and_at_least_40_mb() -> None:
    assert default_memory(8 * GB) == 80_000_000
    assert default_memory(GB) == 40_000_000
    assert GB // 10 < machine_memory() <= 1 << 46


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80), ("80", "127.0.0.1", 80), (":80", "127.0.0.1", 80), ("", "127.0.0.1", 7),
        ("host.example", "host.example", 7), ("[::1]:80", "::1", 80), ("[::1]", "::1", 7), ("h:0", "h", 0),
    ],
)  # fmt: skip
def test_an_address_may_leave_things_out(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text, 7) == Endpoint(host, port)
    assert parse_endpoint(str(Endpoint(host, port)), 7) == Endpoint(host, port)


@pytest.mark.parametrize("text", ["::1", "[::1", "[x]:1", "h:65536", "h:x", "h:1:2", "a b", "[12]:5", "h/1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_endpoint(text, 7)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.0.2.1", False), ("loopback.example", False), ("::ffff:127.0.0.1", False)],
)  # fmt: skip
def test_only_what_is_surely_this_machine_counts_as_it(host: str, loopback: bool) -> None:
    assert Endpoint(host, 1).loopback == loopback


def test_a_socket_is_looked_for_where_it_would_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    own = tmp_path / "flowkeep" / "cache.sock"
    assert place.own_socket() == own
    assert place.usual_socket() == place.SYSTEM_SOCKET
    own.parent.mkdir()
    own.touch()
    assert place.usual_socket() == own
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    assert place.own_socket() == place.SYSTEM_SOCKET
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert place.own_socket() == place.SYSTEM_SOCKET


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="107"):
        check_socket(Path("/" + "x" * 107))
    assert check_socket(Path("/" + "x" * 106)) == Path("/" + "x" * 106)


def secret(folder: Path, text: bytes, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode"), [(b"0123456789abcdef\n", 0o600), (b"x" * 1024, 0o440), (b"y" * 16 + b"\r\n", 0o400)]
)
def test_a_token_is_the_line_of_a_file(tmp_path: Path, text: bytes, mode: int) -> None:
    assert read_token(secret(tmp_path, text, mode)) == text.decode().strip()


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (b"0123456789abcdef", 0o644, "chmod 600"), (b"0123456789abcdef", 0o620, "chmod 600"),
        (b"0123456789abcde", 0o600, "no token"), (b"x" * 1025, 0o600, "no token"), (b"", 0o600, "no token"),
        (b"two lines are\nno token", 0o600, "no token"), (b"\xff" * 20, 0o600, "no token"),
        (b"with a space in it", 0o600, "no token"),
    ],
)  # fmt: skip
def test_a_weak_or_open_token_is_refused(tmp_path: Path, text: bytes, mode: int, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_token(secret(tmp_path, text, mode))


def test_a_pipe_is_no_token_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="no plain file"):
        read_token(tmp_path / "pipe")


def test_only_the_token_itself_is_the_token() -> None:
    assert same("0123456789abcdef", "0123456789abcdef")
    for other in ("0123456789abcde", "0123456789abcdeg", "", None, 5, ["0123456789abcdef"], "\ud800"):
        assert not same(other, "0123456789abcdef")


def test_users_are_named_or_numbered() -> None:
    name = pwd.getpwuid(0).pw_name
    assert user_of(name) == 0
    assert user_of("4711") == 4711
    with pytest.raises(UsageError):
        user_of("nobody of that name")
    allowed = Allowed(["4711"])
    assert 4711 in allowed
    assert 0 in allowed
    assert os.geteuid() in allowed
    assert 4712 not in allowed
    assert None not in allowed


def test_the_kernel_says_who_is_at_a_unix_socket() -> None:
    a, b = socket.socketpair()
    with a, b:
        assert unix_peer(a) == os.geteuid()


@pytest.mark.parametrize(
    ("family", "host", "asked"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "::1"),
     (socket.AF_INET, "127.0.0.1", "::ffff:127.0.0.1")],
)  # fmt: skip
def test_the_kernel_says_who_is_at_a_tcp_socket(family: socket.AddressFamily, host: str, asked: str) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError as error:
            pytest.skip(f"no {host} here: {error}")
        listener.listen()
        client = socket.socket(socket.AF_INET6 if ":" in asked else socket.AF_INET)
        client.connect((asked, listener.getsockname()[1]))
        served, _ = listener.accept()
        with served:
            assert tcp_peer(served) == os.geteuid()
            client.close()
            # What nobody holds any more stands there as root's.
            assert tcp_peer(served) is None
