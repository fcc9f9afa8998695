"""``flowkeep demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..ops import demo as ops
from ..text import safe
from .options import SIZE
from .progress import ProgressBar


@click.command()
@click.option(
    "--folder", default="flowkeep-demo", show_default=True, metavar="DIR", help="Where the files go."
)
@click.option("--size", type=SIZE, default="100MB", show_default=True, help="Size of the capture.")
@click.option("--cutoff", default="100kB", show_default=True, help="Bytes of each flow that are kept.")
def demo(folder: str, size: int, cutoff: str) -> int:
    """See it work on made traffic.

    Makes a realistic capture, describes it, trims it, and shows its flows before and after.
    """
    from . import render

    color = sys.stdout.isatty()

    def say(text: str) -> None:
        click.echo(click.style(text, bold=True), color=color)

    say(f"1. A made capture of {size // 1_000_000} MB in {safe(folder)}/: IPv6, VLANs, tunnels, elephants")
    with ProgressBar("making traffic") as bar:
        capture = ops.make(Path(folder), size, progress=bar.update)
    done = ops.show(capture, cutoff)
    say(f"\n2. flowkeep info {safe(capture)}")
    click.echo(render.info(done.info, color=color), color=color)
    say(f"3. flowkeep trim {cutoff} {safe(capture)} --output {safe(done.trimmed.parent)} --ledger")
    click.echo(render.trim(done.report, color=color), color=color)
    say("4. The biggest flows before")
    click.echo(render.flow_table(done.before.top("bytes", 8), len(done.before), color=color), color=color)
    say("5. The same flows after: the start of every one is there, and the ledger knows their true totals")
    click.echo(render.flow_table(done.after.top("bytes", 8), len(done.after), color=color), color=color)
    trimmed = safe(done.trimmed)
    say("What to type next")
    click.echo(f"  flowkeep info {trimmed}\n  flowkeep flows {trimmed} --sort bytes --limit 20")
    click.echo(f"  flowkeep flows {trimmed} --format csv -o flows.csv")
    click.echo("  flowkeep trim 100kB YOUR-CAPTURES/ --dry-run\n  flowkeep trim --help")
    return 0
