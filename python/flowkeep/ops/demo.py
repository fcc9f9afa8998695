"""The use case behind ``flowkeep demo``: a made capture, described, trimmed and described again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..cut import CutPolicy
from ..errors import LedgerError, UsageError
from ..flow import Flows
from ..paths import find, ledger_path
from ..sink.atomic import Part
from ..sink.stream import naming
from ..text import safe
from .demo_traffic import write_demo
from .flows import list_flows
from .info import InfoReport, describe
from .meter import Progress
from .trim import TrimPlan, TrimReport, trim

NAME = "demo.pcapng"
_TRIMMED = "trimmed"
_MARK = b"Made by flowkeep demo"


@dataclass(frozen=True)
class Kept:
    """What is left of a flow, both directions together."""

    packets: int
    bytes: int


@dataclass(frozen=True)
class Demo:
    """What the demo made and found."""

    capture: Path
    trimmed: Path
    ledger: Path
    info: InfoReport
    flows: Flows
    """The flows of the capture before it was trimmed."""
    report: TrimReport
    kept: list[Kept]
    """What the trimmed capture holds of each flow, by ``flow_id``."""


def make(folder: Path, size: int = 100_000_000, *, progress: Progress | None = None) -> Path:
    """Make the demo capture in a folder; what an earlier run made there is replaced.

    Raises UsageError where another file of that name stands, OutputError when it cannot be written.
    """
    capture = folder / NAME
    with naming(os.fspath(capture)):
        for file in (capture, folder / _TRIMMED / NAME):
            if file.exists() and _MARK not in _head(file):
                raise UsageError(
                    f"{safe(file)} was not made by flowkeep demo and is left alone: choose another --folder"
                )
        folder.mkdir(parents=True, exist_ok=True)
        with Part(capture) as part:
            # Not synced to the disk: what was made can be made again, and a demo shall be quick.
            write_demo(part.part, size, progress=progress)
            part.commit()
    return capture


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def show(capture: Path, cutoff: int | str = "100kB") -> Demo:
    """Describe a capture, trim it into ``trimmed/`` beside it, and say what is left of its flows."""
    found = find([capture])
    info, flows = describe(found), list_flows(found)
    output = capture.parent / _TRIMMED
    report = trim(found, CutPolicy.of(cutoff), TrimPlan(output=output, ledger=True))
    trimmed = output / capture.name
    ledger = ledger_path(trimmed)
    return Demo(capture, trimmed, ledger, info, flows, report, _kept(ledger, len(flows)))


def _kept(ledger: Path, flows: int) -> list[Kept]:
    """What the ledger of a whole capture says of each flow; it is in the order of the first packets."""
    import polars

    names = ("packets", "bytes")
    both = [polars.col(f"kept_client_{name}") + polars.col(f"kept_server_{name}") for name in names]
    table = polars.read_ipc(os.fspath(ledger)).sort("first_packet").select(both)
    if len(table) != flows:
        raise LedgerError(f"{safe(ledger)}: {flows} flows were expected, {len(table)} are there")
    return [Kept(packets, size) for packets, size in table.rows()]
