"""``flowkeep demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .. import units
from ..flow import Flows
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

    Makes a realistic capture, describes it, trims it, and shows its flows before and after.

    \b
    flowkeep demo
    flowkeep demo --folder /tmp/demo --size 20MB --cutoff 50kB
    """
    from . import render

    color, columns = colored(sys.stdout), width(sys.stdout)

    def say(text: str) -> None:
        print_text((click.style(text, bold=True) if color else text) + "\n")

    def table(flows: Flows) -> None:
        text = render.flow_table(flows.top("bytes", 8), len(flows), color=color, width=columns)
        print_text(text + "\n")

    say(f"1. A made capture of {size // 1_000_000} MB in {safe(folder)}/: IPv6, VLANs, tunnels, elephants")
    with ProgressBar("making traffic") as bar:
        capture = ops.make(Path(folder), size, progress=bar.update)
    done = ops.show(capture, cutoff)
    say(f"\n2. flowkeep info {safe(capture)}")
    print_text(render.info(done.info, color=color, width=columns) + "\n")
    say(
        f"3. flowkeep trim {units.cutoff(cutoff)} {safe(capture)} "
        f"--output {safe(done.trimmed.parent)} --ledger"
    )
    print_text(render.trim(done.report, color=color, width=columns) + "\n")
    say("4. The biggest flows before")
    table(done.before)
    say("5. The same flows after: the start of every one is there, and the ledger knows their true totals")
    table(done.after)
    trimmed = safe(done.trimmed)
    say("What to type next")
    print_text(
        f"  flowkeep info {trimmed}\n  flowkeep flows {trimmed} --sort bytes --limit 20\n"
        f"  flowkeep flows {trimmed} --format csv -o flows.csv\n"
        "  flowkeep trim 100kB YOUR-CAPTURES/ --dry-run\n  flowkeep trim --help\n"
    )
    return 0
