"""From packets to segments: fragments, padding, snapped packets, sessions, files, frames, trimmed captures."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep import stream as events
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.streams.cases import ack, c, connection
from tests.wire import Packet

TEXT = bytes(i * 7 % 251 for i in range(4000))


def written(path: Path, packets: list[Packet]) -> Path:
    path.write_bytes(wire.pcap(packets))
    return path


def flows(folder: Path) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((folder / "streams.json").read_text())["flows"]
    return read


def segment(payload: bytes, offset: int = 0, flags: str = "PA") -> bytes:
    return wire.tcp(40000, 80, payload, seq=1001 + offset, ack=9001, flags=flags)


def fragments(version: int, payload: bytes, ident: int, offset: int = 0) -> list[bytes]:
    body = segment(payload, offset)
    if version == 4:
        return [bytes(f) for f in wire.ip4_fragments("10.0.0.1", "10.0.0.2", body, size=512, ident=ident)]
    return [bytes(f) for f in wire.ip6_fragments("2001:db8::1", "2001:db8::2", body, size=512, ident=ident)]


def framed(ips: list[bytes], version: int = 4) -> list[Packet]:
    kind = {4: 0x0800, 6: 0x86DD}[version].to_bytes(2, "big")
    return [Packet(wire.START_NS + i * 1000, bytes(12) + kind + ip) for i, ip in enumerate(ips)]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("order", ["forward", "backward", "mixed"])
def test_segments_in_fragments_are_whole(version: int, order: str, tmp_path: Path) -> None:
    parts = [fragments(version, TEXT[at : at + 1400], at + 1, at) for at in range(0, 4000, 1400)]
    ips = [ip for part in parts for ip in (part if order == "forward" else part[::-1])]
    if order == "mixed":
        random.Random(1).shuffle(ips)
    path = written(tmp_path / "f.pcap", framed(ips, version))
    with fk.open(path).stream(0) as stream:
        assert stream.client.bytes(gaps="refuse") == TEXT
        data = [e for e in stream if isinstance(e, events.Data)]
    assert sum(len(e.data) for e in data) == len(TEXT)
    # All in one pass tells the same.
    fk.open(path).streams(tmp_path / "out")
    (flow,) = flows(tmp_path / "out")
    (file,) = flow["client"]["files"]
    assert (tmp_path / "out" / file["name"]).read_bytes() == TEXT
    assert flow["fragments_incomplete"] == 0


def test_fragments_that_differ_and_that_are_missing(tmp_path: Path) -> None:
    first = fragments(4, b"a" * 1000, 1)
    other = fragments(4, b"b" * 1000, 1)
    lost = fragments(4, b"c" * 1000, 2, 1000)
    path = written(tmp_path / "f.pcap", framed([first[0], other[0], first[1], lost[0]]))
    fk.open(path).streams(tmp_path / "out")
    (flow,) = flows(tmp_path / "out")
    (file,) = flow["client"]["files"]
    assert (tmp_path / "out" / file["name"]).read_bytes() == b"a" * 1000
    names = [a["name"] for a in flow["client"]["anomalies"]]
    assert names.count("fragment_overlap") == 1 and names.count("fragment_missing") == 1
    assert (flow["fragments_incomplete"], flow["fragments_incomplete_bytes"]) == (1, 512)


def test_padding_is_no_data_and_what_was_snapped_is_a_gap(tmp_path: Path) -> None:
    packets = connection([c(0, b"abc"), c(3, TEXT[:500]), c(503, b"end"), ack(506)])
    packets = [Packet(p.ts_ns, p.data.ljust(60, b"\xee")).snapped(154) for p in packets]
    with fk.open(written(tmp_path / "p.pcap", packets)).stream(0) as stream:
        assert stream.client.bytes() == b"abc" + TEXT[:100] + b"end"
        gaps = [(e.offset, e.length, e.reason) for e in stream if isinstance(e, events.Gap)]
    assert gaps == [(103, 400, "snapped")]


def test_ports_that_are_used_again_are_two_flows(tmp_path: Path) -> None:
    one = connection([c(0, b"first"), ack(5), c(5, b"", "FA"), ("s", 0, b"", "FA:6"), c(6, b"", "A")])
    two = connection([c(0, b"second"), ack(6)], isn=500_000_000, start_ns=one[-1].ts_ns + wire.SECOND)
    report = fk.open(written(tmp_path / "r.pcap", one + two)).streams(tmp_path / "out")
    data = [
        (tmp_path / "out" / f["client"]["files"][0]["name"]).read_bytes() for f in flows(tmp_path / "out")
    ]
    assert data == [b"first", b"second"]
    assert report.flows == 2


def test_a_stream_over_files_names_file_and_frame(tmp_path: Path) -> None:
    packets = connection([c(at, TEXT[at : at + 400]) for at in range(0, 4000, 400)])
    paths = [written(tmp_path / f"{i}.pcap", packets[i * 5 : i * 5 + 5]) for i in range(3)]
    with fk.open(*paths).stream(0) as stream:
        assert stream.client.bytes(gaps="refuse") == TEXT
        for event in stream.client:
            if isinstance(event, events.Data):
                place = paths.index(event.frame.file) * 5 + event.frame.number - 1
                assert packets[place].data.endswith(event.data)


def test_frames_are_those_of_the_capture_also_behind_a_filter(tmp_path: Path) -> None:
    noise = wire.udp_dialogue("10.9.9.9:1000", "10.9.9.8:2000", script=[("c", b"x")] * 7, step_ns=700_000)
    packets = wire.merged(noise, connection([c(0, b"one"), c(3, b"two"), ack(6)]))
    ds = fk.open(written(tmp_path / "n.pcap", packets), filter="tcp")
    with ds.stream(0) as stream:
        for event in stream.client:
            if isinstance(event, events.Data):
                assert packets[event.frame.number - 1].data.endswith(event.data)
        assert stream.client.bytes() == b"onetwo"


@pytest.mark.parametrize("rest", ["cut", "headers"])
@pytest.mark.parametrize("lost", [False, True])
def test_what_a_policy_cut_is_told_from_what_was_not_captured(rest: str, lost: bool, tmp_path: Path) -> None:
    packets = wire.tcp_session(script=[("c", TEXT), ("s", TEXT * 3), ("c", TEXT)], mss=500)
    gap = [(500, 500, "not_captured")] if lost else []
    if lost:
        del packets[4]
    path = written(tmp_path / "t.pcap", packets)
    (tmp_path / "small").mkdir()
    policy = fk.CutPolicy(cutoff=6000, rest=rest)
    fk.open(path).trim(policy, output=tmp_path / "small", ledger=True)
    small = fk.open(tmp_path / "small")
    with small.stream(0) as stream:
        client = [(e.offset, e.length, e.reason) for e in stream.client if isinstance(e, events.Gap)]
        server = [(e.offset, e.length, e.reason) for e in stream.server if isinstance(e, events.Gap)]
        kept = {end: len(getattr(stream, end)) for end in ("client", "server")}
        ends = {e.direction: e.offset for e in stream if isinstance(e, events.Fin)}
        assert stream.server.bytes() == (TEXT * 3)[: kept["server"]]
    assert client == [*gap, (4000, 4000, "cut_by_policy")]
    assert server == [(kept["server"], 12_000 - kept["server"], "cut_by_policy")]
    assert ends == {"client": 8000, "server": 12_000}
    small.streams(tmp_path / "out")
    (flow,) = flows(tmp_path / "out")
    told = [(g["offset"], g["length"], g["reason"]) for g in flow["server"]["gaps"]]
    assert told == server


def test_udp_goes_into_files_with_a_table(tmp_path: Path) -> None:
    script: list[tuple[Any, bytes]] = [("c", b"who"), ("s", b"me"), ("c", b""), ("s", b"again")]
    path = written(tmp_path / "u.pcap", wire.udp_dialogue(script=script))
    fk.open(path).streams(tmp_path / "out", udp=True)
    (flow,) = flows(tmp_path / "out")
    (file,) = flow["server"]["files"]
    assert (tmp_path / "out" / file["name"]).read_bytes() == b"meagain"
    rows = [row.split(",")[:3] for row in (tmp_path / "out" / file["frames"]).read_text().splitlines()[1:]]
    assert rows == [["0", "0", "2"], ["2", "2", "5"]]
    with fk.open(path).stream(0) as stream:
        told = [(e.direction, e.data) for e in stream if isinstance(e, events.Datagram)]
    assert told == [("client", b"who"), ("server", b"me"), ("client", b""), ("server", b"again")]


@st.composite
def dialogues(draw: st.DrawFn) -> tuple[bytes, list[Packet], set[int]]:
    """A stream, its segments as captured, and the places of which no byte was."""
    size = draw(st.integers(1, 300))
    text = draw(st.binary(min_size=size, max_size=size))
    cuts = sorted(draw(st.sets(st.integers(1, size), max_size=12)) | {0, size})
    parts = list(itertools.pairwise(cuts))
    kept = draw(st.lists(st.sampled_from(parts), max_size=2 * len(parts))) if parts else []
    more = draw(st.permutations(parts))
    sent = [*kept, *more[: draw(st.integers(0, len(more)))]]
    sent = draw(st.permutations(sent))
    steps = [c(a, text[a:b]) for a, b in sent]
    steps += [ack(size), c(size, b"", "FA"), ("s", 0, b"", f"FA:{size + 1}")]
    isn = draw(st.sampled_from([1000, (1 << 32) - 100]))
    missing = set(range(size)) - {i for a, b in sent for i in range(a, b)}
    return text, connection(steps, isn=isn), missing


@given(dialogues())
@settings(max_examples=150, deadline=None)
def test_exactly_what_was_captured_comes_out(tmp_path_factory: Any, made: Any) -> None:
    text, packets, missing = made
    folder = tmp_path_factory.mktemp("d")
    with fk.open(written(folder / "d.pcap", packets)).stream(0) as stream:
        out, gaps = bytearray(), set()
        for event in stream.client:
            if isinstance(event, events.Data):
                assert event.offset == len(out)
                out += event.data
            elif isinstance(event, events.Gap):
                assert event.offset == len(out) and event.reason == "not_captured"
                gaps |= set(range(event.offset, event.offset + event.length))
                out += bytes(event.length)
            else:
                assert isinstance(event, events.Fin)
                assert event.offset == len(text)
    assert gaps == missing
    assert bytes(out) == bytes(0 if i in missing else b for i, b in enumerate(text))
