"""What is found is what a plain look at all flows finds, and only the captures that hold it are opened."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from pathlib import Path
from typing import Any

import flowkeep as fk
import polars as pl
import pytest
from flowkeep.errors import LakeError, UsageError
from flowkeep.ops.extract import ExtractPlan, extract
from flowkeep.ops.find import Question, find_flows, find_packets
from flowkeep.ops.index import index
from flowkeep.ops.lake import compact_lake
from flowkeep.paths import find
from flowkeep.select.query import FlowQuery
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.cli import command
from tests.props.traffic import files, traffic
from tests.wire import SECOND, START_NS, Packet

from .made import FIRST, HOUR, day, lake
from .test_parts import fragment

NETWORKS = [
    "10.0.0.1",
    "10.0.0.0/31",
    "10.0.0.0/8",
    "0.0.0.0/5",
    "::/0",
    "2001:db8::1",
    "2001:db8::/127",
    "192.168.0.0/16",
]


def plain(rows: list[dict[str, Any]], q: Question) -> list[dict[str, Any]]:
    """Every flow looked at."""

    def inside(row: dict[str, Any], text: str) -> bool:
        network = ipaddress.ip_network(text)
        ends = [ipaddress.ip_address(row[name]) for name in ("client_ip", "server_ip")]
        return any(end.version == network.version and end in network for end in ends)

    def meets(row: dict[str, Any]) -> bool:
        return (
            (q.since_ns is None or row["last_ts"] >= q.since_ns)
            and (q.until_ns is None or row["first_ts"] <= q.until_ns)
            and (not q.networks or any(inside(row, text) for text in q.networks))
            and (not q.ports or row["client_port"] in q.ports or row["server_port"] in q.ports)
            and (not q.communities or row["community_id"] in q.communities)
        )

    return [row for row in rows if meets(row)]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    times = st.integers(-10, 500).map(lambda n: START_NS + n * SECOND // 2)
    return Question(
        networks=tuple(draw(st.lists(st.sampled_from(NETWORKS), max_size=2))),
        ports=tuple(draw(st.lists(st.sampled_from([0, 53, 443, 40000]), max_size=2))),
        since_ns=draw(st.none() | times),
        until_ns=draw(st.none() | times),
    )


@settings(max_examples=40, deadline=None)
@given(
    traffic(),
    st.lists(st.floats(0, 1), max_size=3),
    st.lists(questions(), min_size=1, max_size=6),
    st.booleans(),
)
def test_flows_are_those_of_a_plain_look(
    packets: list[Packet], cuts: list[float], asked: list[Question], compacted: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = files(packets, cuts, root / "in")
        if len({path.read_bytes() for path in paths if len(path.read_bytes()) > 24}) < sum(
            len(path.read_bytes()) > 24 for path in paths
        ):
            return  # one is a copy of another
        lake(paths, root / "lake")
        if compacted:
            compact_lake(root / "lake")
        rows = fk.open(root / "in").flows().to_dicts()
        asked += [Question(communities=(row["community_id"],)) for row in rows[:2] if row["community_id"]]
        for question in asked:
            found = find_flows(root / "lake", question).to_dicts()
            wanted = plain(rows, question)
            assert sorted(row["flow_id"] for row in found) == [row["flow_id"] for row in wanted]
            by_id = {row["flow_id"]: row for row in wanted}
            for row in found:
                assert {name: row[name] for name in by_id[row["flow_id"]]} == by_id[row["flow_id"]]


def packets_of(path: Path) -> list[tuple[int, bytes]]:
    return [(r.ts_ns, r.data) for r in wire.read(path.read_bytes()).records]


@settings(max_examples=25, deadline=None)
@given(
    traffic(),
    st.lists(st.floats(0, 1), max_size=3),
    st.integers(0, 7),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_packets_are_those_that_extract_takes(
    packets: list[Packet], cuts: list[float], which: int, indexed: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = files(packets, cuts, root / "in")
        if len({path.read_bytes() for path in paths}) < len(paths):
            return
        lake(paths, root / "lake")
        rows = fk.open(root / "in").flows().to_dicts()
        if not rows:
            return
        row = rows[which % len(rows)]
        for path, wanted in zip(paths, indexed, strict=False):
            if wanted:
                index(find([path]))
        question = Question(
            networks=(row["client_ip"],), ports=(row["server_port"],), until_ns=row["last_ts"]
        )
        ids = tuple(str(r["flow_id"]) for r in plain(rows, question))
        extract(find(paths), FlowQuery(flows=ids), ExtractPlan(root / "wanted.pcap"))
        report = find_packets(root / "lake", question, root / "found.pcap")
        assert not report.changed
        assert report.flows == len(ids)
        # At the end of a file that is not the last one, extract leaves fragments that still wait.
        found, other = (
            [p for p in packets_of(root / name) if not fragment(p[1])]
            for name in ("found.pcap", "wanted.pcap")
        )
        assert found == other


def unreadable(path: Path) -> None:
    """Whoever opens it fails, root too."""
    path.unlink()
    path.symlink_to("/nowhere/at/all")


def test_other_captures_are_not_opened(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths, tmp_path / "lake")
    unreadable(paths[0])
    unreadable(paths[3])
    question = Question(networks=("10.0.2.1",), since_ns=FIRST, until_ns=FIRST + 4 * HOUR)
    assert find_flows(tmp_path / "lake", question).paths() == [str(paths[2])]
    report = find_packets(tmp_path / "lake", question, tmp_path / "out.pcap")
    assert report.captures == [paths[2]]
    assert (report.flows, report.indexed, report.changed) == (1, 0, [])
    index(find([paths[2]]))
    report = find_packets(tmp_path / "lake", question, tmp_path / "again.pcap")
    assert report.indexed == 1
    assert (tmp_path / "again.pcap").read_bytes() == (tmp_path / "out.pcap").read_bytes()
    assert len(packets_of(tmp_path / "out.pcap")) == report.packets > 0


def test_a_flow_that_began_hours_before_is_found(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths, tmp_path / "lake")
    at = FIRST + 3 * HOUR + 1
    (row,) = find_flows(
        tmp_path / "lake", Question(networks=("10.9.9.9",), since_ns=at, until_ns=at)
    ).to_dicts()
    assert row["first_ts"] < FIRST + HOUR
    assert row["captures"] == [str(path) for path in paths]


def test_files_that_cannot_hold_it_are_not_opened(tmp_path: Path) -> None:
    lake(day(tmp_path / "in"), tmp_path / "lake")
    hours = sorted((tmp_path / "lake/flows").rglob("*.parquet"))
    assert len(hours) == 4
    unreadable(hours[1])  # its flows end in its hour
    unreadable(hours[3])  # and these begin too late
    at = FIRST + 2 * HOUR + 3 * SECOND
    assert len(find_flows(tmp_path / "lake", Question(networks=("10.0.0.7",), since_ns=at, until_ns=at))) == 1
    with pytest.raises(LakeError):
        find_flows(tmp_path / "lake", Question(networks=("10.0.0.7",)))


def test_names_that_were_seen(tmp_path: Path) -> None:
    script = [("c", b"GET / HTTP/1.1\r\nHost: www.evil.example\r\n\r\n"), ("s", b"HTTP/1.1 200 OK\r\n\r\n")]
    other = [("c", b"GET / HTTP/1.1\r\nHost: notevil.example\r\n\r\n"), ("s", b"HTTP/1.1 200 OK\r\n\r\n")]
    one = wire.tcp_session("10.0.0.1:1", "10.0.0.2:80", script)  # type: ignore[arg-type]
    two = wire.tcp_session("10.0.0.1:2", "10.0.0.2:80", other)  # type: ignore[arg-type]
    (tmp_path / "a.pcap").write_bytes(wire.pcap(wire.merged(one, two)))
    command.run("flows", tmp_path / "a.pcap", "--identify", "-o", f"{tmp_path}/lake/")
    for name in ("evil.example", "WWW.Evil.example", "evil.example."):
        (row,) = find_flows(tmp_path / "lake", Question(names=(name,))).to_dicts()
        assert row["client_port"] == 1


def test_a_capture_that_changed_is_told(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths, tmp_path / "lake")
    question = Question(networks=("10.9.9.9",))
    paths[1].unlink()
    paths[2].write_bytes(paths[2].read_bytes()[:-30])
    done = command.run("find", tmp_path / "lake", "10.9.9.9", "-o", tmp_path / "out.pcap")
    text = command.said(done)
    assert done.returncode == 1
    assert "01.pcap: it is not there any more" in text
    assert "02.pcap: it is not as it was" in text
    assert len(find_flows(tmp_path / "lake", question)) == 1


def test_several_data_sets_and_formats(tmp_path: Path) -> None:
    paths = day(tmp_path / "in")
    lake(paths[:2], tmp_path / "lake")
    lake(paths[2:], tmp_path / "lake")
    done = command.run("find", tmp_path / "lake", "10.0.0.0/16", "-o", tmp_path / "out.pcapng")
    assert done.returncode == 0, command.said(done)
    assert "4 captures opened" in command.said(done)
    assert len(packets_of(tmp_path / "out.pcapng")) > 20
    done = command.run("find", tmp_path / "lake", "10.0.0.7", "--format", "csv")
    assert done.stdout.count(b"\n") == 5
    done = command.run("find", tmp_path / "lake", "10.0.3.1", "--captures")
    assert done.stdout.decode() == f"{paths[3]}\n"
    done = command.run("find", tmp_path / "lake", "10.0.0.7", "--where", "bytes > 1000000")
    assert b"0 flows" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["10.0.0"], "is no address"),
        (["--at", "end-2h"], "a lake has no start and no end"),
        (["--since", "2h", "--at", "1h"], "one or the other"),
        (["--since", "1h", "--until", "2h"], "no flow can meet both"),
        (["--where", "nothing > 1"], "unable to find column"),
        (["10.0.0.1", "-o", "x.pcap", "--limit", "1"], "about lists"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, arguments: list[str], said: str) -> None:
    lake(day(tmp_path / "in", 1), tmp_path / "lake")
    done = command.run("find", tmp_path / "lake", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in command.said(done)


def test_a_capture_is_not_overwritten(tmp_path: Path) -> None:
    paths = day(tmp_path / "in", 2)
    lake(paths, tmp_path / "lake")
    with pytest.raises(UsageError, match="is one of the captures"):
        find_packets(tmp_path / "lake", Question(networks=("10.9.9.9",)), paths[0], force=True)
    assert os.listdir(tmp_path / "in") and not pl.read_parquet(tmp_path / "lake/flows").is_empty()
