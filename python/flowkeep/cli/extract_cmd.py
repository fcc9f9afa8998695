"""``flowkeep extract``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import click

from .. import units
from ..errors import UsageError
from ..ops.extract import ExtractPlan, ExtractReport, Form, SplitBy
from ..ops.extract import extract as extract_flows
from ..paths import find
from ..places import is_url, place
from ..text import safe
from . import notes
from .options import clustered, indexed, knowing, on_cluster, paths, query, read_options, reading, selecting
from .progress import ProgressBar


@click.command()
@paths
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The capture to write; - is standard output. With --split: the folder.",
)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["auto", "pcap", "pcapng"]),
    default="auto",
    show_default=True,
    help="auto: pcap where all captures are pcap of one link type, else pcapng.",
)
@click.option(
    "--split",
    type=click.Choice(["flow", "session", "host"]),
    help="One capture per flow, per session (all flows of a 5-tuple) or per host.",
)
@click.option(
    "--compress",
    type=click.Choice(["none", "gzip", "zstd", "lz4", "xz"]),
    default="none",
    show_default=True,
    help="Compress the result.",
)
@click.option("--force", is_flag=True, help="Replace a capture that stands at -o already.")
@click.option("--open-with", metavar="PROGRAM", help="Start a program on the result, e.g. wireshark.")
@knowing
@selecting
@indexed
@clustered
@reading
def extract(
    paths: tuple[str, ...], output: str | None, form: Form, split: SplitBy | None,
    compress: Literal["none", "gzip", "zstd", "lz4", "xz"], open_with: str | None, force: bool,
    **given: Any,
) -> int:  # fmt: skip
    """Take flows out of captures, all their packets, into one capture.

    Without a condition every packet is taken. The captures are left as they are.

    A flow_id counts the flows of one call: other captures, --filter, --idle, --key or --outer number them
    anew. To name a flow across calls take its Community ID (column community_id).

    \b
    flowkeep extract day/ --flow 17 --flow 1:LQU9qZlK+B5F3KDmev6m5PMibrg= -o two.pcap
    flowkeep extract day/ --where "server_port = 445 and bytes > 1e6" -o smb.pcapng
    flowkeep extract day/ --flows-from alerts.log -o alerts.pcap
    flowkeep extract day/ --network 10.1.0.0/16 --since end-2h -o - | wireshark -k -i -
    flowkeep extract day/ --where "proto = 'udp'" --split host -o hosts/
    """
    if output is None and open_with is None:
        raise UsageError(
            "say where the packets go: -o FILE, -o - for standard output, or --open-with PROGRAM"
        )
    if output == "-" and sys.stdout.isatty():
        raise UsageError("a capture is binary: name a file with -o, or pipe it, e.g. | wireshark -k -i -")
    program = None if open_with is None else shutil.which(open_with)
    if open_with is not None and (program is None or output == "-" or split):
        raise UsageError(
            f"--open-with {safe(open_with)}: "
            + ("there is no such program" if program is None else "it goes with one capture in a file")
        )
    if open_with is not None and output is not None and is_url(output):
        raise UsageError("--open-with takes a file of this machine: leave -o away, or name one")
    wanted = query(given, paths)
    if output is None:
        output = str(Path(tempfile.mkdtemp(prefix="flowkeep-")) / "flows.pcapng")
    plan = ExtractPlan(place(output), form, compress, split, force)
    with on_cluster(given, paths) as cluster, ProgressBar("extracting", quiet=given["quiet"]) as bar:
        options = read_options(given)
        if cluster is None:
            report = extract_flows(find(paths), wanted, plan, options, progress=bar.update)
        else:
            from ..cluster import extract as extract_there

            report = extract_there(*cluster, wanted, plan, options, spool=given["spool"], progress=bar.update)
    if output != "-":
        click.echo(_said(report), err=True)
    notes.listed(wanted.lists, report.unmatched)
    notes.filtered(report.scans)
    damaged = notes.oddities(report.scans)
    if program is not None:
        subprocess.Popen([program, output], start_new_session=True)
    return int(notes.skipped(report.skipped) or damaged)


def _said(report: ExtractReport) -> str:
    flows = f"{report.flows:,} of {units.count(report.of_flows, 'flow')}, " if report.of_flows else ""
    into = f"{report.files} captures in {safe(report.output)}" if report.files != 1 else safe(report.output)
    return f"{into}: {flows}{units.count(report.packets, 'packet')}, {units.size(report.out_bytes)}"
