"""A ledger in which somebody has written: it is told, and takes neither memory nor the process with it."""

from __future__ import annotations

import resource
from pathlib import Path

import flowkeep as fk
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import wire
from tests.fault.captures import LEDGER


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forged")
    path = folder / "a.pcap"
    flows = [wire.udp_dialogue(f"10.0.0.{n % 250}:{1000 + n}", "10.0.1.1:53") for n in range(300)]
    path.write_bytes(wire.pcap(wire.merged(*flows)))
    fk.open(path).trim("100", in_place=True)
    return path


def test_a_length_that_cannot_be_true_is_told_before_memory_is_taken(trimmed: Path) -> None:
    place = trimmed.with_name(trimmed.name + LEDGER)
    good = place.read_bytes()
    at = good.index(b"\x04\x22\x4d\x18") - 8  # the plain length stands before each LZ4 frame
    assert 0 < int.from_bytes(good[at : at + 8], "little") < 1 << 20
    for claimed in (1 << 62, 1 << 45, 1 << 33, -2 & (1 << 64) - 1):
        place.write_bytes(good[:at] + claimed.to_bytes(8, "little") + good[at + 8 :])
        flows = fk.open(trimmed).flows()
        assert flows.files[0]["ledger"] == "misfit" and "cannot become" in (
            flows.files[0]["ledger_note"] or ""
        )
    place.write_bytes(good)
    assert fk.open(trimmed).flows().files[0]["ledger"] == "used"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bytes_in_a_ledger_are_an_answer_and_not_a_crash(trimmed: Path, data: st.DataObject) -> None:
    place = trimmed.with_name(trimmed.name + LEDGER)
    good = place.read_bytes()
    forged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good) - 8))
        forged[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8)).ljust(8, b"\xff")
    del forged[data.draw(st.integers(1, len(good))) :]
    place.write_bytes(bytes(forged))
    try:
        assert fk.open(trimmed).flows().files[0]["ledger"] in ("used", "misfit")
    finally:
        place.write_bytes(good)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20
