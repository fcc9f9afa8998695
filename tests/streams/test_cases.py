"""What is true of each case comes out, through the files and through the events; beside what others make of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep import stream as events

from tests import wire
from tests.streams.cases import CASES, Case

DOC = Path(__file__).parents[2] / "docs" / "streams-compared.md"
IDS = [case.name for case in CASES]


@pytest.fixture(params=CASES, ids=IDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    assert isinstance(request.param, Case)
    (tmp_path / "case.pcap").write_bytes(wire.pcap(request.param.packets))
    return request.param


def manifest(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "streams.json").read_text())
    return read


def test_events(case: Case, tmp_path: Path) -> None:
    with fk.open(tmp_path / "case.pcap").stream(0) as stream:
        client = list(stream.client)
        assert stream.client.bytes() == case.data
        assert stream.client.open().read() == case.data
        assert stream.server.bytes() == b""
    gaps = [(e.offset, e.length, e.reason) for e in client if isinstance(e, events.Gap)]
    assert gaps == case.gaps
    overlaps = [(e.offset, e.kept, e.other) for e in client if isinstance(e, events.Overlap)]
    assert overlaps == case.overlaps
    assert [e.name for e in client if isinstance(e, events.Anomaly)] == case.anomalies
    # Data and gaps follow each other without a break, and each byte is in the frame that is named.
    at = 0
    packets = case.packets
    for event in client:
        if isinstance(event, events.Data):
            assert event.offset == at
            at += len(event.data)
            payload = packets[event.frame.number - 1].data[54:]
            assert payload[event.skip : event.skip + len(event.data)] == event.data
            assert event.frame.time_ns // 1000 == packets[event.frame.number - 1].ts_ns // 1000
        elif isinstance(event, events.Gap):
            assert event.offset == at
            at += event.length


def test_files(case: Case, tmp_path: Path) -> None:
    report = fk.open(tmp_path / "case.pcap").streams(tmp_path / "out", frames=True, all_versions=True)
    (flow,) = manifest(tmp_path / "out")["flows"]
    files = flow["client"]["files"]
    pieces = [(tmp_path / "out" / f["name"]).read_bytes() for f in files]
    assert b"".join(pieces) == case.data
    outer = {0, len(filled(case))}
    assert len(pieces) == 1 + len([g for g in case.gaps if not outer & {g[0], g[0] + g[1]}])
    for file, piece in zip(files, pieces, strict=True):
        assert (file["bytes"], file["end"] - file["offset"]) == (len(piece), len(piece))
        assert file["sha256"] == hashlib.sha256(piece).hexdigest()
        assert file["name"].endswith(".client" if file["offset"] == 0 else f".client.at-{file['offset']}")
        rows = (tmp_path / "out" / file["frames"]).read_text().splitlines()[1:]
        place = 0
        for row in rows:
            begin, offset, length, missing, number, frame, _ = map(int, row.split(","))
            assert (begin, offset, missing, number) == (place, file["offset"] + place, 0, 0)
            assert piece[begin : begin + length] in case.packets[frame - 1].data
            place += length
        assert place == len(piece)
    assert [(g["offset"], g["length"], g["reason"]) for g in flow["client"]["gaps"]] == case.gaps
    versions = [
        (o["offset"], *((tmp_path / "out" / o[end]["name"]).read_bytes() for end in ("kept", "other")))
        for o in flow["client"]["overlaps"]
    ]
    assert versions == case.overlaps
    for overlap, (_, kept, other) in zip(flow["client"]["overlaps"], case.overlaps, strict=True):
        for end, version in (("kept", kept), ("other", other)):
            assert overlap[end]["ttl"] == 64
            assert version in case.packets[overlap[end]["frame"] - 1].data
    assert (report.overlaps, report.gaps) == (len(case.overlaps), len(case.gaps))
    listed = {f["name"] for f in files} | {f["frames"] for f in files} | {"streams.json"}
    listed |= {o[end]["name"] for o in flow["client"]["overlaps"] for end in ("kept", "other")}
    assert {p.name for p in (tmp_path / "out").iterdir()} == listed
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in listed)


def filled(case: Case) -> bytes:
    """The stream with zeros in its gaps."""
    data = case.data
    for offset, length, _ in case.gaps:
        data = data[:offset] + bytes(length) + data[offset:]
    return data


@pytest.mark.parametrize("gaps", ["omit", "zero", "sparse"])
def test_gaps_otherwise(case: Case, gaps: Any, tmp_path: Path) -> None:
    fk.open(tmp_path / "case.pcap").streams(tmp_path / "out", gaps=gaps)
    (flow,) = manifest(tmp_path / "out")["flows"]
    (file,) = flow["client"]["files"]
    written = (tmp_path / "out" / file["name"]).read_bytes()
    assert written == (case.data if gaps == "omit" else filled(case))
    assert file["sha256"] == hashlib.sha256(written).hexdigest()
    with fk.open(tmp_path / "case.pcap").stream(0) as stream:
        assert stream.client.bytes(gaps="zero") == filled(case)


def tshark(path: Path, stream: int = 0) -> tuple[bytes, bytes]:
    """Both streams as ``follow`` gives them: of whom it calls node 0, and of the other."""
    line = ["tshark", "-n", "-r", str(path), "-q", "-z", f"follow,tcp,raw,{stream}"]
    text = subprocess.run(line, capture_output=True, check=True, text=True).stdout
    halves = [b"", b""]
    for row in text.split("Node 1: ")[1].splitlines()[1:]:
        if set(row) == {"="}:
            break
        halves[row.startswith("\t")] += bytes.fromhex(row.strip())
    return halves[0], halves[1]


needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
needs_tcpflow = pytest.mark.skipif(shutil.which("tcpflow") is None, reason="tcpflow is not installed")


@needs_tshark
def test_beside_tshark(case: Case, tmp_path: Path) -> None:
    halves = tshark(tmp_path / "case.pcap")
    assert max(halves, key=len) == (case.data if case.tshark is None else case.tshark)


@needs_tcpflow
def test_beside_tcpflow(case: Case, tmp_path: Path) -> None:
    line = ["tcpflow", "-r", "case.pcap", "-o", "flow"]
    subprocess.run(line, cwd=tmp_path, capture_output=True, check=True)
    # What comes behind the end goes into a second file of it.
    made = min((tmp_path / "flow").glob("010.000.000.001.40000-*"), key=lambda p: len(p.name))
    assert made.read_bytes() == (case.data if case.tcpflow is None else case.tcpflow)


@pytest.mark.parametrize("case", [c for c in CASES if c.tshark or c.tcpflow], ids=lambda c: c.name)
def test_each_difference_is_explained(case: Case) -> None:
    (line,) = [row for row in DOC.read_text().splitlines() if row.startswith(f"| {case.name} |")]
    assert len(line) > 40
