"""From globs to what the files hold: nothing outside of the data set, and nothing read twice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep import _native
from flowkeep.retain import sizes as curves
from flowkeep.retain.archive import Survey, survey
from flowkeep.retain.inventory import Inventory, default_path
from flowkeep.retain.model import DataSet, Depth, FileState, Lock, Policy
from flowkeep.retain.plan import plan
from flowkeep.retain.walk import pattern, root, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.props import traffic
from tests.wire import SECOND, START_NS

DAY = 86_400_000_000_000
OLD = START_NS + DAY


@pytest.fixture
def nsm(tmp_path: Path) -> Path:
    """Two captures, one after the other, with a long flow that spans both; changed when they were captured."""
    folder = tmp_path / "nsm"
    folder.mkdir()
    long = wire.tcp_session(script=[("s", bytes(300_000))], step_ns=20_000_000)
    names = wire.udp_dialogue(start_ns=START_NS + SECOND)
    half = len(long) // 2
    for name, packets in (("b.pcap", wire.merged(long[:half], names)), ("a.pcapng", long[half:])):
        write = wire.pcapng if name.endswith("ng") else wire.pcap
        (folder / name).write_bytes(write(packets))
        os.utime(folder / name, ns=(START_NS, START_NS + 60 * SECOND))
    return folder


def data(folder: Path, **given: object) -> DataSet:
    return replace(DataSet("nsm", (f"{folder}/**/*.pcap*",)), **given)  # type: ignore[arg-type]


def found(folder: Path, **given: object) -> Survey:
    return survey(data(folder, **given), now=OLD)


def test_files_stand_in_order_of_their_first_packets(nsm: Path) -> None:
    files = found(nsm).files
    assert [Path(f.path).name for f in files] == ["b.pcap", "a.pcapng"]
    assert files[0].first_ts == START_NS and files[0].last_ts is not None
    assert files[0].last_ts < (files[1].first_ts or 0)


@pytest.mark.parametrize("cutoff", [100, 1000, 10_000, 100_000, 200_000, 300_000])
def test_the_estimate_for_files_read_is_what_trimming_leaves(nsm: Path, tmp_path: Path, cutoff: int) -> None:
    files = found(nsm).files
    report = fk.open(nsm).trim(str(cutoff), output=tmp_path / "out")
    for state, done in zip(files, report.files, strict=True):
        assert done.trim is not None and state.sizes is not None
        held, packets, _ = curves.left(state.sizes, cutoff)
        assert (held, packets) == (done.trim["bytes_kept"], done.trim["packets_kept"])
        estimate = curves.after_cut(state, cutoff)
        assert done.trim["out_bytes"] <= estimate <= done.trim["out_bytes"] * 1.01 + 500


def test_the_estimate_from_a_ledger_errs_on_the_large_side(nsm: Path, tmp_path: Path) -> None:
    fk.open(nsm).trim("200kB", output=tmp_path / "once", ledger=True)
    for path in (tmp_path / "once").iterdir():
        os.utime(path, ns=(START_NS, START_NS))
    files = found(tmp_path / "once").files
    for cutoff in (100, 1000, 10_000, 100_000):
        report = fk.open(tmp_path / "once").trim(str(cutoff), output=tmp_path / str(cutoff))
        for state, done in zip(files, report.files, strict=True):
            assert done.trim is not None and state.sizes is not None
            held, packets, _ = curves.left(state.sizes, cutoff)
            slack = 1600 * state.sizes.flows
            assert done.trim["bytes_kept"] <= held <= done.trim["bytes_kept"] + slack
            assert done.trim["packets_kept"] <= packets


@settings(max_examples=40, deadline=None)
@given(traffic.traffic(), st.sampled_from([150, 700, 2000]))
def test_curves_of_any_traffic(
    tmp_path_factory: pytest.TempPathFactory, packets: list[wire.Packet], cutoff: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "x.pcap").write_bytes(wire.pcap(packets))
    os.utime(folder / "x.pcap", ns=(START_NS, START_NS))
    (state,) = found(folder).files
    if state.problem is not None:
        return
    assert state.sizes is not None
    points = curves.points(state.sizes.curve)
    assert points == sorted(points) and all(p[0] <= state.sizes.held for p in points)
    out = tmp_path_factory.mktemp("out")
    done = fk.open(folder).trim(str(cutoff), output=out, ledger=True).files[0].trim
    assert done is not None
    held, kept, whole = curves.left(state.sizes, cutoff)
    assert (held, kept, state.sizes.flows - whole) == (
        done["bytes_kept"],
        done["packets_kept"],
        done["flows_cut"],
    )
    # And what the ledger says of the file that is left: all of it is there.
    ((metadata, why),) = _native.ledger_metadata([str(out / "x.pcap.ledger.arrow")])
    assert metadata is not None, why
    sizes, _ = curves.parse(metadata["curve"])
    assert (sizes.held, sizes.packets, sizes.flows) == (held, kept, done["flows"])
    assert all(left[0] <= sizes.held for left in curves.points(sizes.curve))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The captures that are opened to be read whole."""
    seen: list[str] = []

    class Counting:
        def __init__(self, **given: object) -> None:
            self.inner = _native.Scanner(**given)  # type: ignore[arg-type]

        def file(self, path: str, **given: object) -> object:
            seen.append(Path(path).name)
            return self.inner.file(path, **given)  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

    class Native:
        Scanner = Counting

        def __getattr__(self, name: str) -> object:
            return getattr(_native, name)

    monkeypatch.setattr("flowkeep.retain.archive._native", Native())
    yield seen


def test_a_file_with_a_ledger_is_not_read(nsm: Path, reads: list[str]) -> None:
    fk.open(nsm / "b.pcap").trim("10kB", in_place=True)
    os.utime(nsm / "b.pcap", ns=(START_NS, START_NS))
    files = found(nsm).files
    assert reads == ["a.pcapng"]
    assert files[0].stage.kind == "cut" and files[0].stage.cutoff == 10_000
    assert files[0].sizes is not None and files[0].sizes.original_held > 140_000


def test_a_file_is_read_once_and_again_when_it_changed(nsm: Path, tmp_path: Path, reads: list[str]) -> None:
    def look() -> list[FileState]:
        store = Inventory(tmp_path / "cache/inventory.sqlite")
        try:
            files = survey(data(nsm), now=OLD, inventory=store).files
        finally:
            store.close()
        return files

    first = look()
    assert reads == ["b.pcap", "a.pcapng"]
    assert look() == first and len(reads) == 2
    os.utime(nsm / "b.pcap", ns=(START_NS, START_NS + SECOND))
    assert replace(look()[0], mtime_ns=0) == replace(first[0], mtime_ns=0) and reads[2:] == ["b.pcap"]
    (nsm / "a.pcapng").unlink()
    assert [Path(f.path).name for f in look()] == ["b.pcap"] and len(reads) == 3


def test_a_broken_inventory_costs_time_and_nothing_else(nsm: Path, tmp_path: Path) -> None:
    place = tmp_path / "inventory.sqlite"
    place.write_bytes(b"no database at all, " * 100)
    store = Inventory(place)
    assert survey(data(nsm), now=OLD, inventory=store).files == found(nsm).files
    store.close()
    assert place.read_bytes().startswith(b"SQLite")
    folder = tmp_path / "file"
    folder.write_text("")
    store = Inventory(folder / "x" / "y.sqlite")
    result = survey(data(nsm), now=OLD, inventory=store)
    assert result.files == found(nsm).files and "cannot be kept" in result.warnings[0]


def test_nothing_is_read_without_scan(nsm: Path, reads: list[str]) -> None:
    files = survey(data(nsm), now=OLD, scan=False).files
    assert reads == [] and [f.sizes for f in files] == [None, None] and files[0].first_ts == START_NS


def test_a_ledger_of_another_file_is_told_and_not_used(nsm: Path, reads: list[str]) -> None:
    fk.open(nsm / "b.pcap").trim("10kB", in_place=True)
    os.utime(nsm / "b.pcap", ns=(START_NS, START_NS))
    os.rename(nsm / "b.pcap.ledger.arrow", nsm / "a.pcapng.ledger.arrow")
    result = found(nsm)
    assert sorted(reads) == ["a.pcapng", "b.pcap"]
    (warning,) = result.warnings
    assert "a.pcapng.ledger.arrow: the ledger is not used: it is for a file of" in warning


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_broken_ledger_is_told_and_not_used(nsm: Path, damage: str, reads: list[str]) -> None:
    fk.open(nsm / "b.pcap").trim("10kB", in_place=True)
    os.utime(nsm / "b.pcap", ns=(START_NS, START_NS))
    ledger = nsm / "b.pcap.ledger.arrow"
    raw = ledger.read_bytes()
    ledger.write_bytes(
        {"cut": raw[: len(raw) // 2], "garbage": bytes(len(raw) - 10) + raw[-10:], "empty": b""}[damage]
    )
    result = found(nsm)
    assert "b.pcap" in reads and len(result.warnings) == 1 and "the ledger is not used" in result.warnings[0]


def test_only_the_ledger_left(nsm: Path) -> None:
    fk.open(nsm / "b.pcap").trim("10kB", in_place=True)
    (nsm / "b.pcap").unlink()
    state = next(f for f in found(nsm).files if f.path.endswith("b.pcap"))
    assert state.stage.kind == "flows-only" and state.size == 0 and state.ledger_size > 1000
    assert state.first_ts == START_NS and state.last_ts is not None and state.problem is None


def test_what_is_no_capture_is_damaged_or_cannot_be_read(nsm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nsm / "text.pcap").write_text("no capture")
    (nsm / "empty.pcap").write_bytes(b"")
    (nsm / "half.pcap").write_bytes((nsm / "b.pcap").read_bytes()[:-7])
    for path in nsm.iterdir():
        os.utime(path, ns=(START_NS, START_NS))
    if os.geteuid():  # root may read everything
        (nsm / "closed.pcap").write_bytes(b"")
        (nsm / "closed.pcap").chmod(0)
    problems = {Path(f.path).name: f.problem for f in found(nsm).files if f.problem is not None}
    assert "no capture" in (problems["text.pcap"] or "") and problems["empty.pcap"] == "it is empty"
    assert "damaged at byte" in (problems["half.pcap"] or "")


def test_what_was_just_changed_or_is_open_elsewhere_grows(nsm: Path) -> None:
    now = time.time_ns()
    os.utime(nsm / "b.pcap", ns=(now, now - 5 * SECOND))
    files = {Path(f.path).name: f for f in survey(data(nsm, settle=60 * SECOND), now=now).files}
    assert files["b.pcap"].growing and files["b.pcap"].sizes is None and not files["a.pcapng"].growing
    os.utime(nsm / "b.pcap", ns=(now, now - 3600 * SECOND))
    with (nsm / "b.pcap").open("ab"):
        files = {Path(f.path).name: f for f in survey(data(nsm), now=now).files}
        assert files["b.pcap"].growing
    files = {Path(f.path).name: f for f in survey(data(nsm), now=now).files}
    assert not files["b.pcap"].growing and files["b.pcap"].sizes is not None


def test_links_are_not_followed(nsm: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o.pcap").write_bytes((nsm / "b.pcap").read_bytes())
    (nsm / "link.pcap").symlink_to(outside / "o.pcap")
    (nsm / "folder").symlink_to(outside)
    os.link(outside / "o.pcap", nsm / "hard.pcap")
    os.link(nsm / "b.pcap", nsm / "c.pcap")
    os.mkfifo(nsm / "pipe.pcap")
    files = {Path(f.path).name: f.problem for f in found(nsm).files}
    assert files["a.pcapng"] is None and files["b.pcap"] is None
    assert "symbolic link" in (files["link.pcap"] or "") and "2 names" in (files["hard.pcap"] or "")
    assert "another name" in (files["c.pcap"] or "") and "no regular file" in (files["pipe.pcap"] or "")
    assert "o.pcap" not in files


def test_hidden_files_ledgers_indexes_and_what_is_excluded_are_no_captures(nsm: Path) -> None:
    for name in (".b.pcap.flowkeep-part", "b.pcap.flowkeep-index", "keep/x.pcap", "b.pcap.flows.parquet"):
        (nsm / name).parent.mkdir(exist_ok=True)
        (nsm / name).write_bytes(b"x")
    files = found(nsm, exclude=(f"{nsm}/keep/*",)).files
    assert sorted(Path(f.path).name for f in files) == ["a.pcapng", "b.pcap"]


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("/n/*.pcap", ["/n/a.pcap", "/n/.pcap"], ["/n/x/a.pcap", "/n/a.pcapng"]),
        ("/n/**/*.pcap", ["/n/a.pcap", "/n/x/y/a.pcap"], ["/m/a.pcap"]),
        ("/n/snort.log.??*", ["/n/snort.log.12", "/n/snort.log.123"], ["/n/snort.log.1"]),
        ("/n/[!a]*", ["/n/b1"], ["/n/a1"]),
        ("/n/[a-c].x+y", ["/n/b.x+y"], ["/n/d.x+y", "/n/bxx+y"]),
        ("/n/[?].pcap", ["/n/?.pcap"], ["/n/a.pcap"]),
        ("/n/**", ["/n/a", "/n/a/b"], ["/m/a"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    matches = pattern(glob).fullmatch
    assert [path for path in yes + no if matches(path)] == yes
    assert root(glob) == "/n"


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    assert "the folder cannot be read: No such file" in walk([f"{tmp_path}/none/*.pcap"]).warnings[0]


def test_classes_and_locks_are_estimated_from_captures_and_from_ledgers(nsm: Path) -> None:
    depths = (Depth(1000, select="tcp"), Depth(None, service="dns"))
    locks = (Lock(hosts=("10.0.0.0/8",)),)
    plain = found(nsm).files
    for state in found(nsm, depths=depths).files:
        assert state.sizes is not None and len(state.sizes.classes) == 3
        assert curves.left(state.sizes, 10_000, depths)[0] < 3000
    hosts = {ip for f in fk.open(nsm).flows().to_dicts() for ip in (f["client_ip"], f["server_ip"])}
    locks = (Lock(hosts=tuple(hosts)),)
    for state, bare in zip(found(nsm, locks=locks).files, plain, strict=True):
        assert state.sizes is not None and bare.sizes is not None
        assert curves.left(state.sizes, 100)[0] == bare.sizes.held
    fk.open(nsm).trim("50kB", in_place=True)
    for path in nsm.glob("*.pcap*"):
        os.utime(path, ns=(START_NS, START_NS))
    for state in found(nsm, depths=depths[:1]).files:
        assert state.sizes is not None and len(state.sizes.classes) == 2 and state.stage.cutoff == 50_000
        assert curves.left(state.sizes, 10_000, depths[:1])[0] < 3000


def test_the_inventory_stands_where_the_policy_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy("p.toml", "", (), inventory="/x/y.sqlite")
    assert default_path(policy) == Path("/x/y.sqlite")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path(replace(policy, inventory=None)).parent == tmp_path / "flowkeep"


def test_a_real_archive_planned_after_it_was_trimmed_is_left_as_it_is(nsm: Path) -> None:
    from flowkeep.retain.model import Cut, Keep, Tier

    dataset = data(nsm, tiers=(Tier(3 * DAY, 10_000),))
    now = START_NS + 10 * DAY
    made = plan(dataset, survey(dataset, now=now).files, now)
    assert [d.action for d in made.decisions] == [Cut(10_000)] * 2
    fk.open(nsm).trim("10kB", in_place=True)
    again = plan(dataset, survey(dataset, now=now).files, now)
    assert [d.action for d in again.decisions] == [Keep()] * 2
    assert again.bytes_before <= made.bytes_after
