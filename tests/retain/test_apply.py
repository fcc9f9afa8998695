"""A policy is carried out: each file at its tier, by true totals, once, and the journal tells."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.errors import BusyError, DamagedError
from flowkeep.ops.retain_apply import apply_policy, verify
from flowkeep.retain.journal import Journal

from tests import wire
from tests.cli import command
from tests.fault import captures
from tests.fault.captures import LEDGER
from tests.retain import archive
from tests.retain.archive import at, write_day, write_policy

CUTS = ((3, 20_000, "cut"), (6, 5_000, "cut"), (30, 1_000, "headers"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n in range(4):
        write_day(tmp_path, n)
    write_policy(tmp_path)
    return tmp_path


def actions(report: object) -> list[tuple[str, str]]:
    return [
        (Path(o.decision.file.path).name, o.decision.action.name)
        for done in report.applied  # type: ignore[attr-defined]
        for o in done.outcomes
        if o.state == "done"
    ]


def test_each_file_goes_down_its_ladder_and_the_second_run_does_nothing(folder: Path) -> None:
    shutil.copytree(folder / "nsm", folder / "pristine")
    true = fk.open(folder / "pristine").flows().to_dicts()
    for now in range(3, 34):
        report = apply_policy(folder / "policy.toml", now=at(now))
        assert report.clean, [o.why for d in report.applied for o in d.outcomes if o.why]
        expected = [
            (f"{now - after:03}.pcap", "cut") for after, _, _ in reversed(CUTS) if 0 <= now - after < 4
        ]
        assert sorted(actions(report)) == sorted(expected), now
        assert actions(apply_policy(folder / "policy.toml", now=at(now))) == []
        assert fk.open(folder / "nsm").flows().to_dicts() == true
        assert verify(folder / "policy.toml").clean
    assert [r["kind"] for r in archive.journal(folder)] == ["intent", "done"] * 12
    # The same in one go gives the same: each file from the right place of flows that span all of them.
    for policy in (fk.CutPolicy(20_000), fk.CutPolicy(5_000), fk.CutPolicy(1_000, rest="headers")):
        fk.open(folder / "pristine").trim(policy, in_place=True)
    for name in ("000.pcap", "001.pcap", "002.pcap", "003.pcap"):
        assert (folder / "nsm" / name).read_bytes() == (folder / "pristine" / name).read_bytes()
    digests = {}
    for record in archive.journal(folder):
        if record["kind"] == "done":
            assert digests.get(record["path"]) in (None, record["digest_before"]), (
                "one digest leads to the next"
            )
            digests[record["path"]] = record["digest_after"]


def test_the_last_rungs_keep_the_flow_table_and_then_nothing(folder: Path) -> None:
    apply_policy(folder / "policy.toml", now=at(40))
    true = captures.rows((folder / "nsm" / ("000.pcap" + LEDGER)).read_bytes())
    report = apply_policy(folder / "policy.toml", now=at(60))
    assert actions(report) == [("000.pcap", "flows-only")]
    assert not (folder / "nsm" / "000.pcap").exists()
    rows = captures.rows((folder / "nsm" / ("000.pcap" + LEDGER)).read_bytes())
    same = ("client_bytes", "server_bytes", "client_packets", "first_ts", "last_ts", "client_ip")
    assert [[r[k] for k in same] for r in rows] == [[r[k] for k in same] for r in true]
    assert all(r["kept_client_bytes"] == r["kept_server_bytes"] == 0 for r in rows)
    assert verify(folder / "policy.toml").clean
    report = apply_policy(folder / "policy.toml", now=at(90))
    assert ("000.pcap", "delete") in actions(report)
    assert not any(p.name.startswith("000.") for p in (folder / "nsm").iterdir())
    assert verify(folder / "policy.toml").clean


def test_locked_flows_stay_whole_while_all_around_them_goes(folder: Path) -> None:
    log = folder / "eve.json"
    alert = {
        "event_type": "alert", "src_ip": "10.0.0.2", "src_port": 443, "dest_ip": "10.1.0.0", "dest_port": 40000,
        "proto": "TCP",
    }  # fmt: skip
    log.write_text(json.dumps(alert | {"event_type": "flow", "src_ip": "10.0.0.53"}) + "\n")
    write_policy(folder, more=f'[[dataset.nsm.lock]]\nlog = "{log}"\nkind = "eve"\nreason = "alerts"')
    before = wire.read((folder / "nsm" / "000.pcap").read_bytes()).records
    locked = [r for r in before if bytes([10, 1, 0, 0]) in r.data and b"\x9c\x40" in r.data]
    apply_policy(folder / "policy.toml", now=at(3))
    with log.open("a") as file:
        file.write(json.dumps(alert) + "\n")
    # What was cut before it was named is gone; a file that was whole keeps the flow.
    second = write_day(folder, 0)
    (second.with_name(second.name + LEDGER)).unlink()
    for now in (3, 6, 30, 60, 90, 400):
        apply_policy(folder / "policy.toml", now=at(now))
        records = wire.read((folder / "nsm" / "000.pcap").read_bytes()).records
        assert [r for r in records if r in locked] == locked, now
        log.write_text("")  # rotated: what was named stays locked
    rows = captures.rows((folder / "nsm" / ("000.pcap" + LEDGER)).read_bytes())
    assert {r["allowed_by"] for r in rows} == {None, "lock: alerts"}
    assert not (folder / "nsm" / "003.pcap").exists()
    assert verify(folder / "policy.toml").clean


def test_analyses_are_written_before_the_first_cut_and_go_with_the_file(folder: Path) -> None:
    import polars as pl

    write_policy(folder, more='keep = ["flows", "streams:sha256", "services"]')
    true = fk.open(folder / "nsm" / "000.pcap").flows().to_dicts()
    apply_policy(folder / "policy.toml", now=at(3))
    flows = pl.read_parquet(folder / "nsm" / "000.pcap.flows.parquet")
    assert flows["server_bytes"].to_list() == [row["server_bytes"] for row in true]
    assert "service" in flows.columns
    streams = pl.read_parquet(folder / "nsm" / "000.pcap.streams.parquet")
    assert streams.filter(pl.col("from") == "server")["bytes"].sum() == 60 * 1400
    assert len(pl.read_parquet(folder / "nsm" / "000.pcap.services.parquet"))
    assert not (folder / "nsm" / "001.pcap.flows.parquet").exists()
    apply_policy(folder / "policy.toml", now=at(90))
    assert not any(p.name.startswith("000.") for p in (folder / "nsm").iterdir())


def test_zstd_is_readable_by_all_and_the_packets_are_the_same(folder: Path) -> None:
    text = archive.POLICY.replace('cutoff = "20kB"', 'compress = "zstd"')
    write_policy(folder, text=text)
    before = wire.read((folder / "nsm" / "000.pcap").read_bytes()).records
    report = apply_policy(folder / "policy.toml", now=at(3))
    assert actions(report) == [("000.pcap", "compress")] and report.clean
    data = (folder / "nsm" / "000.pcap").read_bytes()
    assert data[:4] == b"\x28\xb5\x2f\xfd" and data[-4:] == b"\xb1\xea\x92\x8f"
    import zstandard

    plain = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data)
    assert wire.read(plain).records == before
    assert actions(apply_policy(folder / "policy.toml", now=at(6)))[0] == ("000.pcap", "cut")
    assert (folder / "nsm" / "000.pcap").read_bytes()[:4] == b"\x28\xb5\x2f\xfd", "compressed it stays"
    assert verify(folder / "policy.toml").clean


def test_one_process_at_a_time(folder: Path) -> None:
    with Journal(folder / "journal.jsonl"):
        with pytest.raises(BusyError, match="one works on an archive at a time"):
            apply_policy(folder / "policy.toml", now=at(3))
        done = command.run("retain", "watch", folder / "policy.toml", "--rounds", "1")
        assert done.returncode == BusyError.exit_status and b"another flowkeep retain" in done.stderr
    assert captures.LEDGER not in "".join(os.listdir(folder / "nsm"))


def test_a_journal_that_was_changed_is_told(folder: Path) -> None:
    apply_policy(folder / "policy.toml", now=at(6))
    place = folder / "journal.jsonl"
    lines = place.read_bytes().splitlines(keepends=True)
    for changed, why in (
        ([lines[0].replace(b"000.pcap", b"009.pcap"), *lines[1:]], "was changed"),
        ([*lines[:1], *lines[2:]], "does not follow"),
        ([lines[1], lines[0], *lines[2:]], "does not follow"),
    ):
        place.write_bytes(b"".join(changed))
        report = verify(folder / "policy.toml")
        assert not report.clean and report.broken is not None and why in report.broken
    place.write_bytes(b"".join(lines[:-1]) + lines[-1].replace(b"done", b"d0ne"))
    with pytest.raises(DamagedError, match="were changed"):
        apply_policy(folder / "policy.toml", now=at(7))
    place.write_bytes(b"".join(lines))
    assert verify(folder / "policy.toml").clean
    (folder / "nsm" / "000.pcap").write_bytes(b"")
    report = verify(folder / "policy.toml")
    assert [f.state for f in report.files if f.path.endswith("000.pcap")] == ["changed"]
    (folder / "nsm" / "000.pcap").unlink()
    report = verify(folder / "policy.toml")
    assert [f.state for f in report.files if f.path.endswith("000.pcap")] == ["missing"]


def test_a_last_line_without_its_end_is_no_record(folder: Path) -> None:
    apply_policy(folder / "policy.toml", now=at(3))
    place = folder / "journal.jsonl"
    whole = place.read_bytes()
    for length in (1, 50, len(whole.splitlines()[-1])):
        place.write_bytes(whole + whole.splitlines()[-1][:length])
        with Journal(place) as journal:
            journal.append("note", why="went on")
        assert verify(folder / "policy.toml").broken is None
        assert json.loads(place.read_bytes().splitlines()[-1])["n"] == 2
    place.write_bytes(b'{"half')
    with Journal(place) as journal:
        assert journal.append("note")["n"] == 0


def test_the_command_line_says_what_was_done(folder: Path) -> None:
    done = command.run("retain", "apply", folder / "policy.toml", "--now", "2023-11-18")
    assert done.returncode == 0, done.stderr.decode()
    assert b"000.pcap" in done.stdout and b"1 done, 3 kept" in done.stdout
    done = command.run("retain", "verify", folder / "policy.toml")
    assert done.returncode == 0 and b"2 records, chain whole" in done.stdout and b"1 fits" in done.stdout
    done = command.run("retain", "apply", folder / "policy.toml", "--now", "2023-11-21", "--json")
    [dataset] = json.loads(done.stdout)["datasets"]
    assert [f["outcome"] for f in dataset["files"]] == ["done", "done", "done", "done"]
    assert dataset["freed"] > 0 and dataset["files"][0]["action"] == {
        "name": "cut",
        "cutoff": 5000,
        "rest": "cut",
    }
