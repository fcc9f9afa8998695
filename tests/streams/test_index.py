"""Streams, transcripts and searches are the same with an index as without, and read only what they need."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import flowkeep as fk
import pytest
from flowkeep.ops import index as index_ops
from flowkeep.ops.search import Pattern, search
from flowkeep.paths import find
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.cli import command
from tests.ops.test_index import FORMS, NO_INDEX, index_of, talks
from tests.props.traffic import traffic
from tests.wire import MILLISECOND, START_NS, Packet


def events(path: Path, flow: int, options: fk.ReadOptions | None = None, **rest: object) -> list[object]:
    with fk.open(path, options=options).stream(flow, **rest) as stream:  # type: ignore[arg-type]
        return [stream.flow, *stream]


def hits(path: Path, options: fk.ReadOptions | None, query: fk.FlowQuery, most: int) -> tuple[object, ...]:
    done = search(find([path]), Pattern(b"e"), query, options, max_hits=most)
    return (
        done.hits,
        done.matches,
        done.found,
        done.bytes,
        done.unjoined,
        done.unlisted,
        done.flows.to_dicts(),
    )


def cut_up(packets: Sequence[Packet], rng: random.Random) -> list[Packet]:
    """Some packets in IP fragments, which come in any order and some never."""
    made: list[Packet] = []
    for packet in packets:
        if rng.random() < 0.3 and len(packet.data) > 200 and packet.data[12:14] == b"\x08\x00":
            ip = packet.data[14:]
            parts = wire.ip4_fragments(
                ".".join(map(str, ip[12:16])), ".".join(map(str, ip[16:20])), ip[20:], size=64,
                ident=len(made), proto=ip[9],
            )  # fmt: skip
            rng.shuffle(parts)
            made += [Packet(packet.ts_ns, bytes(wire.ether(part))) for part in parts[rng.randrange(2) :]]
        else:
            made.append(packet)
    return made


def compare(path: Path, ids: Sequence[int], most: int = 0) -> None:
    """All that can be asked about these flows, with the index and without."""
    query = fk.FlowQuery(flows=tuple(map(str, ids)))
    reports = []
    outs = [path.parent / "with", path.parent / "without"]
    for out, options in zip(outs, [None, NO_INDEX], strict=True):
        reports.append(fk.open(path, options=options).streams(out, query, frames=True, udp=True))
    assert [r.scans[0]["index"] for r in reports] == ["used", "none"]
    assert command.tree(outs[0]) == command.tree(outs[1])
    for flow in ids:
        if fk.open(path).flows().to_dicts()[flow]["proto"] in ("tcp", "udp"):
            assert events(path, flow) == events(path, flow, NO_INDEX)
            assert events(path, flow, as_seen=True) == events(path, flow, NO_INDEX, as_seen=True)
    assert hits(path, None, query, most) == hits(path, NO_INDEX, query, most)


@given(st.data(), traffic(), st.sampled_from(["pcap", "pcapng", "sections", "damaged"]))
@settings(max_examples=60, deadline=None)
def test_the_result_is_the_same(data: st.DataObject, packets: list[Packet], form: str) -> None:
    packets = cut_up(packets, random.Random(data.draw(st.integers(0, 1 << 30))))
    with TemporaryDirectory() as name:
        path = Path(name) / "in"
        path.write_bytes(FORMS[form](packets))
        fk.open(path).index()
        count = len(fk.open(path).flows())
        if count:
            ids = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=4)))
            compare(path, ids, data.draw(st.sampled_from([0, 1, 5])))


@pytest.mark.parametrize("form", ["pcap", "pcapng", "sections", "damaged"])
def test_frames_have_the_numbers_of_the_whole_capture(form: str, tmp_path: Path) -> None:
    path = tmp_path / "in"
    packets = talks()
    path.write_bytes(FORMS[form](packets))
    fk.open(path).index()
    compare(path, range(0, 60, 7))
    (row,) = [row for row in fk.open(path).flows().to_dicts() if row["client_port"] == 40017][:1]
    with fk.open(path).stream(row["flow_id"]) as stream:
        frames = {event.frame.number for event in stream if isinstance(event, fk.stream.Data)}
    there = {n for n, p in enumerate(packets, 1) if (40017).to_bytes(2, "big") in p.data[34:38]}
    assert frames and frames <= there


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    bulk = wire.udp_dialogue("10.1.0.1:9", "10.1.0.2:9", [("c", bytes(1400))] * 12_000, start_ns=START_NS)
    path.write_bytes(wire.pcap(wire.merged([*talks(100), *bulk])))
    fk.open(path).index()
    query, size = fk.FlowQuery(flows=("40",)), path.stat().st_size
    for work in (
        lambda options: events(path, 40, options),
        lambda options: hits(path, options, query, 0),
        lambda options: fk.open(path, options=options).streams(tmp_path / str(options), query),
    ):
        read, without = _bytes_read(lambda: work(None)), _bytes_read(lambda: work(NO_INDEX))  # noqa: B023
        assert read < size / 2 < 2 * size <= without


def _bytes_read(work: Callable[[], object]) -> int:
    def so_far() -> int:
        for line in Path(f"/proc/{os.getpid()}/io").read_text().splitlines():
            if line.startswith("rchar: "):
                return int(line.split()[1])
        raise AssertionError("no rchar")

    before = so_far()
    work()
    return so_far() - before


def test_what_turns_out_not_to_fit_is_done_by_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The capture is changed after its index was opened: that a record is another one is seen when it is read."""
    path, out = tmp_path / "in.pcap", tmp_path / "out"
    packets = talks(100)
    path.write_bytes(wire.pcap(packets))
    fk.open(path).index()
    opened = fk._native.Index(str(index_of(path)), str(path))
    at = [n for n, p in enumerate(packets) if (40017).to_bytes(2, "big") in p.data[34:38]][-1]
    changed = [*packets[:at], packets[0], *packets[at + 1 :]]
    path.write_bytes(wire.pcap(changed))
    index_of(path).unlink()
    query = fk.FlowQuery(where="client_port = 40017")
    plain = events(path, 17 * 2), hits(path, None, query, 0)
    monkeypatch.setattr(index_ops, "fitting_index", lambda *_: (opened, None))
    done = fk.open(path).streams(out, query)
    assert done.scans[0]["index"] == "misfit"
    assert "not as it was" in (done.scans[0]["index_note"] or "")
    assert sorted(p.name for p in out.iterdir()) == sorted(["streams.json", *_named(out)])
    assert plain == (events(path, 17 * 2), hits(path, None, query, 0))


def _named(out: Path) -> list[str]:
    flows = json.loads((out / "streams.json").read_text())["flows"]
    return [file["name"] for flow in flows for end in ("client", "server") for file in flow[end]["files"]]


def test_hits_in_fragments_beyond_what_a_pass_lists(tmp_path: Path) -> None:
    """A pass lists sixteen hits of a fragment that waits for its first one; so does a search with an index."""
    parts = wire.ip4_fragments("10.0.0.1", "10.0.0.2", wire.udp(7, 9, b"e" * 3000), size=1000, ident=7)
    packets = [Packet(START_NS + i, bytes(wire.ether(p))) for i, p in enumerate(reversed(parts))]
    packets += [Packet(p.ts_ns + MILLISECOND, p.data) for p in talks(20)]
    path = tmp_path / "in.pcap"
    path.write_bytes(wire.pcap(packets))
    fk.open(path).index()
    query = fk.FlowQuery(where="server_port = 9 or client_port = 9")
    assert hits(path, None, query, 0) == hits(path, NO_INDEX, query, 0)
    assert hits(path, NO_INDEX, query, 0)[5] == 2


def test_the_command_line_uses_it_and_can_go_without(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(wire.pcap(talks()))
    fk.open(path).index()
    lines = [
        ("transcript", str(path), "--flow", "4"),
        ("streams", str(path), "--flow", "4", "--direction", "client", "-o", "-"),
        ("search", "GET", str(path), "--flow", "4", "--format", "csv"),
    ]
    for line in lines:
        first, second = command.run(*line), command.run(*line, "--no-index")
        assert (first.stdout, first.returncode) == (second.stdout, 0) and first.stdout
