"""Tuples and Community IDs are found in the text of logs, whatever else is in it."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import flowkeep as fk
import polars as pl
import pytest
from flowkeep.errors import UsageError
from flowkeep.ops.export import FORMATS, export
from flowkeep.select import tuples
from flowkeep.select.listing import MAX_LINE, read_list
from flowkeep.select.lookup import look_up
from flowkeep.select.tuples import Ends, find_tuples
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.cli import command

ID = "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
PAIR = ("10.0.0.1", 40000, "192.0.2.1", 443)
SIX = ("2001:db8::1", 40000, "2001:db8::2", 443)
HEAD = "ts,te,td,sa,da,sp,dp,pr,flg,fwd\n2024-05-01 10:00:00,2024-05-01 10:00:01,1.0,"
FULL = "2001:0db8:0000:0000:0000:0000:0000:000"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1:40000 -> 192.0.2.1:443", (*PAIR, None)),
        ("10.0.0.1 -> 192.0.2.1:443", ("10.0.0.1", None, "192.0.2.1", 443, None)),
        ("see 10.0.0.1 and 192.0.2.1.", ("10.0.0.1", None, "192.0.2.1", None, None)),
        ("tcp 10.0.0.1 40000 192.0.2.1 443", (*PAIR, "tcp")),
        ("10.0.0.1,40000,192.0.2.1,443,udp", (*PAIR, "udp")),
        ("10.0.0.1 port 40000 192.0.2.1 port 443", (*PAIR, None)),
        ("<b>10.0.0.1:40000</b> - '192.0.2.1:443'", (*PAIR, None)),
        ("[2001:db8::1]:40000 -> [2001:db8::2]:443", (*SIX, None)),
        ("2001:db8::1 -> 2001:DB8:0:0::2", ("2001:db8::1", None, "2001:db8::2", None, None)),
        ("2001:db8::1:40000 -> 2001:db8::2:443", (*SIX, None)),
        (f"{FULL}1:40000 -> {FULL}2:443", (*SIX, None)),
        ("fe80::1%eth0 -> [ff02::fb%eth0]:5353", ("fe80::1", None, "ff02::fb", 5353, None)),
        ("::ffff:10.0.0.1 -> ::ffff:10.0.0.2", ("::ffff:10.0.0.1", None, "::ffff:10.0.0.2", None, None)),
        ("12:00:00.1 IP 10.0.0.1.40000 > 192.0.2.1.443: Flags [S], seq 1", (*PAIR, None)),
        ("12:00:00.1 IP6 2001:db8::1.40000 > 2001:db8::2.443: Flags [S]", (*SIX, None)),
        (
            "05/01-10:00:00.1  [**] [1:2019:3] ET udp things [**] [Class: x] {TCP} 10.0.0.1:40000 -> 192.0.2.1:443",
            (*PAIR, "tcp"),
        ),
        (
            "Jan  1 h kernel: IN=eth0 MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:08:00 SRC=10.0.0.1 DST=192.0.2.1 LEN=60 "
            "TTL=64 PROTO=TCP SPT=40000 DPT=443 [SRC=9.9.9.9 DST=8.8.8.8 PROTO=UDP SPT=1 DPT=2 ]",
            (*PAIR, "tcp"),
        ),
        ('logid=9 srcip=10.0.0.1 srcport=40000 dstip="192.0.2.1" dstport=443 proto=6', (*PAIR, "tcp")),
        ("tcp 6 431 src=10.0.0.1 dst=192.0.2.1 sport=40000 dport=443 src=192.0.2.1 dst=10.0.0.1", (*PAIR, None)),
        (f"{HEAD}10.0.0.1,192.0.2.1,40000,443,TCP,...A.,0", (*PAIR, "tcp")),
        (f"{HEAD}10.0.0.1,192.0.2.1,0,8.0,ICMP,...,0", ("10.0.0.1", None, "192.0.2.1", None, "icmp")),
        ("Source IP;Destination IP;Source Port;Dest Port;Protocol\n10.0.0.1;192.0.2.1;40000;443;6", (*PAIR, "tcp")),
        ("ip.src\tip.dst\ttcp.srcport\ttcp.dstport\n10.0.0.1\t192.0.2.1\t40000\t443", (*PAIR, None)),
        (
            "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n#types\ttime\n"
            "1.5\tCab\t10.0.0.1\t40000\t192.0.2.1\t443\ttcp\n#close\t2024-05-01",
            (*PAIR, "tcp"),
        ),
        (
            '{"ts":1,"id.orig_h":"2001:db8::1","id.orig_p":128,"id.resp_h":"2001:db8::2","id.resp_p":0,"proto":"icmp"}',
            ("2001:db8::1", None, "2001:db8::2", None, "icmp6"),
        ),
        ('{"id":{"orig_h":"10.0.0.1","orig_p":40000,"resp_h":"192.0.2.1","resp_p":443}}', (*PAIR, None)),
        (
            '{"src_ip":"10.0.0.1","src_port":40000,"dest_ip":"192.0.2.1","dest_port":443,"proto":"TCP","flow":{"x":1}}',
            (*PAIR, "tcp"),
        ),
        ("UDP Conversations\n10.0.0.1:40000     <-> 192.0.2.1:443   3 120 bytes", (*PAIR, "UDP".lower())),
    ],
)  # fmt: skip
def test_each_form_is_read(text: str, found: Ends) -> None:
    wanted = find_tuples(text.splitlines())
    assert (list(wanted.ends), wanted.communities) == ([found], {})
    assert wanted.lines == [len(text.partition("\n#close")[0].splitlines())]


@pytest.mark.parametrize(
    "text", [f"alert {ID} seen", f'{{"community_id":"{ID}"}}', f"name,community_id\nx,{ID}"]
)
def test_community_ids_are_read(text: str) -> None:
    assert find_tuples(text.splitlines()).communities == {ID: 0}


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1", "00:11:22:33:44:55 -> 66:77:88:99:aa:bb", "12:00:00 std::string", "999.0.0.1:1 -> 1.2.3.4:2",
     "1.2.3.4:1 -> 1.2.3.4:70000", "version 1.2.3.4.5.6", '{"src_ip": null, "dest_ip": {}}', "{" * 3000, "[{}",
     "sa,da\nx,y", "1:short=", "10.0.0.1" + " " * 50 + "10.0.0.2", "10.0.0.1 -> 2001:db8::1", "a\0 10.0.0.1:1 -> 10.0.0.2:2"],
)  # fmt: skip
def test_nothing_is_made_up(text: str) -> None:
    assert find_tuples(text.splitlines()).lines == []


def test_what_is_named_again_is_no_new_find() -> None:
    wanted = find_tuples(
        ["10.0.0.1:1 -> 10.0.0.2:2", "", "10.0.0.1:1 -> 10.0.0.2:2", f"10.0.0.1:1 10.0.0.2:3 {ID}"]
    )
    assert wanted.lines == [1, 4]
    assert wanted.read == 4


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str) -> None:
    wanted = find_tuples(text.split("\n"))
    for a, ap, b, bp, _ in wanted.ends:
        for address in (a, b):
            assert all(c in "0123456789abcdef.:" for c in address)
        assert all(port is None or 0 <= port < 65536 for port in (ap, bp))


def test_there_is_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuples, "MAX_TUPLES", 3)
    lines = [f"10.0.0.1:{port} -> 10.0.0.2:9" for port in range(4)]
    assert len(find_tuples(lines[:3] * 2).lines) == 3
    with pytest.raises(UsageError, match="line 4: 3 different"):
        find_tuples(lines)


ENDS = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]), st.sampled_from([0, 53, 443]))
FLOW = st.tuples(
    ENDS, ENDS, st.sampled_from(["tcp", "udp"]), st.sampled_from([None, ID, ID.replace("Q", "R")])
)
ASKED = st.tuples(ENDS, st.booleans(), ENDS, st.booleans(), st.sampled_from(["tcp", "udp", None]))


@given(st.lists(FLOW, max_size=12), st.lists(ASKED, max_size=8), st.booleans())
@settings(max_examples=200, deadline=None)
def test_looking_up_is_comparing_each_with_each(flows: list[Any], asked: list[Any], community: bool) -> None:
    wanted = tuples.Wanted()
    for line, ((a, ap), with_a, (b, bp), with_b, proto) in enumerate(asked):
        wanted.add(line, [(a, ap if with_a else None, b, bp if with_b else None, proto)], [])
    if community:
        wanted.add(99, [], [ID])
    schema = {"client_ip": pl.String, "client_port": pl.UInt16, "server_ip": pl.String, "server_port": pl.UInt16,
              "proto": pl.String, "community_id": pl.String}  # fmt: skip
    rows = [(a, ap, b, bp, proto, one) for (a, ap), (b, bp), proto, one in flows]
    chosen, vain = look_up(pl.DataFrame(rows, schema=schema, orient="row"), wanted)

    def meets(ends: Ends, row: tuple[object, ...]) -> bool:
        ways = (row[:5], (row[2], row[3], row[0], row[1], row[4]))
        return any(all(w is None or w == v for w, v in zip(ends, way, strict=True)) for way in ways)

    ids = wanted.communities
    assert chosen.to_list() == [any(meets(e, row) for e in wanted.ends) or row[5] in ids for row in rows]
    hit = {n for e, n in wanted.ends.items() if any(meets(e, row) for row in rows)}
    hit |= {n for one, n in ids.items() if any(row[5] == one for row in rows)}
    assert vain == [line for n, line in enumerate(wanted.lines) if n not in hit]


WEB = wire.tcp_session("10.0.0.1:40000", "10.0.0.2:80", script=[("c", b"GET"), ("s", bytes(900))])
DNS = wire.udp_dialogue("[2001:db8::1]:5353", "[2001:db8::2]:53", script=[("c", b"who"), ("s", b"me")])


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(sorted([*WEB, *DNS], key=lambda p: p.ts_ns)))
    return path


@pytest.mark.parametrize("form", [f for f in FORMATS if f not in ("parquet", "arrow")])
def test_what_flows_writes_is_read(form: str, capture: Path, tmp_path: Path) -> None:
    flows = fk.open(capture).flows()
    export(flows, form, str(tmp_path / "list"))
    query = fk.FlowQuery(flows_from=(tmp_path / "list",))
    assert query.ids(flows) == [0, 1]
    assert len(query.lists[0].lines) == 2
    export(flows.take([1]), form, str(tmp_path / "list"))
    assert fk.FlowQuery(flows_from=str(tmp_path / "list")).ids(flows) == [1]  # type: ignore[arg-type]


def test_conversations_of_tshark_are_read(capture: Path, tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        print("skipped: no tshark")
        pytest.skip("no tshark")
    flows = fk.open(capture).flows()
    for kind, ids in (("tcp", [0]), ("udp", [1]), ("ip", [0]), ("ipv6", [1])):
        done = subprocess.run([tshark, "-n", "-q", "-r", capture, "-z", f"conv,{kind}"], capture_output=True)
        (tmp_path / "list").write_bytes(done.stdout)
        query = fk.FlowQuery(flows_from=(tmp_path / "list",))
        assert (query.ids(flows), query.choose(flows).unmatched) == (ids, {str(tmp_path / "list"): []}), kind


def test_lists_are_bounded_and_may_be_anything(tmp_path: Path) -> None:
    path = tmp_path / "list"
    good = b"10.0.0.1:1 -> 10.0.0.2:2\n"
    path.write_bytes(b"x" * (3 * MAX_LINE) + b"\n\0\0\n\xff\xfe\xc0 " + good + b"y" * MAX_LINE * 2)
    wanted = read_list(path)
    assert (len(wanted.lines), wanted.skipped, wanted.lines) == (1, 3, [3])
    path.write_bytes(gzip.compress(good))
    assert len(read_list(path).lines) == 1
    path.write_bytes(b"\xef\xbb\xbf" + good)
    assert len(read_list(path).lines) == 1
    for data, word in [
        (b"", "understood are"), (b"\0" * 100, "1 skipped"), (wire.pcap(WEB), "understood are"),
        (good.decode().encode("utf-16"), "UTF-8"), (gzip.compress(good)[:-9], "gzip"),
        (b"\x1f\x8b" + bytes(40), "gzip"),
    ]:  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(UsageError) as told:
            read_list(path)
        assert word in str(told.value) and str(path) in str(told.value)


def test_the_command_line_says_what_was_found(capture: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil\x1b[2J"
    evil.write_text("10.0.0.2:80 -> 10.0.0.1:40000\n10.0.0.9:1 -> 10.0.0.8:2\n")
    done = command.run("flows", capture, "--flows-from", evil, "--format", "ndjson")
    assert [json.loads(line)["server_port"] for line in done.stdout.splitlines()] == [80]
    said = command.said(done)
    assert "2 different flows named in 2 lines" in said
    assert "1 of them match no flow, first named on line 2" in said
    done = command.run("extract", capture, "--flows-from", "-", "-o", tmp_path / "out.pcap", input=b"[2001:db8::1] ::1 "
                       b"[2001:db8::2]\n" + b"[2001:db8::1] [2001:db8::2]")  # fmt: skip
    assert "1 of 2 flows, 2 packets" in command.said(done)
    for args, word in [
        (("-", "--flows-from", "-"), "standard input"),
        ((capture, "--flows-from", "-", "--flows-from", "-"), "standard input"),
        ((capture, "--flows-from", capture), "understood are"),
        ((capture, "--not"), "--where"),
        ((capture, "--since", "end+1h"), "end-2h"),
    ]:
        done = command.run("flows", *args, input=b"")
        assert (done.returncode, word in command.said(done)) == (2, True), args
    done = command.run("flows", capture, "--flows-from", tmp_path / "none")
    assert done.returncode > 1 and "none" in command.said(done)


def test_two_lists_are_one_or_the_other(capture: Path, tmp_path: Path) -> None:
    for name, text in (("a", "10.0.0.1 10.0.0.2"), ("b", "[2001:db8::1]:5353 [2001:db8::2]:53")):
        (tmp_path / name).write_text(text)
    flows = fk.open(capture).flows()
    both = fk.FlowQuery(flows_from=(tmp_path / "a", tmp_path / "b"))
    assert both.ids(flows) == [0, 1]
    assert fk.FlowQuery(flows_from=(tmp_path / "a",), flow_filter="udp").ids(flows) == []


def test_standard_input_may_be_anything_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"10.0.0.1 10.0.0.2\n")))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read_list("-").source == "standard input"
