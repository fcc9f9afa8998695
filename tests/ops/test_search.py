"""A search finds what looking through each whole stream finds, and shows nothing raw."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import flowkeep as fk
import pytest
from flowkeep.ops.search import Pattern, SearchReport, search
from flowkeep.paths import find
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.cli import command
from tests.wire import Packet

SIDES = {"client": "c", "server": "s"}


def found(path: Path, pattern: Pattern, query: fk.FlowQuery | None = None, **given: object) -> SearchReport:
    return search(find([path]), pattern, query, **given)  # type: ignore[arg-type]


def written(folder: Path, packets: list[Packet], name: str = "a.pcap") -> Path:
    path = folder / name
    path.write_bytes(wire.pcap(packets))
    return path


text = st.lists(st.sampled_from([b"a", b"b", b"\xff", b"\n"]), max_size=60).map(b"".join)
script = st.lists(st.tuples(st.sampled_from("cs"), text), max_size=6)


@given(
    script, text.filter(lambda t: 0 < len(t) < 6), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1)
)
@settings(max_examples=60, deadline=None)
def test_streams_and_datagrams_against_the_plain_search(
    lines: list[tuple[wire.talk.Side, bytes]], wanted: bytes, mss: int, six: bool, isn: int
) -> None:
    ends = ("[2001:db8::1]:40000", "[2001:db8::2]:80") if six else ("10.0.0.1:40000", "10.0.0.2:80")
    web = wire.tcp_session(*ends, script=lines, mss=mss, isn=(isn, 2**32 - 3))
    talk = wire.udp_dialogue(*ends, script=lines)
    with TemporaryDirectory() as name:
        path = written(Path(name), sorted([*web, *talk], key=lambda p: p.ts_ns))
        report = found(path, Pattern(wanted))
    streams = {"client": b"", "server": b""}
    for side, data in lines:
        streams["client" if side == "c" else "server"] += data
    expected = sorted(
        (sender, m.start()) for sender, data in streams.items() for m in re.finditer(re.escape(wanted), data)
    )
    assert sorted((h.sender, h.offset) for h in report.hits if h.offset is not None) == expected
    singles = [h for h in report.hits if h.offset is None]
    assert len(singles) == sum(data.count(wanted) for _, data in lines)
    assert report.matches == len(report.hits) == sum(report.found.values())


def web(*says: bytes, port: int = 80, mss: int = 1460) -> list[Packet]:
    return wire.tcp_session(f"10.0.0.1:{40000 + port}", f"10.0.0.2:{port}", mss=mss,
                            script=[("c", say) for say in says])  # fmt: skip


def test_packet_number_time_and_excerpt(tmp_path: Path) -> None:
    packets = web(b"x" * 100 + b"needle" + b"y" * 100, mss=103)
    report = found(written(tmp_path, packets), Pattern(b"needle"))
    (hit,) = report.hits
    assert packets[hit.packet - 1].data.endswith(b"dle" + b"y" * 100)
    assert (hit.ts, hit.offset, hit.length) == (packets[hit.packet - 1].ts_ns, 100, 6)
    assert hit.excerpt == (b"x" * 24, b"needle", b"y" * 24)


def test_packet_numbers_begin_anew_in_each_capture(tmp_path: Path) -> None:
    packets = web(b"one", b"needle", b"needle")
    cut = next(i for i, p in enumerate(packets) if b"needle" in p.data) + 1
    first, second = written(tmp_path, packets[:cut], "1.pcap"), written(tmp_path, packets[cut:], "2.pcap")
    report = search(find([second, first]), Pattern(b"needle"))
    assert [(h.path, h.offset) for h in report.hits] == [(first, 3), (second, 9)]
    assert [packets[h.packet - 1 + cut * (h.path == second)].data[-6:] for h in report.hits] == [
        b"needle"
    ] * 2


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_fragments_are_searched_by_themselves_in_any_order(order: tuple[int, ...], tmp_path: Path) -> None:
    body = wire.udp(1, 2, b"needle.." + b"..needle" + b"nee" + b"dle".rjust(13, b"-"))
    parts = wire.ip4_fragments("10.0.0.1", "10.0.0.2", body, size=16, ident=7)
    assert len(parts) == 3 or len(parts) == 4
    order = (*order, *range(3, len(parts)))
    packets = [Packet(wire.START_NS + i, wire.ether(parts[n])) for i, n in enumerate(order)]
    report = found(written(tmp_path, packets), Pattern(b"needle"))
    assert [h.packet for h in report.hits] == sorted(order.index(n) + 1 for n in (0, 1))
    assert report.found == {0: 2}


def test_a_query_chooses_and_flow_ids_are_those_of_a_listing(tmp_path: Path) -> None:
    packets = sorted([*web(b"needle", port=80), *web(b"needle", port=81), *web(b"other", port=82)],
                     key=lambda p: p.ts_ns)  # fmt: skip
    path = written(tmp_path, packets)
    every = found(path, Pattern(b"needle"))
    flows = {row["flow_id"]: row["server_port"] for row in fk.open(path).flows().to_dicts()}
    assert {flows[i] for i in every.found} == {80, 81}
    one = found(path, Pattern(b"needle"), fk.FlowQuery(where="server_port = 81"))
    assert [flows[h.flow_id] for h in one.hits] == [81]
    none = found(path, Pattern(b"needle"), fk.FlowQuery(where="server_port = 82"))
    assert (none.matches, none.hits) == (0, [])


def test_a_query_over_a_trimmed_capture_uses_the_true_totals(tmp_path: Path) -> None:
    path = written(tmp_path, web(b"needle", bytes(50_000)))
    fk.open(path).trim("1kB", in_place=True)
    assert found(path, Pattern(b"needle"), fk.FlowQuery(where="bytes > 50000")).matches == 1
    assert found(path, Pattern(b"needle"), fk.FlowQuery(where="bytes < 50000")).matches == 0
    done = command.run("search", "needle", path, "--flows")
    (flow,) = fk.open(path).flows().to_dicts()
    assert done.stdout.decode().split() == [str(flow["flow_id"])]


def test_threads_change_nothing(tmp_path: Path) -> None:
    says = [bytes([65 + i % 26]) * (i % 700) + b"needle" for i in range(2000)]
    path = written(tmp_path, web(*says, mss=97))
    reports = [found(path, Pattern(b"needle"), options=fk.ReadOptions(jobs=jobs)) for jobs in (1, 2, 5)]
    assert reports[0].matches == 2000
    assert len(reports[0].hits) == 1000
    assert reports[0].hits == reports[1].hits == reports[2].hits


EVIL = b"\x1b[31m\x9b2J\r\n\x07needle\x1b]0;x\x07\\[red]"


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
def test_nothing_raw_reaches_the_terminal(form: str, tmp_path: Path) -> None:
    path = written(tmp_path, web(EVIL), "a\x1b[2J.pcap")
    done = command.run("search", "-E", r"\x1b\]0;.", path, "--format", form)
    assert done.returncode == 0
    command.said(done)
    command.fit(done.stdout.decode())
    assert rb"\x1b]0;x" in done.stdout.replace(b"\\\\", b"\\")
    assert b"[red]" in done.stdout


def test_forms_agree(tmp_path: Path) -> None:
    path = written(tmp_path, web(b"one needle, two Needle"))
    run = ["search", "-i", "NEEDLE", path]
    table = json.loads(command.run(*run, "--format", "json").stdout)
    assert [(row["offset"], row["match"], row["from"]) for row in table] == [
        (4, "needle", "client"),
        (16, "Needle", "client"),
    ]
    lines = command.run(*run, "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == table
    rows = list(csv.DictReader(io.StringIO(command.run(*run, "--format", "csv").stdout.decode())))
    assert [{k: str(v) for k, v in row.items()} for row in table] == rows
    assert command.run(*run, "--count").stdout == b"2\n"
    assert command.run(*run, "--flows").stdout == b"0\n"
    done = command.run(*run, "--max-hits", "1", "-o", tmp_path / "out", "--format", "csv")
    assert done.stdout == b""
    assert "2 matches in 1 of 1 flow; 1 are listed" in command.said(done)
    assert len((tmp_path / "out").read_text().splitlines()) == 2


def test_found_or_not_the_status_says_whether_the_captures_were_whole(tmp_path: Path) -> None:
    path = written(tmp_path, web(b"needle"))
    assert command.run("search", "needle", path).returncode == 0
    assert command.run("search", "nothing", path).returncode == 0
    path.write_bytes(path.read_bytes()[:-3])
    done = command.run("search", "needle", path, "--count")
    assert (done.returncode, done.stdout) == (1, b"1\n")
    assert "damaged" in command.said(done)


def test_standard_input(tmp_path: Path) -> None:
    capture = wire.pcap(web(b"\xde\xad\xbe\xef"))
    done = command.run("search", "-x", "de:AD be 0xef", "-", "--count", input=capture)
    assert (done.returncode, done.stdout) == (0, b"1\n")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("",), "empty"),
        (("-E", "a*"), "nothing at all"),
        (("-E", "(a"), "unclosed group"),
        (("-E", r"(\w{100}){100}"), "repetitions"),
        (("-x", "abc"), "pairs"),
        (("-x", "zz"), "pairs"),
        (("-x", "ab" * 5000), "at most 4096"),
        (("-x", "ab", "-i"), "no case"),
        (("a" * 100_000,), "at most 4096"),
        (("a", "--count", "--format", "csv"), "plain lines"),
    ],
    ids=range(10),
)
def test_a_pattern_that_cannot_be_meant_is_explained(
    args: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    path = written(tmp_path, web(b"a"))
    done = command.run("search", *args, path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in command.said(done)
