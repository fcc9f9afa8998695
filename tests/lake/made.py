"""Captures and lakes for the tests."""

from __future__ import annotations

from pathlib import Path

from flowkeep.ops.lake import LakeReport, write_lake
from flowkeep.paths import find

from tests import wire
from tests.wire import SECOND, START_NS

HOUR = 3600 * SECOND
FIRST = START_NS // HOUR * HOUR
"""A full hour."""


STEPS, LOADED = "os.rename os.mkdir fcntl.flock", "flowkeep.ops.lake flowkeep.lake.compact polars"
"""What a kill may stand before in a lake, see :func:`tests.fault.steps.killed_at`."""


def day(folder: Path, hours: int = 4) -> list[Path]:
    """A capture an hour: a short conversation, one on the same ends every hour, and a part of a long one that goes on
    through all of them."""
    folder.mkdir(exist_ok=True)
    long = wire.tcp_session(
        "10.9.9.9:5555", "10.8.8.8:22", [("c", b"x" * 100), ("s", b"y" * 100)] * (2 * hours),
        start_ns=FIRST + SECOND, step_ns=HOUR // 5,
    )  # fmt: skip
    paths = []
    for n in range(hours):
        start = FIRST + n * HOUR
        own = wire.tcp_session(
            f"10.0.{n}.1:40000", "10.0.255.1:443", [("c", b"hello")], start_ns=start + 2 * SECOND
        )
        same = wire.udp_dialogue(
            "10.0.0.7:1000", "10.0.0.8:53", [("c", b"q"), ("s", b"a")], start_ns=start + 3 * SECOND
        )
        part = [p for p in long if start <= p.ts_ns < start + HOUR]
        path = folder / f"{n:02}.pcap"
        path.write_bytes(wire.pcap(wire.merged(own, same, part)))
        paths.append(path)
    assert long[-1].ts_ns >= FIRST + (hours - 1) * HOUR
    return paths


def lake(paths: list[Path], where: Path) -> LakeReport:
    """All captures as one data set."""
    return write_lake(find(paths), where)
