"""What ``info`` says a cutoff would leave is what trimming leaves."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import flowkeep as fk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.props.traffic import traffic
from tests.wire import START_NS, Packet

CUTOFFS = [0, 100, 300, 1000, 3000]


def write(path: Path, packets: list[Packet]) -> Path:
    path.write_bytes(wire.pcap(packets, ns=True))
    return path


def said_and_done(path: Path) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Packets and bytes kept and flows cut at each cutoff, by ``info`` and by a trimming."""
    data = fk.open(path)
    said = [(w["kept_packets"], w["kept_bytes"], w["flows_cut"]) for w in data.info(cutoffs=CUTOFFS).what_if]
    reports = [data.trim(cutoff, dry_run=True) for cutoff in CUTOFFS]
    done = [(r.total("packets_kept"), r.total("bytes_kept"), r.total("flows_cut")) for r in reports]
    return said, done


@given(traffic())
@settings(max_examples=100, deadline=None)
def test_of_any_capture(packets: list[Packet]) -> None:
    with TemporaryDirectory() as name:
        path = write(Path(name) / "a.pcap", packets)
        said, done = said_and_done(path)
        assert said == done
        assert fk.open(path).info().flows == len(fk.open(path).flows())


@given(traffic(), st.sampled_from(CUTOFFS))
@settings(max_examples=100, deadline=None)
def test_of_a_trimmed_capture_with_its_ledger(packets: list[Packet], cutoff: int) -> None:
    with TemporaryDirectory() as name:
        path = write(Path(name) / "a.pcap", packets)
        flows = fk.open(path).info().flows
        fk.open(path).trim(cutoff, in_place=True)
        said, done = said_and_done(path)
        assert said == done
        assert fk.open(path).info().flows == flows


def test_a_fragment_that_waits_at_the_end_is_counted(tmp_path: Path) -> None:
    _, later = wire.ip4_fragments("10.0.0.1", "10.0.0.2", wire.udp(40000, 9, bytes(700)), size=504, ident=7)
    path = write(tmp_path / "a.pcap", [Packet(START_NS, bytes(wire.ether(later)))])
    info = fk.open(path).info(cutoffs=[0, 10**6])
    assert [(w["kept_packets"], w["flows_cut"]) for w in info.what_if] == [(0, 1), (1, 0)]
    assert info.flows == 1
