"""``flowkeep demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .. import units
from ..ops import demo as ops
from ..ops.export import print_text
from ..text import safe
from .options import SIZE
from .progress import ProgressBar
from .stream import colored, width


@click.command()
@click.option(
    "--folder", default="flowkeep-demo", show_default=True, metavar="DIR", help="Where the files go."
)
@click.option("--size", type=SIZE, default="100MB", show_default=True, help="Size of the capture.")
@click.option(
    "--cutoff", type=SIZE, default="100kB", show_default=True, help="Bytes of each flow that are kept."
)
def demo(folder: str, size: int, cutoff: int) -> int:
    """See it work on made traffic.

    Makes a realistic capture, describes it, trims it, and shows its flows before and after. The same
    size gives the same capture. Needs as much room on disk as --size, and a third more.

    \b
    flowkeep demo
    flowkeep demo --folder /tmp/demo --size 20MB --cutoff 50kB
    """
    from . import render

    color, columns = colored(sys.stdout), width(sys.stdout)

    def say(text: str) -> None:
        print_text((click.style(text, bold=True) if color else text) + "\n")

    say(f"1. A made capture of {units.size(size)}: IPv6, VLANs, tunnels, a few elephants among many mice")
    with ProgressBar("making traffic") as bar:
        capture = ops.make(Path(folder), size, progress=bar.update)
    click.echo(f"\n  {safe(capture)}\n")
    done = ops.show(capture, cutoff)
    trimmed = safe(done.trimmed)
    say(f"2. What it holds: flowkeep info {safe(capture)}")
    print_text("\n" + render.info(done.info, color=color, width=columns).strip("\n") + "\n\n")
    say(
        f"3. Trimmed: flowkeep trim {units.cutoff(cutoff)} {safe(capture)} "
        f"--output {safe(done.trimmed.parent)} --ledger"
    )
    print_text(render.trim(done.report, color=color, width=columns) + "\n")
    say(f"4. Its biggest flows, before and after: flowkeep flows {safe(capture)} --sort bytes")
    print_text(render.kept_table(done.flows.top("bytes", 9), done.kept, color=color, width=columns) + "\n")
    left = sum(flow.packets > 0 for flow in done.kept)
    click.echo(f"{left:,} of {len(done.flows):,} flows are still there, each with its start.")
    click.echo("The ledger beside the trimmed capture knows what each flow was before.\n")
    say("Where the files are")
    for path in (done.capture, done.trimmed, done.ledger):
        click.echo(f"  {units.size(path.stat().st_size):>8}  {safe(path.resolve())}")
    click.echo("  Run this again and they are made anew; remove these three files when done.\n")
    say("What to type next")
    hints = (
        (f"flowkeep flows {trimmed} --sort bytes", "the ledger gives the true totals"),
        (f"flowkeep flows {trimmed} --format csv -o flows.csv", "or json, parquet, arrow, zeek, eve"),
        (
            f"flowkeep trim {units.cutoff(cutoff)} YOUR-CAPTURES/ --dry-run",
            "what it would save; writes nothing",
        ),
        (
            f"flowkeep trim {units.cutoff(cutoff)} YOUR-CAPTURES/ --output small/",
            "originals stay as they are",
        ),
        ("flowkeep --help", "everything else"),
    )
    wide = max(len(line) for line, _ in hints)
    for line, why in hints:
        click.echo(f"  {line:<{wide}}  # {why}")
    return 0
