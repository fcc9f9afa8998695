"""What clients, users and the machine may do to a service does not end it, nor let anybody in."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from flowkeep import _native
from flowkeep.cache import server
from flowkeep.cache.listen import listen_unix

from tests import wire
from tests.cache.service import Service, connected, everything, frames, header, request, running, until
from tests.cli import command
from tests.wire import SECOND, START_NS

BUSY, CACHE = 6, 10
LONG = wire.tcp_session(script=[("s", bytes(8_000_000))])
SHORT = wire.udp_dialogue(start_ns=START_NS + 100 * SECOND)
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can look into."""
    found = Path(tempfile.mkdtemp(prefix="flowkeep-test-"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found)


def capture(folder: Path, packets: list[wire.Packet], name: str = "a.pcap") -> Path:
    path = folder / name
    path.write_bytes(wire.pcap(packets))
    return path


def memory(service: Service) -> int:
    """Bytes of RAM of a process (VmRSS)."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def data(service: Service, **asked: object) -> tuple[list[bytes], dict[str, int]]:
    """Packets of a reading, and its trailer."""
    with connected(service.socket) as sock:
        sock.sendall(request(ask="read", **asked))
        assert header(sock)["ok"] is True
        blocks, trailer = frames(everything(sock))
    return [record.data for record in wire.read(b"".join(blocks)).records], trailer


def test_readers_that_stop_reading_hold_up_nobody(folder: Path) -> None:
    with running(folder, "--read", capture(folder, wire.merged(LONG, SHORT))) as service:
        data(service)
        before = memory(service)
        stopped = []
        for _ in range(60):
            sock = connected(service.socket)
            sock.sendall(request(ask="read"))
            stopped.append(sock)
            header(sock)
        until(lambda: service.status()["clients"]["reading"] == 60)
        found, trailer = data(service, filter="udp")
        assert found == [packet.data for packet in SHORT]
        assert trailer["matched"] == len(SHORT)
        assert memory(service) - before < 30_000_000
        for sock in stopped[:-1]:
            sock.close()
        # The last one wakes up and still gets all of its moment.
        with stopped[-1] as late:
            blocks, trailer = frames(everything(late))
        assert len(wire.read(b"".join(blocks)).records) == trailer["matched"]
        assert trailer["matched"] + trailer["lost"] == len(LONG) + len(SHORT)
        until(lambda: service.status()["clients"]["reading"] == 0)


def test_a_hundred_readers_get_the_same(folder: Path) -> None:
    packets = [packet.data for packet in wire.merged(LONG[:2000], SHORT)]
    with running(folder, "--read", capture(folder, wire.merged(LONG[:2000], SHORT))) as service:
        found: list[list[bytes]] = []
        threads = [threading.Thread(target=lambda: found.append(data(service)[0])) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 100
        assert all(one == packets for one in found)


def test_more_readers_than_there_is_room_for_are_told(folder: Path) -> None:
    with running(folder, "--read", capture(folder, LONG)) as service:
        socks = []
        for _ in range(server.MAX_READERS):
            socks.append(connected(service.socket))
            socks[-1].sendall(request(ask="read", follow=True))
            assert header(socks[-1])["ok"] is True
        until(lambda: service.asked(ask="status")["status"]["clients"]["reading"] == server.MAX_READERS)
        refused = service.asked(ask="read")
        assert (refused["ok"], refused["kind"]) == (False, "busy")
        for sock in socks:
            sock.close()
        until(lambda: bool(service.asked(ask="read")["ok"]))


AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
try:
    sock.connect(sys.argv[1])
except OSError as error:
    sys.exit(f"refused: {error.strerror}")
try:
    sock.sendall(b'{"flowkeep_cache": 1, "ask": "read"}\\n')
except BrokenPipeError:
    pass  # it was refused before it asked
while data := sock.recv(65536):
    sys.stdout.buffer.write(data)
"""


def as_nobody(service: Service) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", AS_NOBODY, service.socket], capture_output=True, timeout=60)


@as_root
def test_another_user_is_not_let_in(folder: Path) -> None:
    with running(folder, "--read", capture(folder, SHORT)) as service:
        done = as_nobody(service)
        assert done.returncode == 1
        assert b"Permission denied" in done.stderr
        assert done.stdout == b""
        # Were the mode of the socket wrong, the service itself would look who is there.
        service.socket.chmod(0o666)
        done = as_nobody(service)
        said = json.loads(done.stdout)
        assert said["ok"] is False
        assert "65534" in said["error"]
        assert service.status()["clients"]["refused"] == 1


@as_root
def test_a_user_who_is_named_is_let_in_and_no_other(folder: Path) -> None:
    with running(folder, "--read", capture(folder, SHORT), "--allow", str(NOBODY)) as service:
        assert as_nobody(service).stdout.startswith(b'{"flowkeep_cache": 1, "ok": true')
    with running(folder, "--read", capture(folder, SHORT), "--allow", "4711") as service:
        assert json.loads(as_nobody(service).stdout)["ok"] is False


@as_root
def test_root_gives_its_rights_up(folder: Path) -> None:
    path = capture(folder, SHORT)
    with running(folder, "--read", path, "--user", "nobody") as service:
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        lines = dict(line.split(":\t", 1) for line in status.splitlines())
        assert set(lines["Uid"].split()) == set(lines["Gid"].split()) == {str(NOBODY)}
        assert {lines[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        assert lines["NoNewPrivs"] == "1"
        assert service.socket.stat().st_uid == NOBODY
        # Its own user may ask now, and root still may.
        assert as_nobody(service).stdout.startswith(b'{"flowkeep_cache": 1, "ok": true')
        assert len(data(service)[0]) == len(SHORT)


def test_after_a_kill_the_next_one_takes_over(folder: Path) -> None:
    path = capture(folder, SHORT)
    with running(folder, "--read", path) as service:
        service.stop(signal.SIGKILL)
        assert service.socket.exists()
    with running(folder, "--read", path) as service:
        assert len(data(service)[0]) == len(SHORT)


def test_a_second_service_leaves_the_first_alone(folder: Path) -> None:
    with running(folder, "--read", capture(folder, SHORT)) as service:
        done = command.run("cache", "run", "--socket", service.socket, "--read", folder / "a.pcap")
        assert done.returncode == BUSY
        assert "running there already" in command.said(done)
        assert len(data(service)[0]) == len(SHORT)


def test_a_clock_that_jumps_costs_no_packet(folder: Path) -> None:
    """Times of packets from 1970 to 2100, in no order."""
    start, day, end = START_NS, 86_400 * SECOND, 4_100_000_000 * SECOND
    times = [1000, SECOND, start, start + 1000, start - 400 * day, end, start + 2000]
    packets = [
        wire.Packet(time, wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(1000 + n, 53, b"x"))))
        for n, time in enumerate(times)
    ]
    with running(folder, "--read", capture(folder, packets)) as service:
        with connected(service.socket) as sock:
            sock.sendall(request(ask="read"))
            header(sock)
            blocks, trailer = frames(everything(sock))
        records = wire.read(b"".join(blocks)).records
        gone = sum(why["packets"] for why in service.status()["cache"]["let_go"].values())
        assert trailer["matched"] + gone == len(packets)
        assert [record.ts_ns for record in records] == sorted(record.ts_ns for record in records)
        assert {record.ts_ns for record in records} <= set(times)
        assert service.status()["cache"]["newest"] == max(times)


def test_garbage_on_the_socket_is_refused(folder: Path) -> None:
    noise = random.Random(1)
    with running(folder, "--read", capture(folder, SHORT)) as service:
        for text in (
            b"\n",
            b"GET / HTTP/1.1\r\n\r\n",
            wire.pcap(SHORT),
            b"{}\n",
            b"[]\n",
            noise.randbytes(5000) + b"\n",
        ):
            with connected(service.socket) as sock:
                sock.sendall(text)
                sock.shutdown(socket.SHUT_WR)
                answer = everything(sock)
                assert answer == b"" or json.loads(answer)["ok"] is False
        with connected(service.socket) as sock:
            sock.sendall(b'{"flowkeep_cache": 1')
        assert len(data(service)[0]) == len(SHORT)
        assert service.status()["clients"]["failed"] == 0


def test_a_request_of_100_mb_is_refused_and_not_kept(folder: Path) -> None:
    with running(folder, "--read", capture(folder, SHORT)) as service:
        before = memory(service)
        with connected(service.socket) as sock:
            try:
                for _ in range(100):
                    sock.sendall(bytes(1_000_000))
            except (BrokenPipeError, ConnectionResetError):
                pass
            else:
                pytest.fail("all of it was taken")
        assert memory(service) - before < 5_000_000
        assert len(data(service)[0]) == len(SHORT)


def test_clients_that_say_nothing_hold_up_nobody(folder: Path) -> None:
    with running(folder, "--read", capture(folder, SHORT)) as service:
        silent = [connected(service.socket) for _ in range(200)]
        for sock in silent[::2]:
            sock.sendall(b'{"flowkeep')
        assert len(data(service)[0]) == len(SHORT)
        for sock in silent:
            sock.close()
        until(lambda: service.status()["clients"]["connections"] >= 200)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, server.Service], Awaitable[None]]


def in_process(place: Path, talk: Talk, capture: Path | None = None) -> server.Service:
    """Runs a service and a conversation with it in one loop."""
    cache = _native.Cache(40 << 20, [(3600 * SECOND, -1)])
    if capture is not None:
        cache.replay(str(capture))
    said: list[str] = []

    async def run() -> server.Service:
        service = server.Service(cache, dict, say=said.append)
        faces = await server.serve(service.local, listen_unix(place))
        reader, writer = await asyncio.open_unix_connection(place)
        await asyncio.wait_for(talk(reader, writer, service), 30)
        writer.close()
        faces.close()
        await service.stop()
        return service

    service = asyncio.run(run())
    assert said == []
    return service


def test_a_request_that_comes_too_slowly_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.1)

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: server.Service
    ) -> None:
        writer.write(b'{"flowkeep_cache"')
        answer = json.loads(await reader.readline())
        assert answer["ok"] is False
        assert "not there within" in answer["error"]
        assert await reader.read() == b""

    assert in_process(tmp_path / "run" / "s", talk).counts["refused"] == 1


def test_flows_that_are_named_but_do_not_come_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.1)

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: server.Service
    ) -> None:
        writer.write(request(ask="read", flows=2) + bytes(15))
        assert json.loads(await reader.readline())["ok"] is False

    in_process(tmp_path / "run" / "s", talk)


def test_a_client_that_takes_nothing_for_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALL_SECONDS", 0.1)
    (tmp_path / "a.pcap").write_bytes(wire.pcap(LONG))

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: server.Service
    ) -> None:
        writer.transport.pause_reading()
        writer.write(request(ask="read"))
        while not service.counts["stalled"]:
            await asyncio.sleep(0.01)

    assert in_process(tmp_path / "run" / "s", talk, tmp_path / "a.pcap").counts["stalled"] == 1
