"""PCAP-over-IP for the tools of this machine; over a network only TLS and a token open the door."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests import wire
from tests.cache.service import WAIT, Service, everything, header, request, running, until
from tests.cache.test_faults import NOBODY, as_root, folder
from tests.cli import command
from tests.wire import SECOND, START_NS

USAGE, CACHE = 2, 10
PACKETS = wire.merged(
    wire.tcp_session(script=[("c", b"GET /"), ("s", bytes(9000))]),
    wire.udp_dialogue(start_ns=START_NS + SECOND),
)
assert folder


def capture(where: Path) -> Path:
    (where / "a.pcap").write_bytes(wire.pcap(PACKETS))
    return where / "a.pcap"


def port(service: Service, what: str = "PCAP-over-IP") -> int:
    """Where it said that it answers."""
    (said,) = [text for text in service.said().splitlines() if what in text]
    return int(said.rpartition(":")[2].partition("/")[0])


def tcp(number: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", number), WAIT)


def received(sock: socket.socket, packets: int) -> list[bytes]:
    """The first packets of a stream that does not end."""
    seen = b""
    while True:
        try:
            found = [record.data for record in wire.read(seen).records]
        except (ValueError, IndexError, AssertionError, Exception):
            found = []
        if len(found) >= packets:
            return found
        more = sock.recv(1 << 16)
        assert more, f"it ended after {len(found)} packets"
        seen += more


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("form", ["pcapng", "pcap"])
def test_tshark_reads_it(tmp_path: Path, form: str) -> None:
    given = ("--pcap-over-ip", "127.0.0.1:0", "--pcap-over-ip-history", "all", "--pcap-over-ip-format", form)
    with running(tmp_path, "--read", capture(tmp_path), *given) as service:
        done = subprocess.run(
            ["tshark", "-i", f"TCP@127.0.0.1:{port(service)}", "-c", str(len(PACKETS)), "-T", "fields", "-e", "frame.len"],
            capture_output=True, timeout=60,
        )  # fmt: skip
        assert [int(text) for text in done.stdout.split()] == [len(p.data) for p in PACKETS]
        until(lambda: service.status()["clients"]["reading"] == 0)


def test_history_says_how_far_back_it_begins(tmp_path: Path) -> None:
    given = ("--pcap-over-ip", "127.0.0.1:0", "--pcap-over-ip-history")
    with running(tmp_path, "--read", capture(tmp_path), *given, "0.5") as service, tcp(port(service)) as sock:
        assert received(sock, 2) == [p.data for p in PACKETS if p.ts_ns > START_NS + SECOND // 2]


@as_root
def test_another_user_of_this_machine_gets_nothing(folder: Path) -> None:
    given = ("--pcap-over-ip", "127.0.0.1:0", "--pcap-over-ip-history", "all")
    script = "import os, socket, sys; 'x'.encode('idna'); os.setgroups([]); os.setuid(65534)\nprint(socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(9))"
    for more, gets in ((), False), (("--allow", str(NOBODY)), True):
        with running(folder, "--read", capture(folder), *given, *more) as service:
            done = subprocess.run(
                [sys.executable, "-c", script, str(port(service))], capture_output=True, timeout=60
            )
            assert done.returncode == 0, done
            assert (b"x0a\\r\\r" in done.stdout or b"\\n\\r\\r\\n" in done.stdout) == gets, done
            assert service.status()["clients"]["refused"] == (not gets)


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    with running(tmp_path, "--read", capture(tmp_path)) as service:
        assert "PCAP-over-IP" not in service.said()
        listening = subprocess.run(["ss", "-ltnp"], capture_output=True).stdout if shutil.which("ss") else b""
        assert f"pid={service.process.pid}," not in listening.decode()


REFUSED = {
    "all addresses": (("--pcap-over-ip", "0.0.0.0:0"), "asks nobody"),
    "an address of the network": (("--pcap-over-ip", "192.0.2.1"), "asks nobody"),
    "a name": (("--pcap-over-ip", "host.example:1"), "asks nobody"),
    "metrics elsewhere": (("--metrics", "0.0.0.0:0"), "127.0.0.1"),
    "input from elsewhere": (("--listen", "0.0.0.0:0"), "tunnel"),
    "a part of TLS": (("--pcap-over-ip", "0.0.0.0:0", "--tls-cert", "x"), "--token-file"),
    "TLS for nothing": (("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--token-file", "token"), "--pcap-over-ip"),
    "no certificate": (("--pcap-over-ip", "127.0.0.1:0", "--tls-cert", "token", "--tls-key", "key.pem", "--token-file", "token"), "PEM"),
    "spill without room": (("--spill", "x"), "--disk"),
    "no such curve": (("--curve", "x"), "curve"),
    "wrong filter": (("--filter", "tcp port"), "libpcap"),
    "no such user": (("--allow", "no such user"), "no user"),
    "a history of words": (("--pcap-over-ip", "--pcap-over-ip-history", "long"), "duration"),
}  # fmt: skip


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with cert.pem for localhost and 127.0.0.1, key.pem and token."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9",
         "-subj", "/CN=cache", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "token").write_text("0123456789abcdef0123\n")
    (tmp_path / "token").chmod(0o600)
    return tmp_path


@pytest.mark.parametrize(("args", "word"), REFUSED.values(), ids=REFUSED)
def test_what_would_open_the_door_or_cannot_be_meant_is_refused(
    keys: Path, args: tuple[str, ...], word: str
) -> None:
    done = command.run("cache", "run", "--socket", keys / "s", "--read", capture(keys), *args, cwd=keys)
    assert done.returncode == USAGE, command.said(done)
    assert word in command.said(done)
    assert not (keys / "s").exists()


def tls(keys: Path) -> tuple[command.Argument, ...]:
    return ("--tls-cert", keys / "cert.pem", "--tls-key", keys / "key.pem", "--token-file", keys / "token")


def test_over_tls_and_with_the_token_everything_can_be_asked(keys: Path) -> None:
    with running(keys, "--read", capture(keys), "--pcap-over-ip", "0.0.0.0:0", *tls(keys)) as service:
        number = port(service)
        there = (
            "--connect",
            f"tls://localhost:{number}",
            "--token-file",
            keys / "token",
            "--tls-ca",
            keys / "cert.pem",
        )
        done = command.run("cache", "read", *there, "-o", "-")
        assert done.returncode == 0, command.said(done)
        assert [r.data for r in wire.read(done.stdout).records] == [p.data for p in PACKETS]
        assert b"10.0.0.2" in command.run("cache", "flows", *there, "--format", "csv").stdout
        assert command.run("cache", "status", *there).returncode == 0
        by_address = ("--connect", f"tls://127.0.0.1:{number}", *there[2:])
        assert command.run("cache", "status", *by_address).returncode == 0

        (keys / "wrong").write_text("0123456789abcdef0124\n")
        (keys / "wrong").chmod(0o600)
        refusals = [
            (("--token-file", keys / "wrong", *there[4:]), "token is missing or wrong"),
            (there[2:4], "not trusted"),
        ]
        for others, why in refusals:
            done = command.run("cache", "read", "--connect", f"tls://localhost:{number}", *others, "-o", "-")
            assert done.returncode == CACHE
            assert why in command.said(done)
            assert done.stdout == b""


def test_without_tls_or_token_that_port_tells_nothing(keys: Path) -> None:
    with running(keys, "--read", capture(keys), "--pcap-over-ip", "0.0.0.0:0", *tls(keys)) as service:
        number = port(service)
        for text in (b"", request(ask="read"), b"GET / HTTP/1.1\r\n\r\n", bytes(5000)):
            with tcp(number) as sock:
                sock.sendall(text)
                sock.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    assert b"\n\r\r\n" not in everything(sock)
        context = ssl.create_default_context(cafile=str(keys / "cert.pem"))
        for token in ({}, {"token": "x"}, {"token": ""}):
            with context.wrap_socket(tcp(number), server_hostname="localhost") as sock:
                sock.sendall(request(ask="status", **token))
                assert header(sock)["ok"] is False
        status = service.status()
        assert status["clients"]["refused"] == 4 + 3
        assert status["clients"]["failed"] == 0


def test_a_place_that_asks_for_a_token_is_not_asked_without(tmp_path: Path) -> None:
    for args, word in [
        (("--connect", "tls://localhost"), "--token-file"), (("--connect", "localhost:1", "--token-file", "x"), "tls://"),
        (("--connect", "http://localhost", "--token-file", "x"), "tls://"),
    ]:  # fmt: skip
        done = command.run("cache", "status", *args, cwd=tmp_path)
        assert done.returncode == USAGE
        assert word in command.said(done)
    assert os.listdir(tmp_path) == []
