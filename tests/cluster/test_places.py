"""Sensors with disks of their own: each file is worked on where it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import run, said, tree

from .data import conversation, spread
from .grid import Grid

pytest.importorskip("distributed")


def test_captures_on_two_sensors(tmp_path: Path) -> None:
    paths = spread(conversation(), 4, tmp_path / "all")
    shutil.copytree(tmp_path / "all", tmp_path / "plain")
    for n, path in enumerate(paths):
        own = tmp_path / "ab"[n % 2] / "in"
        own.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, own / path.name)
    (tmp_path / "b" / "in" / "note.txt").write_text("no capture")
    done = run("trim", "3000", tmp_path / "all", "--in-place")
    assert done.returncode == 0, said(done)
    # Each worker stands in a folder of its own, and sees that one under this name.
    folder = Path("/proc/self/cwd/in")
    with Grid(tmp_path) as grid:
        there = ["--cluster", grid.begin(), "--spool", tmp_path / "spool", "--locality"]
        for name in "ab":
            grid.worker(name, cwd=tmp_path / name)
        grid.wait(2)
        one = run("flows", tmp_path / "plain", "--format", "csv")
        many = run("flows", folder, "--format", "csv", *there, cwd=tmp_path)
        assert "note.txt" in said(many)
        assert many.stdout == one.stdout and len(one.stdout) > 1000
        order: list[str | Path] = ["--where", "server_port = 443", "-o"]
        run("extract", tmp_path / "plain", *order, tmp_path / "one.pcap")
        done = run("extract", folder, *order, tmp_path / "many.pcap", *there, cwd=tmp_path)
        assert done.returncode == 1, said(done)
        assert (tmp_path / "many.pcap").exists(), said(done)
        assert (tmp_path / "many.pcap").read_bytes() == (tmp_path / "one.pcap").read_bytes()
        done = run("trim", "3000", folder, "--in-place", *there, cwd=tmp_path)
        assert done.returncode == 1, said(done)
        assert "note.txt" in said(done)
    found = tree(tmp_path / "a" / "in") | tree(tmp_path / "b" / "in")
    found.pop("note.txt")
    assert found == tree(tmp_path / "all")
    assert set(tree(tmp_path / "a" / "in")) == {
        name for path in paths[::2] for name in (path.name, f"{path.name}.ledger.arrow")
    }
