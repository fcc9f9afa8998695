"""The same numbers in the status, for Prometheus and for the service manager; and what a start costs."""

from __future__ import annotations

import os
import re
import select
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from flowkeep.notify import notify, watchdog_seconds

from tests import wire
from tests.cache.service import WAIT, Service, running, until
from tests.cache.test_pcap_over_ip import port
from tests.cli import command

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging/systemd/flowkeep-cache.service"
PACKETS = wire.merged(wire.tcp_session(script=[("c", b"GET /"), ("s", bytes(9000))]), wire.udp_dialogue())
_SAMPLE = re.compile(
    r'(flowkeep_cache_[a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? (\S+)'
)


def capture(where: Path, name: str = "a.pcap") -> Path:
    (where / name).write_bytes(wire.pcap(PACKETS))
    return where / name


def page(service: Service) -> str:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{port(service, 'metrics')}/metrics", timeout=WAIT
    ) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return str(answer.read().decode())


def samples(text: str) -> dict[str, float]:
    """Checks the format as Prometheus describes it; gives name with labels to value."""
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            assert kind in ("counter", "gauge")
            assert kind != "counter" or name.endswith("_total")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = _SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] in kinds
            assert line.rpartition(" ")[0] not in found
            found[line.rpartition(" ")[0]] = float(match[3])
    return found


def test_prometheus_gets_the_numbers_of_the_status(tmp_path: Path) -> None:
    with running(
        tmp_path, "--read", capture(tmp_path, 'a "b"\\c.pcap'), "--metrics", "127.0.0.1:0"
    ) as service:
        status, found = service.status(), samples(page(service))
        cache = status["cache"]
        for name, value in [
            ("memory_bound_bytes", cache["bound"]),
            ('memory_used_bytes{kind="packets"}', cache["used"]["packets"]),
            ("received_packets_total", len(PACKETS)),
            ("held_packets", cache["held"]["packets"]),
            ("held_bytes", cache["held"]["bytes"]),
            ('let_go_packets_total{reason="tail"}', 0),
            ("look_back_seconds", cache["look_back"] / 1e9),
            ("readers", 0),
        ]:
            assert found[f"flowkeep_cache_{name}"] == value, name
        (read,) = [
            value for name, value in found.items() if name.startswith("flowkeep_cache_input_packets_total")
        ]
        assert read == len(PACKETS)


def test_an_empty_cache_has_numbers_too(tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").write_bytes(wire.pcap([]))
    with running(tmp_path, "--read", tmp_path / "empty.pcap", "--metrics", "127.0.0.1:0") as service:
        assert samples(page(service))["flowkeep_cache_held_packets"] == 0
        assert (
            b"nothing was captured yet" in command.run("cache", "status", "--socket", service.socket).stdout
        )


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\n\r\n", 200), (b"HEAD /metrics HTTP/1.1\r\n\r\n", 200),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", 200), (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405), (b"GET /metrics\r\n\r\n", 400), (b"\x16\x03\x01\r\n\r\n", 400),
        (b"x" * 200_000, 400),
    ],
)  # fmt: skip
def test_other_requests_are_answered_and_do_no_harm(tmp_path: Path, asked: bytes, status: int) -> None:
    with running(tmp_path, "--read", capture(tmp_path), "--metrics", "127.0.0.1:0") as service:
        with socket.create_connection(("127.0.0.1", port(service, "metrics")), WAIT) as sock:
            answer = b""
            try:
                sock.sendall(asked)
                answer = b"".join(iter(lambda: sock.recv(1 << 16), b""))
            except ConnectionError:
                assert status == 400
        assert answer.startswith(b"HTTP/1.1 %d " % status) or (status == 400 and not answer)
        assert answer.endswith(b"\r\n\r\n") == (asked[:4] == b"HEAD") or not answer
        assert "flowkeep_cache_flows" in page(service)
        assert service.status()["clients"]["failed"] == 0


class Manager:
    """What systemd listens with."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + address[1:] if address[0] == "@" else address)
        self.told: list[str] = []

    def heard(self, word: str) -> bool:
        while select.select([self.sock], [], [], 0)[0]:
            self.told += self.sock.recv(4096).decode().split("\n")
        return any(text.startswith(word) for text in self.told)

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_service_manager_is_told(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@flowkeep-{os.getpid()}"
    env = {**command.ENV, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}
    with Manager(address) as manager, running(tmp_path, "--read", capture(tmp_path), env=env) as service:
        for word in ("READY=1", "WATCHDOG=1", f"STATUS={len(PACKETS)} packets"):
            until(lambda word=word: manager.heard(word))  # type: ignore[misc]
        assert not manager.heard("STOPPING")
        service.stop()
        until(lambda: manager.heard("STOPPING=1"))


def test_nothing_is_told_where_nobody_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for address in ("", "relative", str(tmp_path / "nobody listens")):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify(READY=1)
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_seconds() == 15
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_seconds() == 15
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() is None
    monkeypatch.delenv("WATCHDOG_PID")
    for text in ("", "0", "-1", "x"):
        monkeypatch.setenv("WATCHDOG_USEC", text)
        assert watchdog_seconds() is None


def test_a_state_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with Manager(str(tmp_path / "notify")) as manager:
        notify(STATUS="fine\nREADY=1")
        assert manager.heard("STATUS=fine")
        assert not manager.heard("READY")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_understood(tmp_path: Path) -> None:
    program = tmp_path / "flowkeep"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = UNIT.read_text()
    assert "ExecStart=/usr/bin/flowkeep " in text
    lines = [line for line in text.splitlines() if not line.startswith("Documentation=")]
    unit = tmp_path / UNIT.name
    unit.write_text("\n".join(lines).replace("/usr/bin/flowkeep", str(program)) + "\n")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_of_the_unit_is_one(tmp_path: Path) -> None:
    (start,) = re.findall(r"^ExecStart=/usr/bin/flowkeep (.*)$", UNIT.read_text(), re.M)
    args = start.replace("${STATE_DIRECTORY}", str(tmp_path)).replace("$FLOWKEEP_CACHE_OPTIONS", "").split()
    done = command.run(*args, "--read", "x", "--metrics", "0.0.0.0")
    assert done.returncode == 2
    assert "--metrics" not in command.said(done).partition("Usage")[2]
    assert "can be reached from other machines" in command.said(done)


def test_no_other_command_pays_for_the_service() -> None:
    script = "import sys; sys.argv[1:] = {args}\nfrom flowkeep.cli import main\ntry: main()\nexcept SystemExit: pass\nprint(sorted(set(sys.modules) & {{'asyncio', 'ssl', 'polars', 'rich', 'flowkeep.cache.daemon'}}), file=sys.stderr)"
    for args in (
        ["flows", "--help"],
        ["cache", "--help"],
        ["cache", "status", "--socket", "/none"],
        ["cache", "run", "--help"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", script.format(args=args)],
            env=command.ENV,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr.endswith("[]\n"), args


def test_the_service_itself_takes_little_memory(tmp_path: Path) -> None:
    """40 MB, besides its bound."""
    with running(
        tmp_path, "--read", capture(tmp_path), "--pcap-over-ip", "127.0.0.1:0", "--filter", "ip"
    ) as service:
        service.status()
        text = Path(f"/proc/{service.process.pid}/status").read_text()
        assert 1024 * int(text.partition("VmRSS:")[2].split()[0]) < 40_000_000 + 40_000_000
