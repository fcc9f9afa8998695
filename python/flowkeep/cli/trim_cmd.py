"""``flowkeep trim``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ..cut import CutPolicy
from ..depths import Depth, Lock
from ..errors import UsageError
from ..ops.export import check_target, print_text, write_text
from ..ops.trim import TrimPlan, TrimReport
from ..ops.trim import trim as trim_captures
from ..paths import find, ledger_path
from ..places import place
from ..text import safe
from . import notes
from .options import SIZE, clustered, on_cluster, paths, read_options, reading
from .progress import ProgressBar
from .stream import colored, complain, talk, width


@click.command()
@click.argument("cutoff", type=SIZE)
@paths
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    help="Folder for the results, the tree below the given folders is kept; - is standard output.",
)
@click.option("--in-place", is_flag=True, help="Replace the captures; each gets a ledger of what was cut.")
@click.option("--dry-run", is_flag=True, help="Decide about every packet, write nothing.")
@click.option("--report", metavar="FILE.json", help="Write what was done as JSON; - is standard output.")
@click.option("--ledger", is_flag=True, help="Write ledgers with --output, too.")
@click.option(
    "--count",
    type=click.Choice(["frame", "wire", "payload"]),
    default="frame",
    show_default=True,
    help="Bytes that are counted: captured frames, original lengths, transport payload.",
)
@click.option("--per-direction", is_flag=True, help="Each direction of a flow has its own allowance.")
@click.option(
    "--control",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="TCP SYN, FIN and RST behind the cutoff.",
)
@click.option(
    "--rest",
    default="cut",
    show_default=True,
    metavar="cut|headers|sample:K",
    help="What becomes of packets behind the cutoff: cut, kept as headers only, or every K-th kept.",
)
@click.option("--tail", type=SIZE, default="0", metavar="SIZE", help="Keep the last bytes of each flow, too.")
@click.option(
    "--depth",
    "depths",
    multiple=True,
    metavar="WHICH=SIZE",
    help="A cutoff for some flows: tls=64kB, dns=all, 'bpf:host 10.0.0.5=1MB'. The first that fits counts.",
)
@click.option(
    "--lock",
    "locks",
    multiple=True,
    metavar="WHICH",
    help="Flows that are not cut: a filter, a Community ID, an address or a network.",
)
@click.option(
    "--behind",
    multiple=True,
    metavar="PATH",
    help="A capture that came before, trimmed already: flows go on from what its ledger says.",
)
@click.option("--compat", type=click.Choice(["trimpcap"]), help="Decide packet for packet as TrimPCAP 1.3.")
@click.option("--salvage", is_flag=True, help="In place: replace damaged files by what is whole in them.")
@click.option(
    "--compress",
    type=click.Choice(["same", "none", "gzip", "zstd", "lz4", "xz"]),
    default="same",
    show_default=True,
    help="Compression of the results.",
)
@clustered
@reading
def trim(
    cutoff: int, paths: tuple[str, ...], output: str | None, in_place: bool, dry_run: bool,
    report: str | None, ledger: bool, count: Any, per_direction: bool, control: Any, rest: str, tail: int,
    depths: tuple[str, ...], locks: tuple[str, ...], behind: tuple[str, ...], compat: Any, salvage: bool,
    compress: Any, **given: Any,
) -> int:  # fmt: skip
    """Keep the first CUTOFF bytes of every flow, cut the rest.

    CUTOFF is a size: 102400, 100kB (1000), 100KiB (1024), 1MB. PATH is a file, a folder (with all below
    it), a glob, a URL of such (s3://…), or - for standard input; all of one call are one data set, in
    time order.

    \b
    flowkeep trim 100kB big.pcap --output trimmed/
    flowkeep trim 100kB captures/ --in-place --report report.json
    flowkeep trim 1MB captures/ --dry-run
    flowkeep trim 10kB captures/ --in-place --depth dns=all --lock 10.0.0.5
    zcat old.pcap.gz | flowkeep trim 100kB - --output - > new.pcap
    """
    policy = CutPolicy(
        cutoff, count, per_direction, control, rest, tail, compat,
        tuple(map(Depth.of, depths)), tuple(map(Lock.of, locks)),
    )  # fmt: skip
    plan = TrimPlan(None if output is None else place(output), in_place, dry_run, ledger, salvage, compress)
    if output == "-" and report == "-":
        raise UsageError("--output - and --report - cannot both be standard output")
    if output == "-" and sys.stdout.isatty():
        raise UsageError("a capture is binary: pipe it, or name a folder with --output DIR")
    with on_cluster(given, paths) as cluster, ProgressBar("trimming", quiet=given["quiet"]) as bar:
        found = find(paths) if cluster is None else cluster[1].found
        if report is not None:
            check_target(report, found.captures)
            _apart(report, output, [c.relative for c in found.captures])
        options = read_options(given)
        if cluster is None:
            before = [place(path) for path in behind]
            done = trim_captures(found, policy, plan, options, behind=before, progress=bar.update)
        else:
            from ..cluster import trim as trim_there

            if behind:
                raise UsageError("--behind and --cluster do not go together: name all captures in one call")
            done = trim_there(*cluster, policy, plan, options, spool=given["spool"], progress=bar.update)
    _tell(done, report, output)
    scans = [f.trim for f in done.files if f.trim is not None]
    notes.oddities(scans)
    for result in done.files:
        if result.trim is None and result.problem:
            complain(result.problem)
    notes.skipped(done.skipped)
    return 0 if done.clean else 1


def _apart(report: str, output: str | None, results: list[Path]) -> None:
    """Raise UsageError where the report would take the place of a result."""
    if report == "-" or output is None or output == "-":
        return
    own, folder = place(report).resolve(), place(output).resolve()
    for result in (folder / relative for relative in results):
        if own in (result, ledger_path(result)):
            raise UsageError(f"--report {safe(report)}: the report would take the place of a result")


def _tell(done: TrimReport, report: str | None, output: str | None) -> None:
    if report is not None:
        text = json.dumps(done.as_dict(), indent=2) + "\n"
        if report == "-":
            print_text(text)
            return
        write_text(text, place(report))
    from . import render

    # Data goes to stdout, and here the captures are the data.
    talk(render.trim(done, report, color=colored(sys.stderr), width=width(sys.stderr)))
    if output and output != "-" and not done.dry_run:
        talk(f"written to {safe(output)}\n")
