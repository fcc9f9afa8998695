"""``flowkeep info``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from ..ops.export import print_text
from ..ops.info import CUTOFFS, describe
from ..paths import find
from . import notes
from .options import SIZE, paths, read_options, reading
from .progress import ProgressBar
from .stream import colored, width


@click.command()
@paths
@click.option(
    "--cutoff",
    "cutoffs",
    type=SIZE,
    multiple=True,
    metavar="SIZE",
    help="A cutoff to try; may be given several times.  [default: 10kB 100kB 1MB 10MB]",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@reading
def info(paths: tuple[str, ...], cutoffs: tuple[int, ...], as_json: bool, **given: Any) -> int:  # fmt: skip
    """Say what captures hold: format, link types, packets, times, damage, sizes of flows, and what each
    cutoff would save.

    \b
    flowkeep info big.pcap
    flowkeep info captures/ --cutoff 50kB --cutoff 500kB
    """
    found = find(paths)
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        report = describe(found, read_options(given), cutoffs=cutoffs or CUTOFFS, progress=bar.update)
    if as_json:
        print_text(json.dumps(asdict(report), indent=2) + "\n")
    else:
        from . import render

        print_text(render.info(report, color=colored(sys.stdout), width=width(sys.stdout)))
    damaged = notes.oddities(report.files)
    return int(notes.skipped(report.skipped) or damaged)
