"""Data sets whose flows go on from file to file."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from flowkeep.cut import CutPolicy
from flowkeep.ops.trim import TrimPlan, TrimReport, trim
from flowkeep.paths import LEDGER, find

from tests import wire
from tests.wire import Packet


def conversation(minutes: int = 1) -> list[Packet]:
    """Connections that last from the first packet to the last, a datagram in fragments, and short ones."""
    second = wire.SECOND
    return wire.merged(
        *(
            wire.tcp_session(
                f"10.0.0.{n}:{40000 + n}", "10.0.1.1:443", [("c", b"q" * 300), ("s", b"a" * 2500)] * 6,
                start_ns=wire.START_NS + n * second, step_ns=second,
            )
            for n in range(1, 6)
        ),
        *(
            wire.udp_dialogue(
                f"10.0.0.{n % 7 + 1}:{5000 + n}", "10.0.2.2:53", [("c", b"?" * 40), ("s", b"!" * 90)],
                start_ns=wire.START_NS + n * second, step_ns=7 * second,
            )
            for n in range(20)
        ),
        [
            Packet(wire.START_NS + (3 + 9 * n) * second, bytes(wire.ether(fragment)))
            for n, fragment in enumerate(wire.ip4_fragments("10.0.0.9", "10.0.2.2", wire.udp(9, 53, b"f" * 1500), size=600, ident=7))
        ],
    )  # fmt: skip


def spread(
    packets: list[Packet], files: int, folder: Path, *, endings: tuple[str, ...] = ("pcap",)
) -> list[Path]:
    """The packets in so many files, whose names are not in order of time."""
    folder.mkdir(parents=True, exist_ok=True)
    cuts = [len(packets) * n // files for n in range(files + 1)]
    paths = []
    for n, (a, b) in enumerate(itertools.pairwise(cuts)):
        form = endings[n % len(endings)]
        path = folder / f"{(n * 5 + 3) % max(files, 1)}-{n}.{form}"
        data = packets[a:b]
        path.write_bytes(wire.pcapng(data) if form == "pcapng" else wire.pcap(data, ns=form == "ns"))
        paths.append(path)
    return paths


def trimmed_before(paths: list[Path], folder: Path, cutoff: int) -> None:
    """Put trimmed files with their ledgers in the place of some: of every other one."""
    trim(find([path.parent for path in paths][:1]), CutPolicy(cutoff), TrimPlan(output=folder, ledger=True))
    for path in paths[1::2]:
        for name in (path.name, path.name + LEDGER):
            (path.parent / name).write_bytes((folder / name).read_bytes())


def told(report: TrimReport, root: Path) -> dict[str, Any]:
    """A report with paths below ``root``."""
    import json

    text = json.dumps(report.as_dict()).replace(f"{root}/", "")
    told: dict[str, Any] = json.loads(text)
    return told
