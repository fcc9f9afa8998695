"""Files and pipes as inputs: packets keep their times, and come as soon as they are whole."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flowkeep import _native

from .. import wire as w
from .net import cache, capturing, held, only, until

PACKETS = [
    w.Packet(w.START_NS + i * 1000, bytes(w.ether(w.ip("192.0.2.1", "192.0.2.2", w.udp(i + 1, 9, b"x" * i)))))
    for i in range(1000)
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", [w.pcap, w.pcapng])
def test_a_file_is_read_with_the_times_of_its_packets(tmp_path: Path, form: object, packed: bool) -> None:
    data = form(PACKETS)  # type: ignore[operator]
    path = tmp_path / "some.pcap"
    path.write_bytes(gzip.compress(data) if packed else data)
    store = cache()
    with capturing(store, interfaces=[]) as capture:
        capture.read(str(path))
        until(lambda: only(capture)["state"] == "done")
    records, names = held(store)
    assert [(r.data, r.ts_ns) for r in records] == [(p.data, p.ts_ns) for p in PACKETS]
    assert set(names) == {"some.pcap"}
    assert (only(capture)["name"], only(capture)["packets"], only(capture)["error"]) == (
        str(path),
        1000,
        None,
    )
    assert only(capture)["state"] == "done"


def test_packets_of_a_pipe_are_there_before_it_ends(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    store, data = cache(), w.pcap(PACKETS)
    with capturing(store, interfaces=[]) as capture:
        capture.read(str(pipe))
        with pipe.open("wb", buffering=0) as out:
            out.write(data[: 24 + 16 + len(PACKETS[0].data)])
            until(lambda: store.status()["received"]["packets"] == 1)
            out.write(data[24 + 16 + len(PACKETS[0].data) :])
        until(lambda: only(capture)["state"] == "done")
    assert len(held(store)[0]) == 1000


def test_standard_input(tmp_path: Path) -> None:
    code = """if True:
        import time
        from flowkeep import _native
        store = _native.Cache(64 << 20, [(10**18, -1)])
        capture = _native.Capture(store, interfaces=[])
        capture.read("-")
        capture.start()
        while capture.stats()[0]["state"] == "running" or capture.stats()[0]["state"] == "ready":
            time.sleep(0.01)
        print(capture.stats()[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", code], input=w.pcapng(PACKETS), capture_output=True, check=True
    )
    assert b"'state': 'done', 'packets': 1000" in done.stdout


def test_damage_is_told_with_its_place_and_what_is_before_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(w.pcap(PACKETS)[:-5])
    store = cache()
    with capturing(store, interfaces=[]) as capture:
        capture.read(str(path))
        capture.read(str(tmp_path / "missing"))
        until(lambda: {s["state"] for s in capture.stats()} == {"failed"})
    cut, missing = capture.stats()
    last = len(w.pcap(PACKETS)) - 16 - len(PACKETS[-1].data)
    assert cut["packets"] == 999 and cut["error"].startswith(f"byte {last}: ")
    assert "No such file" in missing["error"]


def test_a_pipe_that_says_nothing_is_left_when_it_is_stopped(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        with capturing(cache(), interfaces=[]) as capture:
            capture.read(str(pipe))
            until(lambda: only(capture)["state"] == "running")
        assert only(capture)["state"] == "stopped"
    finally:
        os.close(writer)


def test_a_capture_needs_no_interface_and_no_start() -> None:
    capture = _native.Capture(cache(), interfaces=[])
    assert capture.stats() == []
    capture.stop()
