"""The demo capture: the same bytes every time, well formed, and a bit of everything."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from flowkeep.demo.capture import write_demo

from tests import model, wire

SIZE = 8_000_000


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.pcapng"
    write_demo(path, SIZE)
    return path


def test_the_same_seed_gives_the_same_bytes(capture: Path, tmp_path: Path) -> None:
    for seed, same in [(2024, True), (1, False)]:
        write_demo(tmp_path / "again", SIZE, seed)
        assert ((tmp_path / "again").read_bytes() == capture.read_bytes()) is same


def test_size_is_about_what_was_asked_and_progress_gets_there(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_demo(tmp_path / "demo", 5_000_000, progress=lambda *call: calls.append(call))
    assert abs((tmp_path / "demo").stat().st_size - 5_000_000) < 500_000
    assert calls == sorted(calls)
    assert calls[-1] == (5_000_000, 5_000_000)


def test_there_is_something_of_everything(capture: Path) -> None:
    records = wire.read_pcapng(capture.read_bytes()).records
    times = [r.ts_ns for r in records]
    assert times == sorted(times)
    assert {r.iface for r in records} == {0, 1}
    rows = model.flows(records)
    assert {r["proto"] for r in rows} >= {1, 6, 17, 58}
    assert {r["tunnel"] for r in rows} == {(), ("vxlan",), ("gre",)}
    assert {r["vlan"] for r in rows} == {(), (20,), (100, 30)}
    assert {r["server_port"] for r in rows} >= {22, 25, 53, 80, 123, 443}
    assert {r["state"] for r in rows} >= {"closed", "reset", "rejected", "attempt", "two-way"}
    bytes_of = Counter({r["flow_id"]: r["client_bytes"] + r["server_bytes"] for r in rows})  # type: ignore[operator]
    biggest = sum(n for _, n in bytes_of.most_common(6))
    assert 0.7 < biggest / sum(bytes_of.values()) < 0.9


def test_tshark_finds_no_malformed_frame_and_no_wrong_checksum(capture: Path) -> None:
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")
    sums = " || ".join(f"{p}.checksum.status==0" for p in ("ip", "tcp", "udp", "icmp", "icmpv6"))
    command = [program, "-n", "-r", str(capture), "-Y", f"_ws.malformed || {sums}"]
    for name in ("ip", "tcp", "udp"):
        command += ["-o", f"{name}.check_checksum:TRUE"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
