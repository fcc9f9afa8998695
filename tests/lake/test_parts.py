"""Which captures hold what of each flow is what the plain model says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
from flowkeep import _native
from flowkeep.cut import CutPolicy
from flowkeep.ops.trim import TrimPlan, trim
from flowkeep.paths import find
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.model.flow import Flow, Step, Tracker, steps
from tests.props.traffic import files, traffic
from tests.wire import Packet

CUTS = st.lists(st.floats(0, 1), max_size=4)
COLUMNS = ("client_packets", "server_packets", "client_bytes", "server_bytes", "first_ts", "last_ts")


def expected(packets: list[Packet], cuts: list[float]) -> list[tuple[int, int, tuple[int, ...]]]:
    borders = sorted(int(cut * len(packets)) for cut in cuts)
    shares: dict[int, list[Step]] = {}

    def note(flow: Flow, p: Step) -> None:
        shares.setdefault(id(flow), []).append(p)

    tracker = Tracker(counted=note)
    for p in steps(wire.read(wire.pcap(packets)).records):
        tracker.feed(p)
    rows = []
    for flow_id, flow in enumerate(tracker.finish()):
        client, _ = flow.client()
        by_file: dict[int, list[Step]] = {}
        for p in shares[id(flow)]:
            by_file.setdefault(sum(border <= p.number for border in borders), []).append(p)
        for file, held in sorted(by_file.items()):
            sent = [p.sender(flow) == client for p in held]
            packets_ = [sent.count(True), sent.count(False)]
            bytes_ = [
                sum(p.caplen for p, mine in zip(held, sent, strict=True) if mine is end)
                for end in (True, False)
            ]
            times = [p.ts for p in held]
            rows.append((flow_id, file, (*packets_, *bytes_, min(times), max(times))))
    return rows


def listed(paths: list[Path], jobs: int = 1, **options: bool) -> pl.DataFrame:
    scanner = _native.Scanner(parts=True, jobs=jobs, **options)
    for path in paths:
        beside = path.with_name(path.name + ".ledger.arrow")
        scanner.file(str(path), ledger=str(beside) if beside.exists() else None)
    flows = scanner.flows()
    parts = scanner.parts()
    assert parts is not None and scanner.parts() is None
    frame = pl.DataFrame(parts)
    sums = frame.group_by("flow_id").agg(
        pl.col(COLUMNS[:4]).sum(), pl.col("first_ts").min(), pl.col("last_ts").max()
    )
    times = pl.col("first_ts", "last_ts").dt.epoch("ns")
    whole = pl.DataFrame(flows).with_columns(times).select("flow_id", *COLUMNS)
    assert sums.sort("flow_id").select(whole.columns).rows() == whole.rows()
    assert pl.concat([pl.DataFrame(parts.of(n, n + 1)) for n in range(len(flows))] or [frame]).equals(frame)
    return frame


@settings(max_examples=60, deadline=None)
@given(traffic(), CUTS, st.sampled_from([{}, {"details": True}, {"identify": True}]))
def test_parts_are_those_of_the_model(
    packets: list[Packet], cuts: list[float], options: dict[str, bool]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        frame = listed(files(packets, cuts, Path(folder) / "in"), **options)
    found = [(row["flow_id"], row["file"], tuple(row[name] for name in COLUMNS)) for row in frame.to_dicts()]
    assert found == expected(packets, cuts)
    assert (frame["packets_left"] == frame["client_packets"] + frame["server_packets"]).all()


@settings(max_examples=30, deadline=None)
@given(traffic(), CUTS, st.integers(0, 2000))
def test_of_trimmed_captures_they_are_those_before_and_what_is_left(
    packets: list[Packet], cuts: list[float], cutoff: int
) -> None:
    packets = [p for p in packets if p.data != b""]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = files(packets, cuts, root / "in")
        report = trim(find([root / "in"]), CutPolicy(cutoff), TrimPlan(output=root / "out", ledger=True))
        whole, less = listed(paths), listed([root / "out" / path.name for path in paths])
    aside = sum(sum(file.trim["no_flow"].values()) for file in report.files if file.trim is not None)
    if not any(fragment(p.data) for p in packets):
        assert less.drop("packets_left").equals(whole.drop("packets_left"))
        assert less["packets_left"].sum() == report.total("packets_kept") - aside


def fragment(data: bytes) -> bool:
    """Perhaps. A ledger counts a fragment that waits for the next file with that file."""
    if data[12:14] not in (b"\x08\x00", b"\x86\xdd"):
        return data[12:14] != b"\x08\x06"
    return (
        data[20:21] == b"\x2c"
        if data[12:14] == b"\x86\xdd"
        else bool(int.from_bytes(data[20:22], "big") & 0x3FFF)
    )


def test_threads_make_no_difference(tmp_path: Path) -> None:
    packets = wire.merged(
        *[wire.tcp_session(f"10.0.0.{n}:1000", script=[("s", bytes(30_000))]) for n in range(1, 20)]
    )
    paths = files(packets, [0.3, 0.5], tmp_path / "in")
    assert listed(paths, 1).equals(listed(paths, 4))
