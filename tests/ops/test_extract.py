"""Chosen flows come out with all their packets, in a capture that fits them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import flowkeep as fk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.cli import command
from tests.model import steps
from tests.model.flow import Tracker
from tests.props.test_api_model import seen, write
from tests.props.traffic import traffic
from tests.wire import SECOND, Interface, Packet, Record


def flow_of(records: Sequence[Record], **options: object) -> list[int | None]:
    """For each packet the ``flow_id`` of its flow by the plain model."""
    owner: dict[int, int] = {}
    tracker = Tracker(counted=lambda flow, p: owner.__setitem__(p.number, id(flow)), **options)  # type: ignore[arg-type]
    packets = steps(records, outer=False)
    for p in packets:
        tracker.feed(p)
    tracker.finish()
    ids: dict[int, int] = {}
    for number in sorted(owner):
        ids.setdefault(owner[number], len(ids))
    keep = tracker  # its flows' ids must stay theirs until here
    assert keep is not None
    return [ids[owner[p.number]] if p.number in owner else None for p in packets]


@given(st.data(), traffic())
@settings(max_examples=200, deadline=None)
def test_the_packets_of_the_chosen_flows_come_out(data: st.DataObject, packets: list[Packet]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths, records = write(folder, packets), seen(packets)
        flows = flow_of(records)
        there = sorted({f for f in flows if f is not None})
        chosen = data.draw(st.sets(st.sampled_from(there))) if there else set()
        invert = data.draw(st.booleans())
        query = fk.FlowQuery(flows=tuple(map(str, chosen)) or ("1:" + "A" * 27 + "=",), invert=invert)
        report = fk.open(*paths).extract(folder / "out.pcap", query)
        out = wire.read((folder / "out.pcap").read_bytes()).records
        wanted = set(there) - chosen if invert else chosen
        assert out == [r for r, f in zip(records, flows, strict=True) if f in wanted]
        assert (report.packets, report.flows, report.of_flows) == (len(out), len(wanted), len(there))


def two_talks() -> tuple[list[Packet], list[Packet]]:
    web = wire.tcp_session("10.0.0.1:40000", "192.168.0.9:80", script=[("c", b"GET"), ("s", bytes(3000))])
    names = wire.udp_dialogue("[2001:db8::1]:5353", "[2001:db8::2]:53", script=[("c", b"who"), ("s", b"me")])
    return web, names


def merged() -> list[Packet]:
    return sorted([*two_talks()[0], *two_talks()[1]], key=lambda p: p.ts_ns)


def data_of(path: Path) -> list[bytes]:
    return [r.data for r in wire.read(path.read_bytes()).records]


@pytest.mark.parametrize(
    ("query", "web", "names"),
    [
        (fk.FlowQuery(where="server_port = 80"), True, False),
        (fk.FlowQuery(where="bytes > 2000 and proto = 'tcp'"), True, False),
        (fk.FlowQuery(where="duration >= 0 and packets < 3"), False, True),
        (fk.FlowQuery(where="first_ts < timestamp '2001-01-01 00:00:00'"), False, False),
        (fk.FlowQuery(where="first_ts > timestamp '2001-01-01 00:00:00'"), True, True),
        (fk.FlowQuery(where="true"), True, True),
        (fk.FlowQuery(networks=("192.168.0.0/16",)), True, False),
        (fk.FlowQuery(networks=("2001:db8::/33",)), False, True),
        (fk.FlowQuery(networks=("2001:db8:8000::/33", "10.0.0.1")), True, False),
        (fk.FlowQuery(networks=("0.0.0.0/0",), invert=True), False, True),
        (fk.FlowQuery(since_ns=wire.START_NS + 3600 * SECOND), False, False),
        (fk.FlowQuery(until_ns=wire.START_NS + 3600 * SECOND), True, True),
        (fk.FlowQuery(until_ns=wire.START_NS - 1), False, False),
        (fk.FlowQuery(invert=True), False, False),
    ],
    ids=lambda v: repr(v)[:60] if isinstance(v, fk.FlowQuery) else str(v),
)
def test_a_query_chooses(query: fk.FlowQuery, web: bool, names: bool, tmp_path: Path) -> None:
    (path,) = write(tmp_path, merged())
    fk.open(path).extract(tmp_path / "out.pcap", query)
    kept = {p.data for p in two_talks()[0] if web} | {p.data for p in two_talks()[1] if names}
    assert data_of(tmp_path / "out.pcap") == [p.data for p in merged() if p.data in kept]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"where": "nosuch > 1"}, "there are flow_id, proto"),
        ({"where": "server_port >"}, "server_port >"),
        ({"where": "server_port + 1"}, "no condition"),
        ({"where": "first_ts > '2024-01-01'"}, "--since"),
        ({"where": "true; drop"}, "true; drop"),
        ({"flows": ("7",)}, "there are 2"),
        ({"flows": ("1:short",)}, "Community ID"),
        ({"flows": ("-1",)}, "flow_id"),
        ({"networks": ("10.0.0.0/33",)}, "CIDR"),
        ({"networks": ("host\x1b[2J",)}, "\\x1b"),
    ],
)
def test_a_query_that_cannot_be_meant_is_explained(
    given: dict[str, object], word: str, tmp_path: Path
) -> None:
    (path,) = write(tmp_path, merged())
    (tmp_path / "out.pcap").write_bytes(b"as it was")
    with pytest.raises(fk.UsageError) as told:
        fk.open(path).extract(tmp_path / "out.pcap", fk.FlowQuery(**given))  # type: ignore[arg-type]
    assert word in str(told.value)
    assert "\x1b" not in str(told.value)
    assert (tmp_path / "out.pcap").read_bytes() == b"as it was"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.pcap", "out.pcap"]


def test_a_trimmed_capture_is_chosen_from_by_its_true_totals(tmp_path: Path) -> None:
    (path,) = write(tmp_path, merged())
    fk.open(path).trim("1kB", output=tmp_path / "cut", ledger=True)
    small = tmp_path / "cut" / path.name
    fk.open(small).extract(tmp_path / "out.pcap", fk.FlowQuery(where="server_payload_bytes = 3000"))
    left = [r.data for r in wire.read(small.read_bytes()).records]
    web = {p.data for p in two_talks()[0]}
    assert data_of(tmp_path / "out.pcap") == [d for d in left if d in web] != []


def test_link_types_stay_what_they_are(tmp_path: Path) -> None:
    web, names = two_talks()
    raw = [Packet(p.ts_ns, p.data[14:]) for p in names]
    (tmp_path / "a.pcap").write_bytes(wire.pcap(web))
    (tmp_path / "b.pcap").write_bytes(wire.pcap(raw, link=101, ns=True))
    ds = fk.open(tmp_path / "a.pcap", tmp_path / "b.pcap")
    ds.extract(tmp_path / "both", fk.FlowQuery(where="true"))
    both = wire.read((tmp_path / "both").read_bytes())
    assert both.format == "pcapng"
    assert sorted((r.link, r.data) for r in both.records) == sorted(
        [(1, p.data) for p in web] + [(101, p.data) for p in raw]
    )
    with pytest.raises(fk.UsageError, match="--format pcapng"):
        ds.extract(tmp_path / "no", fk.FlowQuery(where="true"), form="pcap")
    assert not (tmp_path / "no").exists()
    ds.extract(tmp_path / "parts", fk.FlowQuery(where="true"), split="flow")
    formats = {wire.read(p.read_bytes()).format for p in (tmp_path / "parts").iterdir()}
    assert formats == {"pcapng"}


def test_microseconds_and_nanoseconds_in_one_pcap(tmp_path: Path) -> None:
    web, names = two_talks()
    late = [Packet(p.ts_ns + SECOND + 7, p.data) for p in names]
    (tmp_path / "a.pcap").write_bytes(wire.pcap(web, order=">"))
    (tmp_path / "b.pcap").write_bytes(wire.pcap(late, ns=True))
    ds = fk.open(tmp_path / "a.pcap", tmp_path / "b.pcap")
    ds.extract(tmp_path / "out.pcap", fk.FlowQuery(where="true"))
    out = wire.read((tmp_path / "out.pcap").read_bytes())
    assert out.format == "pcap-ns"
    assert [(r.ts_ns, r.data) for r in out.records] == [(p.ts_ns // 1000 * 1000, p.data) for p in web] + [
        (p.ts_ns, p.data) for p in late
    ]


def test_a_pcapng_capture_keeps_all_that_is_no_packet(tmp_path: Path) -> None:
    path = tmp_path / "in.pcapng"
    path.write_bytes(wire.pcapng(merged(), interfaces=[Interface(name="eth0", resolution=9)]))
    fk.open(path).extract(tmp_path / "out.pcapng", fk.FlowQuery(where="proto = 'udp'"))
    before, after = wire.read(path.read_bytes()), wire.read((tmp_path / "out.pcapng").read_bytes())
    assert after.others == before.others
    assert [r.data for r in after.records] == [p.data for p in two_talks()[1]]


def test_everything_is_the_same_bytes(tmp_path: Path) -> None:
    (path,) = write(
        tmp_path, [*merged(), Packet(wire.START_NS, bytes(wire.ether(wire.arp("10.0.0.1", "10.0.0.2"))))]
    )
    report = fk.open(path).extract(tmp_path / "out.pcap")
    assert (tmp_path / "out.pcap").read_bytes() == path.read_bytes()
    assert report.packets == len(merged()) + 1


def test_a_split_makes_one_capture_for_each(tmp_path: Path) -> None:
    web, names = two_talks()
    later = [Packet(p.ts_ns + 900 * SECOND, p.data) for p in names]
    (path,) = write(tmp_path, [*merged(), *later])
    ds = fk.open(path)
    ds.extract(tmp_path / "flows", fk.FlowQuery(where="true"), split="flow")
    ds.extract(tmp_path / "sessions", fk.FlowQuery(where="true"), split="session")
    ds.extract(tmp_path / "hosts", fk.FlowQuery(where="true"), split="host")
    per_flow = {p.name: data_of(p) for p in (tmp_path / "flows").iterdir()}
    assert sorted(per_flow.values()) == sorted([[p.data for p in web], *[[p.data for p in names]] * 2])
    per_session = [data_of(p) for p in sorted((tmp_path / "sessions").iterdir())]
    assert sorted(per_session) == sorted([[p.data for p in web], [p.data for p in [*names, *later]]])
    per_host = {p.name: data_of(p) for p in (tmp_path / "hosts").iterdir()}
    assert per_host["10.0.0.1.pcap"] == per_host["192.168.0.9.pcap"] == [p.data for p in web]
    assert per_host["2001-db8--1.pcap"] == [p.data for p in [*names, *later]]
    assert len(per_host) == 4
    safe = set("abcdefghijklmnopqrstuvwxyz0123456789.-_")
    assert all(set(name) <= safe for name in [*per_flow, *per_host])
    with pytest.raises(fk.UsageError, match="already there"):
        ds.extract(tmp_path / "flows", fk.FlowQuery(where="true"), split="flow")


def test_fragments_go_with_their_datagram_also_over_other_chosen_flows(tmp_path: Path) -> None:
    pieces = wire.ip4_fragments("10.0.0.1", "10.0.0.2", wire.udp(7, 9, bytes(2000)), size=600, ident=7)
    frames = [Packet(wire.START_NS + i, bytes(wire.ether(p))) for i, p in enumerate(reversed(pieces))]
    (path,) = write(tmp_path, [*frames, *two_talks()[0]])
    fk.open(path).extract(tmp_path / "out.pcap", fk.FlowQuery(where="server_port = 9 or client_port = 9"))
    assert data_of(tmp_path / "out.pcap") == [p.data for p in frames]


def test_the_command_line(tmp_path: Path) -> None:
    (path,) = write(tmp_path, merged())
    done = command.run("extract", path, "--where", "proto = 'udp'", "-o", "-")
    assert (done.returncode, command.said(done)) == (0, "")
    assert [r.data for r in wire.read(done.stdout).records] == [p.data for p in two_talks()[1]]
    done = command.run("extract", path, "--where", "proto = 'udp'", "-o", tmp_path / "out.pcap")
    assert "1 of 2 flows, 2 packets" in command.said(done)
    assert (tmp_path / "out.pcap").read_bytes()
    for args, word in [
        ((path,), "-o FILE"),
        ((path, "-o", path), "one of the captures"),
        ((path, "-o", "-", "--split", "flow"), "folder"),
        ((path, "-o", "x", "--since", "yesterday"), "2h"),
        ((path, "--open-with", "no-such-program"), "no such program"),
        (("-", "--flow", "1", "-o", "x"), "pipe"),
    ]:
        done = command.run("extract", *args, cwd=tmp_path)
        assert done.returncode == 2
        assert word in command.said(done)
    done = command.run("flows", path, "--network", "2001:db8::/32", "--format", "csv")
    assert done.stdout.count(b"\n") == 2
