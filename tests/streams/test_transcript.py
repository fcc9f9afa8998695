"""What two ends said, as text that is harmless."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import unicodedata
import zlib
from pathlib import Path
from typing import Any

import brotli
import flowkeep as fk
import pytest
import zstandard

from tests import wire
from tests.cli import command
from tests.streams.cases import c, connection

Script = list[tuple[Any, bytes]]


def capture(tmp_path: Path, script: Script, **rest: Any) -> Path:
    path = tmp_path / "t.pcap"
    path.write_bytes(wire.pcap(wire.tcp_session(script=script, **rest)))
    return path


def shown(path: Path, *args: str | Path) -> list[str]:
    done = command.run("transcript", path, "--flow", "0", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()[1:]


def test_both_ends_in_turn(tmp_path: Path) -> None:
    path = capture(
        tmp_path, [("c", b"EHLO a\r\n"), ("s", b"250-one\r\n250 "), ("s", b"two\r\n"), ("c", b"QUIT")]
    )
    told = ["> EHLO a", "< 250-one", "< 250 two", "> QUIT"]
    assert shown(path)[:4] == told
    assert shown(path)[4:] == ["[client: end, 12 bytes]", "[server: end, 18 bytes]"]


def test_nothing_a_terminal_obeys_comes_through(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x9b31m\r\x08ok\u202etxt\n".encode() + bytes(range(256)) + b"\n[server: end]\n"
    path = capture(tmp_path, [("c", evil), ("s", evil)])
    for args in (
        (),
        ("--encoding", "latin-1"),
        ("--encoding", "utf-16-le"),
        ("--view", "hex"),
        ("--view", "json"),
    ):
        out = command.run("transcript", path, "--flow", "0", *args).stdout.decode()
        assert out and all(
            ch.isprintable() or ch in "\n\t" or unicodedata.category(ch) == "Zs" for ch in out
        ), args
    assert "> [server: end]" in shown(path)  # a mark that the capture forges is seen to be data


def test_encodings(tmp_path: Path) -> None:
    path = capture(tmp_path, [("c", "LOGON grüß".encode("cp037"))])
    assert shown(path, "--encoding", "cp037")[0] == "> LOGON grüß"
    done = command.run("transcript", path, "--flow", "0", "--encoding", "nonsense")
    assert done.returncode == 2 and "there is no encoding 'nonsense'" in command.said(done)


def test_a_part(tmp_path: Path) -> None:
    path = capture(tmp_path, [("c", b"0123456789"), ("s", b"abcdefghij")])
    assert shown(path, "--from", "8", "--bytes", "4") == ["> 89", "< ab", "[4 bytes shown; more: --from 12]"]
    raw = command.run("transcript", path, "--flow", "0", "--view", "raw", "--from", "8", "--bytes", "4")
    assert raw.stdout == b"89ab"


def test_gaps_and_conflicts_are_marks(tmp_path: Path) -> None:
    path = tmp_path / "t.pcap"
    steps = [c(0, b"one "), c(8, b"three"), c(8, b"THREE"), ("s", 0, b"ok", "PA:13")]
    path.write_bytes(wire.pcap(connection(steps)))
    lines = shown(path)
    assert lines[:3] == ["> one ", "[client: 4 bytes missing at 4: not_captured]", "> three"]
    (conflict,) = [line for line in lines if "two versions" in line]
    assert "of 5 bytes at 8: shown is that of frame 5" in conflict and "'THREE'" in conflict
    raw = command.run("transcript", path, "--flow", "0", "--view", "raw")
    assert raw.stdout == b"one threeok"
    seen = [line for line in shown(path, "--as-seen") if line[0] in "<>"]
    assert seen == ["> one threeTHREE", "< ok"]
    last = command.run("transcript", path, "--flow", "0", "--view", "raw", "--overlap", "last").stdout
    assert last == b"one THREEok"


CODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "x-raw": lambda data: data,
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("chunked", [False, True])
def test_http_bodies_are_decoded(coding: str, chunked: bool, tmp_path: Path) -> None:
    body = CODINGS[coding](b"one line\nanother\n" * 100)
    field = b"" if coding == "x-raw" else f"Content-Encoding: {coding}\r\n".encode()
    if chunked:
        parts = [body[i : i + 7] for i in range(0, len(body), 7)]
        sent = b"".join(b"%x;x=y\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
        field += b"Transfer-Encoding: chunked\r\n"
    else:
        sent = body
        field += b"Content-Length: %d\r\n" % len(body)
    answer = b"HTTP/1.1 200 OK\r\n" + field + b"\r\n" + sent
    script: Script = [("c", b"GET / HTTP/1.1\r\n\r\n"), ("s", answer), ("c", b"HEAD /x HTTP/1.1\r\n\r\n"),
                      ("s", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")]  # fmt: skip
    lines = shown(capture(tmp_path, script, mss=100), "--decode")
    assert [line for line in lines if line in ("< one line", "< another")] == [
        "< one line",
        "< another",
    ] * 100
    assert lines.count("< HTTP/1.1 200 OK") == 2


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


@pytest.mark.parametrize(("coding", "body", "expected"), [
    ("gzip", gzip.compress(b"one ") + gzip.compress(b"two"), b"one two"),
    ("zstd", zstandard.compress(b"one ") + zstandard.compress(b"two"), b"one two"),
    ("deflate", raw_deflate(b"one two"), b"one two"),
    ("gzip", gzip.compress(b"one two " * 50)[:-9], "the coded body ends too early"),
    ("br", brotli.compress(b"one two " * 50)[:-1], "the coded body ends too early"),
    ("zstd", zstandard.compress(b"one two " * 50)[:-1], "the coded body ends too early"),
    ("gzip", gzip.compress(b"one two") + b"and more", "the body cannot be decoded"),
    ("br", b"\xff" * 40, "the body cannot be decoded"),
    ("zstd", b"\xff" * 40, "the body cannot be decoded"),
])  # fmt: skip
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_codings_that_are_odd(coding: str, body: bytes, expected: bytes | str, step: int) -> None:
    """Several members, no head, cut short, followed by other bytes; however it is divided into segments."""
    from flowkeep.ops.http import _Side

    side = _Side([b"GET"], False)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (
        coding.encode(),
        len(body),
    )
    answer = head + body
    parts: list[bytes | str] = []
    for at in range(0, len(answer), step):
        parts += side.put(answer[at : at + step])
    marks = [part for part in parts if isinstance(part, str)]
    if isinstance(expected, bytes):
        assert b"".join(part for part in parts if isinstance(part, bytes)) == head + expected and not marks
    else:
        assert len(marks) == 1 and expected in marks[0]


def brotli_bomb() -> bytes:
    return brotli.compress(bytes(200 << 20), quality=5)


BOMBS = {
    "gzip": lambda: gzip.compress(bytes(200 << 20), 9),
    "gzip, gzip": lambda: gzip.compress(gzip.compress(bytes(200 << 20), 9)),
    "br": brotli_bomb,
    "zstd": lambda: zstandard.compress(bytes(200 << 20)),
}


@pytest.mark.parametrize("coding", BOMBS)
def test_what_comes_out_of_a_bomb_comes_in_pieces(coding: str) -> None:
    from flowkeep.ops import codings, http

    body = BOMBS[coding]()
    side = http._Side([b"GET"], False)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (
        coding.encode(),
        len(body),
    )
    made, marks = 0, []
    for part in side.put(head + body):
        if isinstance(part, str):
            marks.append(part)
        else:
            assert len(part) <= 2 * codings.PIECE
            made += len(part)
    assert made == len(head) + http.MOST and len(marks) == 1 and "becomes more than" in marks[0]


def test_a_bomb_is_bounded(tmp_path: Path) -> None:
    body = gzip.compress(bytes(200 << 20), 9)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    path = capture(tmp_path, [("c", b"GET / HTTP/1.1\r\n\r\n"), ("s", answer)])
    done = command.run("transcript", path, "--flow", "0", "--decode", "--view", "hex", "--bytes", "1kB")
    assert done.returncode == 0
    from flowkeep.ops import http

    with fk.open(path).stream(0) as stream:
        made = 0
        marks = []
        for event in http.decoded(stream):
            if isinstance(event, str):
                marks.append(event)
            elif hasattr(event, "data"):
                made += len(event.data)
    assert made < http.MOST + 1000 and len(marks) == 1 and "becomes more than" in marks[0]


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc"
    path = capture(tmp_path, [("c", b"GET / HTTP/1.1\r\n\r\n"), ("s", answer)])
    from flowkeep.ops import http

    monkeypatch.setitem(__import__("sys").modules, "brotli", None)
    with (
        fk.open(path).stream(0) as stream,
        pytest.raises(fk.UsageError, match="install the Python package brotli"),
    ):
        list(http.decoded(stream))


def test_which_flow_must_be_clear(tmp_path: Path) -> None:
    path = tmp_path / "two.pcap"
    path.write_bytes(wire.pcap(wire.merged(wire.tcp_session(), wire.udp_dialogue())))
    done = command.run("transcript", path)
    assert done.returncode == 2 and "2 flows are meant (0, 1)" in command.said(done)
    assert command.run("transcript", path, "--filter", "udp").stdout.splitlines()[1:] == [
        b"> query",
        b"< answer",
    ]


def test_json_holds_every_event(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in command.run(
        "transcript", capture(tmp_path, [("c", b"\x00\xff")]), "--flow", "0", "--view", "json",
    ).stdout.splitlines()]  # fmt: skip
    assert [line["event"] for line in lines] == ["flow", "data", "fin", "fin"]
    assert lines[1]["data"] == "00ff" and lines[1]["frame"]["frame"] == 4


def test_colour_and_the_pager_are_for_terminals(tmp_path: Path) -> None:
    path = capture(tmp_path, [("c", b"hello")])
    primary, secondary = pty.openpty()
    env = {**command.ENV, "PAGER": "sed s/^/paged:/", "TERM": "xterm"}
    run = subprocess.Popen(
        command.command("transcript", path, "--flow", "0", "--quiet"), stdout=secondary, env=env
    )
    os.close(secondary)
    out = b""
    try:
        while part := os.read(primary, 4096):
            out += part
    except OSError:
        pass  # the other end is closed
    os.close(primary)
    assert run.wait(command.DEADLINE) == 0
    assert b"paged:\x1b[31m> hello\x1b[0m" in out


def test_one_end_to_standard_output(tmp_path: Path) -> None:
    path = tmp_path / "t.pcap"
    path.write_bytes(wire.pcap(connection([c(0, b"one "), c(8, b"three"), ("s", 0, b"ok", "PA:13")])))
    args = ("streams", path, "--flow", "0", "--direction", "client", "-o", "-")
    done = command.run(*args)
    assert done.stdout == b"one three"
    assert "client: 4 bytes missing at 4: not_captured" in command.said(done)
    assert command.run(*args, "--gaps", "zero").stdout == b"one \0\0\0\0three"
    assert command.run(*args, "--gaps", "split").returncode == 2
    assert command.run("streams", path, "-o", "-").returncode == 2
