"""Indexing killed at every step that changes the folder leaves no half-written index."""

from __future__ import annotations

from pathlib import Path

import flowkeep as fk

from tests import wire
from tests.fault import captures
from tests.fault.captures import PART
from tests.fault.steps import killed_at

STEPS, LOADED = "open fcntl.flock os.chmod os.rename os.remove", "flowkeep.cli.index_cmd"


def test_killed_at_every_step(tmp_path: Path) -> None:
    path, beside = tmp_path / "in.pcap", tmp_path / "in.pcap.flowkeep-index"
    (packets,) = captures.slices(1, 300)
    path.write_bytes(wire.pcap(packets))
    step = 0
    while killed_at(step, STEPS, LOADED, "index", path, "--remake"):
        names = {p.name for p in tmp_path.iterdir()}
        assert names <= {path.name, beside.name, f".{beside.name}{PART}"}
        if beside.exists():  # it is there whole, or not at all
            assert fk.open(path).flows().files[0]["index"] == "used"
        step += 1
    assert step >= 4
    assert {p.name for p in tmp_path.iterdir()} == {path.name, beside.name}
    assert fk.open(path).flows().files[0]["index"] == "used"
