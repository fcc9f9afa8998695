"""Workers that die, files that one worker cannot read, a scheduler that starts again: the result is that of one machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import run, said, start, tree

from .data import conversation, spread
from .grid import Grid, until

pytest.importorskip("distributed")


def _in_place(folder: Path, report: Path, *more: str | Path) -> None:
    done = run("trim", "3000", folder, "--in-place", "--report", report, *more)
    assert done.returncode == 0, said(done)


def _report(path: Path, folder: Path) -> Any:
    return json.loads(path.read_text().replace(f"{folder}/", ""))


@pytest.mark.parametrize("when", ["BEFORE", "BEHIND"])
def test_a_worker_that_is_killed_in_the_middle(tmp_path: Path, when: str) -> None:
    paths = spread(conversation(), 4, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "many")
    _in_place(tmp_path / "one", tmp_path / "one.json")
    marker = tmp_path / "killed"
    hooks = {f"HOOK_KILL_{when}": paths[1].name, "HOOK_MARKER": str(marker)}
    with Grid(tmp_path, **hooks) as grid:
        address = grid.begin()
        grid.worker("a")
        grid.worker("b")
        grid.wait(2)
        _in_place(
            tmp_path / "many", tmp_path / "many.json", "--cluster", address, "--spool", tmp_path / "spool"
        )
        assert sum(process.poll() is not None for process in grid.processes) == 1
    assert marker.exists()
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
    assert _report(tmp_path / "many.json", tmp_path / "many") == _report(
        tmp_path / "one.json", tmp_path / "one"
    )
    assert not list((tmp_path / "spool").iterdir())


def test_a_file_that_one_worker_cannot_read(tmp_path: Path) -> None:
    spread(conversation(), 4, tmp_path / "b" / "in")
    shutil.copytree(tmp_path / "b", tmp_path / "a")
    for path in list((tmp_path / "a" / "in").iterdir())[:3]:
        path.unlink()
    # Each process sees another folder under this name.
    folder = Path("/proc/self/cwd/in")
    done = run("trim", "3000", folder, "-o", tmp_path / "one", cwd=tmp_path / "b")
    assert done.returncode == 0, said(done)
    with Grid(tmp_path) as grid:
        address = grid.begin()
        for name in "ab":
            grid.worker(name, cwd=tmp_path / name)
        grid.wait(2)
        there = ["--cluster", address, "--spool", tmp_path / "spool"]
        done = run("trim", "3000", folder, "-o", tmp_path / "many", *there, cwd=tmp_path / "b")
        assert done.returncode == 0, said(done)
        assert tree(tmp_path / "many") == tree(tmp_path / "one")
        # Nobody can read this one.
        for name in "ab":
            lost = tmp_path / name / "in" / "9.pcap"
            lost.write_bytes((tmp_path / "b" / "in" / "0-1.pcap").read_bytes()) if name == "b" else None
        (tmp_path / "c").mkdir()
        shutil.copytree(tmp_path / "b" / "in", tmp_path / "c" / "in")
        (tmp_path / "b" / "in" / "9.pcap").unlink()
        done = run("trim", "3000", folder, "-o", tmp_path / "some", *there, cwd=tmp_path / "c")
        assert done.returncode == 1
        assert "/proc/self/cwd/in/9.pcap: No such file" in said(done)
        assert tree(tmp_path / "some") == tree(tmp_path / "one")


def test_a_scheduler_that_starts_again(tmp_path: Path) -> None:
    paths = spread(conversation(), 4, tmp_path / "in")
    done = run("trim", "3000", tmp_path / "in", "-o", tmp_path / "one", "--ledger")
    assert done.returncode == 0, said(done)
    marker, log = tmp_path / "held", tmp_path / "log"
    order: list[str | Path] = ["trim", "3000", tmp_path / "in", "-o", tmp_path / "many", "--ledger"]
    with Grid(tmp_path, HOOK_HOLD=paths[2].name, HOOK_MARKER=str(marker), HOOK_LOG=str(log)) as grid:
        there: list[str | Path] = ["--cluster", grid.begin(), "--spool", tmp_path / "spool"]
        grid.worker("a")
        grid.worker("b")
        grid.wait(2)
        first = start(*order, *there)
        until(marker.exists, first)
        assert grid.scheduler is not None
        grid.scheduler.kill()
        _, err = first.communicate(timeout=60)
        assert first.returncode == 13, err.decode()
        assert b"the scheduler is lost" in err and b"Traceback" not in err
        assert sum(name.endswith(".summary") for name in set(log.read_text().split())) == 4
        log.unlink()
        for process in grid.processes:
            process.kill()
        assert grid.begin() == there[1]
        grid.worker("c")
        done = run(*order, *there)
        assert done.returncode == 0, said(done)
        assert not log.exists(), "what was done is done again"
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
    assert not list((tmp_path / "spool").iterdir())
