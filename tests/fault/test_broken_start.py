"""Captures that are broken before anything whole, and captures that lose bytes while they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import wire
from tests.cli import command
from tests.fault import captures


def broken(folder: Path) -> Path:
    """A pcapng capture whose first block says two lengths."""
    folder.mkdir(exist_ok=True)
    data = bytearray(wire.pcapng(captures.slices(1, 5)[0]))
    length = int.from_bytes(data[4:8], "little")
    data[length - 4 : length] = (length + 4).to_bytes(4, "little")
    path = folder / "broken.pcapng"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "how", [("--in-place",), ("--in-place", "--salvage"), ("--output", "out")], ids=" ".join
)
def test_a_capture_broken_before_its_first_whole_block_is_refused(
    how: tuple[str, ...], tmp_path: Path
) -> None:
    path = broken(tmp_path / "in")
    before = path.read_bytes()
    line = [os.fspath(tmp_path / part) if part == "out" else part for part in how]
    done = command.run("trim", "1kB", path, *line)
    assert done.returncode == 4
    assert b"broken at byte 0, before anything whole" in done.stderr
    assert path.read_bytes() == before
    found = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert found == ["broken.pcapng"]


def test_beside_others_it_is_named_and_the_others_are_trimmed(tmp_path: Path) -> None:
    path = broken(tmp_path / "in")
    (path.parent / "good.pcap").write_bytes(wire.pcap(captures.slices(1, 40)[0]))
    done = command.run("trim", "1kB", path.parent, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert b"broken.pcapng" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.pcap"]
