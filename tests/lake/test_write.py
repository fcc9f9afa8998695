"""What is in a lake, who reads it, and what is left when writing fails."""

from __future__ import annotations

import os
from pathlib import Path

import flowkeep as fk
import polars as pl
import pytest
from flowkeep.errors import UsageError
from flowkeep.lake import write as lake_write
from flowkeep.lake.layout import schema
from flowkeep.ops.find import Question, find_flows
from flowkeep.ops.lake import describe_lake

from tests import wire
from tests.cli import command
from tests.fault.steps import killed_at
from tests.fault.test_full_disk import limited, refused

from .made import FIRST, HOUR, LOADED, STEPS, day, lake


def rows(where: Path) -> pl.DataFrame:
    return pl.read_parquet(where / "flows").sort("flow_id")


def test_rows_are_those_of_the_list_of_flows(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    report = lake(paths, tmp_path / "lake")
    command.run("flows", tmp_path / "in", "-o", tmp_path / "one.parquet")
    one, found = pl.read_parquet(tmp_path / "one.parquet"), rows(tmp_path / "lake")
    assert found.select(one.columns).equals(one)
    assert set(found.columns) == {*schema(), "date", "hour"}
    assert report.flows == len(one) and report.captures == 4 and report.files == 4
    begun = found.select(h=pl.col("first_ts").dt.hour().cast(pl.Int64), d=pl.col("first_ts").dt.date())
    assert begun["h"].equals(found["hour"], check_names=False)
    assert begun["d"].equals(found["date"], check_names=False)


def test_identified_flows_keep_what_was_identified(tmp_path: Path) -> None:
    paths = day(tmp_path / "in", 2)
    done = command.run("flows", *paths, "--identify", "--details", "-o", f"{tmp_path}/lake/")
    assert done.returncode == 0, command.said(done)
    whole = fk.open(tmp_path / "in").flows(identify=True, details=True).to_polars()
    assert rows(tmp_path / "lake").select(whole.columns).equals(whole)


def test_every_capture_of_a_flow_is_named(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths, tmp_path / "lake")
    table = pl.read_parquet(tmp_path / "lake/captures/*.parquet").sort("number")
    assert table["path"].to_list() == [str(path) for path in paths]
    ids = table["capture"].to_list()
    (long,) = rows(tmp_path / "lake").filter(pl.col("client_port") == 5555).to_dicts()
    assert [part["capture"] for part in long["captures"]] == ids
    assert sum(part["client_packets"] for part in long["captures"]) == long["client_packets"]
    assert (
        sum(part["packets_left"] for part in long["captures"])
        == long["client_packets"] + long["server_packets"]
    )


def test_duckdb_reads_it(tmp_path: Path) -> None:
    try:
        import duckdb
    except ImportError:
        print("DuckDB is not installed")
        pytest.skip("DuckDB is not installed")
    lake(day(tmp_path / "in"), tmp_path / "lake")
    found = duckdb.sql(
        f"""SELECT f.flow_id, epoch_ns(f.first_ts), f.client_bytes, count(*), min(c.path)
        FROM (SELECT *, unnest(captures) AS part
              FROM read_parquet('{tmp_path}/lake/flows/*/*/*.parquet', hive_partitioning = true)
              WHERE CAST(hour AS INTEGER) >= 0) f
        JOIN '{tmp_path}/lake/captures/*.parquet' c ON c.capture = f.part.capture AND c.dataset = f.dataset
        GROUP BY ALL ORDER BY f.flow_id"""
    ).fetchall()
    whole = fk.open(tmp_path / "in").flows().to_dicts()
    assert [row[:3] for row in found] == [(r["flow_id"], r["first_ts"], r["client_bytes"]) for r in whole]
    assert sorted(row[3] for row in found) == [1] * 8 + [4]


def test_more_flows_than_are_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = day(tmp_path / "in")
    lake(paths, tmp_path / "one")
    monkeypatch.setattr(lake_write, "CHUNK", 2)
    report = lake(paths, tmp_path / "many")
    assert report.files > 4
    assert rows(tmp_path / "many").equals(rows(tmp_path / "one"))


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    first = lake(paths, tmp_path / "lake")
    before = command.tree(tmp_path / "lake")
    again = lake(paths, tmp_path / "lake")
    assert again.there and again.dataset == first.dataset
    (tmp_path / "moved").mkdir()
    moved = [path.rename(tmp_path / "moved" / path.name) for path in paths]
    assert lake(moved, tmp_path / "lake").there
    assert command.tree(tmp_path / "lake") == before


def test_no_flow_is_there_twice(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths[:2], tmp_path / "lake")
    before = command.tree(tmp_path / "lake")
    with pytest.raises(UsageError, match=r"01\.pcap is in the lake .* already"):
        lake(paths[1:], tmp_path / "lake")
    (tmp_path / "copy.pcap").write_bytes(paths[3].read_bytes())
    with pytest.raises(UsageError, match="is a copy of"):
        lake([paths[3], tmp_path / "copy.pcap"], tmp_path / "lake")
    assert command.tree(tmp_path / "lake") == before
    lake(paths[2:], tmp_path / "lake")
    assert describe_lake(tmp_path / "lake").datasets == 2


def test_captures_without_packets(tmp_path: Path) -> None:
    empty = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    for path in empty:
        path.write_bytes(wire.pcap([]))
    assert lake(empty, tmp_path / "lake").flows == 0
    assert len(find_flows(tmp_path / "lake", Question())) == 0
    assert describe_lake(tmp_path / "lake").captures == 2


@pytest.mark.parametrize(
    "option", ["--sort=bytes", "--limit=3", "--where=bytes>1", "--network=10.0.0.0/8", "--cluster=local:1"]
)
def test_a_lake_holds_all_flows(tmp_path: Path, option: str) -> None:
    day(tmp_path / "in", 1)
    done = command.run("flows", tmp_path / "in", option, "-o", f"{tmp_path}/lake/")
    assert done.returncode == 2
    assert "does not go with a lake" in command.said(done)
    assert not (tmp_path / "lake").exists()


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    paths = day(tmp_path / "in", 1)
    with pytest.raises(UsageError, match="a folder with other files"):
        lake(paths, tmp_path / "in")
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"00.pcap"}


def test_full_disk(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths[:1], tmp_path / "lake")
    before = command.tree(tmp_path / "lake")
    done = limited(4096, "flows", *paths[1:], "-o", f"{tmp_path}/lake/")
    refused(done, tmp_path / "lake")
    assert command.tree(tmp_path / "lake") == before


def test_killed_at_every_step_that_changes_names(tmp_path: Path) -> None:
    paths = day(tmp_path / "in", 3)
    lake(paths[:1], tmp_path / "lake")
    old = len(find_flows(tmp_path / "lake", Question()))
    step = 0
    while killed_at(step, STEPS, LOADED, "flows", *paths[1:], "-o", f"{tmp_path}/lake/"):
        # Readable, and for whoever asks the data set is there as a whole or not at all.
        pl.read_parquet(tmp_path / "lake/flows")
        assert len(find_flows(tmp_path / "lake", Question())) in (old, old + 5)
        step += 1
    assert step >= 6
    assert len(rows(tmp_path / "lake")) == old + 5
    assert os.listdir(tmp_path / "lake/.flowkeep") == ["lock"]


def test_times_at_the_border_of_an_hour(tmp_path: Path) -> None:
    packets = wire.udp_dialogue(start_ns=FIRST + HOUR - 1, script=[("c", b"x"), ("s", b"y")], step_ns=1)
    (tmp_path / "a.pcap").write_bytes(wire.pcap(packets, ns=True))
    lake([tmp_path / "a.pcap"], tmp_path / "lake")
    (row,) = rows(tmp_path / "lake").to_dicts()
    assert (row["hour"], packets[-1].ts_ns) == (FIRST // HOUR % 24, FIRST + HOUR)
    for at, found in ((FIRST + HOUR - 2, 0), (FIRST + HOUR - 1, 1), (FIRST + HOUR, 1), (FIRST + HOUR + 1, 0)):
        assert len(find_flows(tmp_path / "lake", Question(since_ns=at, until_ns=at))) == found
