"""The use case behind ``flowkeep demo``: a made capture, described, trimmed and described again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..cut import CutPolicy
from ..flow import Flows
from ..paths import find
from ..sink.atomic import Part
from ..sink.stream import naming
from .demo_traffic import write_demo
from .flows import list_flows
from .info import InfoReport, describe
from .meter import Progress
from .trim import TrimPlan, TrimReport, trim

NAME = "demo.pcapng"


@dataclass(frozen=True)
class Demo:
    """What the demo made and found."""

    capture: Path
    trimmed: Path
    info: InfoReport
    before: Flows
    report: TrimReport
    after: Flows


def make(folder: Path, size: int = 100_000_000, *, progress: Progress | None = None) -> Path:
    """Make the demo capture in a folder; it becomes visible only when whole. Raises OutputError."""
    capture = folder / NAME
    with naming(os.fspath(capture)):
        folder.mkdir(parents=True, exist_ok=True)
        with Part(capture) as part:
            write_demo(part.part, size, progress=progress)
            part.sync()
            part.commit()
    return capture


def show(capture: Path, cutoff: int | str = "100kB") -> Demo:
    """Describe a capture, trim it into ``trimmed/`` beside it, and list its flows before and after."""
    found = find([capture])
    info, before = describe(found), list_flows(found)
    output = capture.parent / "trimmed"
    report = trim(found, CutPolicy.of(cutoff), TrimPlan(output=output, ledger=True))
    after = list_flows(find([output / capture.name]))
    return Demo(capture, output / capture.name, info, before, report, after)
