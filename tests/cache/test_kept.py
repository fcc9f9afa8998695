"""What is kept from one run to the next, and what goes to disk."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import flowkeep as fk
import pytest

from tests import wire
from tests.cache.service import Service, connected, everything, frames, header, request, running, until
from tests.cli import command
from tests.wire import SECOND, START_NS

FIRST = wire.merged(wire.tcp_session(script=[("c", b"GET /"), ("s", bytes(90_000))]), wire.udp_dialogue())
SECOND_RUN = wire.udp_dialogue("10.0.0.9:40000", start_ns=START_NS + 500 * SECOND)


def capture(where: Path, packets: list[wire.Packet], name: str) -> Path:
    (where / name).write_bytes(wire.pcap(packets))
    return where / name


def packets(service: Service) -> list[bytes]:
    with connected(service.socket) as sock:
        sock.sendall(request(ask="read"))
        assert header(sock)["ok"] is True
        blocks, _ = frames(everything(sock))
    return [record.data for record in wire.read(b"".join(blocks)).records]


def test_the_next_start_goes_on_with_what_was_saved(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with running(tmp_path, "--read", capture(tmp_path, FIRST, "a.pcap"), "--save", kept) as service:
        assert service.stop() == 0
        assert "kept in" in service.said()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not [name for name in os.listdir(tmp_path) if "part" in name]
    for _ in range(2):
        with running(tmp_path, "--read", capture(tmp_path, SECOND_RUN, "b.pcap"), "--save", kept) as service:
            assert "went on with" in service.said()
            # Packets of two flows at the same moment may have changed places.
            assert sorted(packets(service)) == sorted(p.data for p in (*FIRST, *SECOND_RUN))
            assert packets(service)[-2:] == [p.data for p in SECOND_RUN]
            # After a kill the one before is still there, whole.
            service.stop(signal.SIGKILL)


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_what_cannot_be_gone_on_with_is_laid_aside(tmp_path: Path, damage: str) -> None:
    kept, path = tmp_path / "kept", capture(tmp_path, FIRST, "a.pcap")
    with running(tmp_path, "--read", path, "--save", kept) as service:
        service.stop()
    data = {"cut": kept.read_bytes()[:-70], "other": b"something else", "empty": b""}[damage]
    kept.write_bytes(data)
    with running(tmp_path, "--read", path, "--save", kept) as service:
        assert "begins empty" in service.said()
        assert packets(service) == [p.data for p in FIRST]
        assert (tmp_path / "kept.unreadable").read_bytes() == data
        service.stop()
    assert kept.exists()
    command.fit(service.said())


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    path = capture(tmp_path, FIRST, "a.pcap")
    done = command.run(
        "cache", "run", "--socket", tmp_path / "s", "--read", path, "--save", tmp_path / "no" / "kept"
    )
    assert done.returncode == 7
    assert "no folder" in command.said(done)
    assert not (tmp_path / "s").exists()


def test_what_leaves_the_memory_goes_to_disk(tmp_path: Path) -> None:
    """More flows than there is room for: each packet is in the memory, in a trimmed capture, or counted."""
    flows = [
        wire.udp_dialogue(
            f"10.{n // 62500}.{n // 250 % 250}.{n % 250 + 1}:40000", start_ns=START_NS + n * SECOND
        )
        for n in range(8000)
    ]
    spill = tmp_path / "spill"
    spill.mkdir()
    path = capture(tmp_path, wire.merged(*flows), "a.pcap")
    with running(
        tmp_path, "--read", path, "--memory", "1500kB", "--spill", spill, "--disk", "1GB"
    ) as service:
        until(lambda: service.status()["spill"]["packets"] > 0, lambda: str(service.status()))
        assert b"on disk" in command.run("cache", "status", "--socket", service.socket).stdout
        held = len(packets(service))
        status = service.status()
        cache = status["cache"]
        assert (
            cache["received"]["packets"]
            == 16_000
            == held + sum(g["packets"] for g in cache["let_go"].values())
        )
        service.stop()
    on_disk = sum(file["packets"] for file in fk.open(spill).info().files)
    assert on_disk > 0
    # A replay is faster than any disk: what it was too slow for is counted.
    assert on_disk + status["spill"]["lost"] == cache["let_go"]["old"]["packets"]
