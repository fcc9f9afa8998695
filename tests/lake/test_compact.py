"""Compacting changes files, never flows; whoever reads meanwhile sees each flow once."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest
from flowkeep import _native
from flowkeep.errors import OutputError
from flowkeep.lake.compact import ORDER
from flowkeep.ops.find import Question, find_flows
from flowkeep.ops.lake import compact_lake, write_lake
from flowkeep.paths import find

from tests import wire
from tests.fault.steps import killed_at
from tests.wire import SECOND

from .made import FIRST, LOADED, STEPS, day, lake


def many(folder: Path, where: Path, count: int = 6) -> list[tuple[object, ...]]:
    """So many data sets of one hour; gives their rows."""
    folder.mkdir()
    for n in range(count):
        path = folder / f"{n}.pcap"
        path.write_bytes(wire.pcap(wire.udp_dialogue(f"10.0.{9 - n}.1:{n + 1}", start_ns=FIRST + n * SECOND)))
        write_lake(find([path]), where)
    return all_rows(where)


def all_rows(where: Path) -> list[tuple[object, ...]]:
    frame = pl.read_parquet(where / "flows").drop("captures")
    return sorted(frame.rows(), key=repr)


def test_small_files_become_one_sorted_one(tmp_path: Path) -> None:
    before = many(tmp_path / "in", tmp_path / "lake")
    report = compact_lake(tmp_path / "lake")
    assert (report.hours, report.files_before, report.files_after, report.dropped) == (1, 6, 1, 0)
    assert all_rows(tmp_path / "lake") == before
    (file,) = (tmp_path / "lake/flows").rglob("*.parquet")
    frame = pl.read_parquet(file)
    assert frame.equals(frame.sort(*ORDER))
    assert compact_lake(tmp_path / "lake").hours == 0


def test_files_of_the_size_wanted_stay(tmp_path: Path) -> None:
    before = many(tmp_path / "in", tmp_path / "lake")
    sizes = [path.stat().st_size for path in (tmp_path / "lake/flows").rglob("*.parquet")]
    assert compact_lake(tmp_path / "lake", target=min(sizes)).hours == 0
    report = compact_lake(tmp_path / "lake", target=2 * max(sizes) + 1)
    assert report.files_after == 3
    assert all_rows(tmp_path / "lake") == before


def test_flows_of_a_data_set_that_never_became_whole_go(tmp_path: Path) -> None:
    many(tmp_path / "in", tmp_path / "lake", 2)
    lost = sorted((tmp_path / "lake/captures").iterdir())[0]
    lost.unlink()
    assert len(find_flows(tmp_path / "lake", Question())) == 1
    assert compact_lake(tmp_path / "lake").dropped == 1
    assert len(all_rows(tmp_path / "lake")) == 1


def test_killed_at_every_step(tmp_path: Path) -> None:
    before = many(tmp_path / "in", tmp_path / "lake", 3)
    step = 0
    while killed_at(step, STEPS, LOADED, "lake", "compact", tmp_path / "lake", "--quiet"):
        assert all_rows(tmp_path / "lake") == before
        step += 1
    assert step >= 2
    assert all_rows(tmp_path / "lake") == before
    assert len(list((tmp_path / "lake/flows").rglob("*.parquet"))) == 1


def test_read_meanwhile(tmp_path: Path) -> None:
    where = tmp_path / "lake"
    many(tmp_path / "in", where, 8)
    wrong: list[int] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            found = len(find_flows(where, Question()))
            if found != 8:
                wrong.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for size in (12_000, 30_000, 60_000, 1 << 30):
            compact_lake(where, target=size)
    finally:
        over.set()
        reader.join()
    assert wrong == []


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    _native.exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "a/b").exists() and (tmp_path / "b/a").exists()
    with pytest.raises(FileNotFoundError):
        _native.exchange(str(tmp_path / "a"), str(tmp_path / "c"))


def test_where_folders_cannot_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = many(tmp_path / "in", tmp_path / "lake", 2)

    def cannot(one: str, other: str) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(_native, "exchange", cannot)
    with pytest.raises(OutputError, match="on a local file system"):
        compact_lake(tmp_path / "lake")
    assert all_rows(tmp_path / "lake") == before


def test_found_again(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths[:2], tmp_path / "lake")
    lake(paths[2:], tmp_path / "lake")
    before = find_flows(tmp_path / "lake", Question()).to_polars()
    assert compact_lake(tmp_path / "lake").hours == 0  # nothing to join
    assert find_flows(tmp_path / "lake", Question()).to_polars().equals(before)
