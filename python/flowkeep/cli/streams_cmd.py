"""``flowkeep streams``."""

from __future__ import annotations

import sys
from typing import Any

import click

from .. import units
from ..errors import UsageError
from ..ops.streams import OVERLAPS, Gaps, StreamsPlan, StreamsReport
from ..ops.streams import streams as write_streams
from ..ops.transcript import one_direction
from ..paths import find
from ..places import place
from ..text import safe
from . import notes
from .options import SIZE, indexed, knowing, paths, query, read_options, reading, selecting
from .progress import ProgressBar
from .stream import complain


@click.command()
@paths
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    required=True,
    help="The folder to make; - is standard output, with --direction and a single flow.",
)
@click.option(
    "--gaps",
    type=click.Choice(["split", "omit", "zero", "sparse"]),
    show_default="split",
    help="Where bytes are missing: split begins a new file, omit joins what is around the gap, zero fills "
    "it with zeros, sparse makes a hole in the file.",
)
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default="first",
    show_default=True,
    metavar="POLICY",
    help="Whose bytes stay where two segments differ: first, last, or as a system does: "
    + ", ".join(OVERLAPS[2:])
    + ".",
)
@click.option("--all-versions", is_flag=True, help="Write each version of conflicting ranges, too.")
@click.option("--frames", is_flag=True, help="Beside each file, a table of the frames its bytes came from.")
@click.option("--min-bytes", type=SIZE, default="0", metavar="N", help="No files for flows with fewer bytes.")
@click.option(
    "--payload",
    type=click.Choice(["tcp", "udp"]),
    default="tcp",
    show_default=True,
    help="udp: datagrams, too, one after another, with a table of them.",
)
@click.option(
    "--direction",
    type=click.Choice(["client", "server"]),
    help="With -o -: which end's stream goes to standard output.",
)
@knowing
@selecting
@indexed
@reading
def streams(
    paths: tuple[str, ...], output: str, gaps: Gaps | None, overlap: str, all_versions: bool, frames: bool,
    min_bytes: int, payload: str, direction: Any, **given: Any,
) -> int:  # fmt: skip
    """Write the bytes of every TCP connection into files, two of each connection.

    What is missing or uncertain is never in the data: it is told by DIR/streams.json, with frame numbers.

    \b
    flowkeep streams day/ -o streams/
    flowkeep streams day/ --where "server_port = 80" --frames -o web/
    flowkeep streams day/ --flow 17 --direction server -o - | file -
    """
    wanted, options = query(given, paths), read_options(given)
    if (output == "-") != (direction is not None):
        raise UsageError("-o - and --direction go together: one stream of one flow to standard output")
    found = find(paths)
    if output == "-":
        if sys.stdout.isatty():
            raise UsageError("a stream may hold anything: pipe it, or see flowkeep transcript")
        with ProgressBar("rebuilding", quiet=given["quiet"]) as bar:
            done = one_direction(
                found, wanted, direction, options, overlap=overlap, gaps=gaps or "omit", progress=bar.update
            )
        for line in done.notes:
            complain(line)
        notes.filtered(done.scans)
        return int(notes.oddities(done.scans) | notes.skipped(found.skipped))
    plan = StreamsPlan(
        place(output), gaps or "split", overlap, frames, all_versions, min_bytes, payload == "udp"
    )
    with ProgressBar("rebuilding", quiet=given["quiet"]) as bar:
        report = write_streams(found, wanted, plan, options, progress=bar.update)
    click.echo(_said(report), err=True)
    if report.bounds:
        complain(f"a bound on memory was hit: {report.bounds} holes were given up early, see streams.json")
    notes.filtered(report.scans)
    damaged = notes.oddities(report.scans)
    return int(notes.skipped(found.skipped) or damaged)


def _said(report: StreamsReport) -> str:
    text = (
        f"{safe(report.output)}: {units.count(report.files, 'file')} of {units.count(report.flows, 'flow')}, "
        f"{units.size(report.bytes)}; {units.count(report.gaps, 'gap')}"
    )
    if report.missing:
        text += f" of {units.size(report.missing)}"
    ranges = units.count(report.overlaps, "range")
    return f"{text}, {ranges} with two versions, {units.count(report.anomalies, 'anomaly', 'anomalies')}"
