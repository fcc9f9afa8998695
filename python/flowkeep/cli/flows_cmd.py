"""``flowkeep flows``."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

from ..errors import UsageError
from ..flow import Flows
from ..ops.export import FORMATS, Writer, export
from ..ops.flows import list_flows
from ..paths import find
from . import notes
from .options import indexed, paths, query, read_options, reading, selecting
from .progress import ProgressBar

_TABLE_ROWS = 30


@click.command()
@paths
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", *FORMATS]),
    default="table",
    show_default=True,
    help="How the flows are written.",
)
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to; - is standard output.")
@click.option(
    "-s",
    "--sort",
    metavar="COLUMN",
    help="Sort by a column, or by bytes, packets or payload_bytes of both directions; largest first.",
)
@click.option("--ascending", is_flag=True, help="Smallest first.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    help=f"At most N flows, 0: all  [default: {_TABLE_ROWS} in a table, else all]",
)
@click.option(
    "--community-seed",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Seed of the Community IDs.",
)
@selecting
@indexed
@reading
def flows(
    paths: tuple[str, ...], form: str, output: str, sort: str | None, ascending: bool, limit: int | None,
    community_seed: int, **given: Any,
) -> int:  # fmt: skip
    """List the flows of captures.

    PATH is a file, a folder (with all below it), a glob, or - for standard input. All of one call are
    one data set, in time order.

    \b
    flowkeep flows big.pcap --sort bytes --limit 10
    flowkeep flows captures/ --format csv -o flows.csv
    zcat old.pcap.gz | flowkeep flows - --format ndjson
    flowkeep flows captures/ --where "server_bytes > 1e6" --network 10.0.0.0/8 --since 2h
    """
    if form in ("parquet", "arrow") and output == "-" and sys.stdout.isatty():
        raise UsageError(f"--format {form} is binary: name a file with -o, or pipe it")
    found = find(paths)
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        table = list_flows(found, read_options(given), community_seed=community_seed, progress=bar.update)
    wanted = query(given)
    if wanted or wanted.invert:
        table = table.take(wanted.ids(table))
    total = len(table)
    if limit is None and form == "table":
        limit = _TABLE_ROWS
    most = total if not limit else min(limit, total)
    if sort:
        table = table.top(sort, most, descending=not ascending)
    elif form == "table" and most < total:
        table = table.top("bytes", most)
    elif most < total:
        table = table.slice(0, most)
    color = output == "-" and sys.stdout.isatty()
    export(table, form, output, writer=_writer(total, color=color) if form == "table" else None)
    damaged = notes.oddities(table.files)
    return int(notes.skipped(found.skipped) or damaged)


def _writer(total: int, *, color: bool) -> Writer:
    def write(flows: Flows, out: IO[bytes]) -> None:
        from .render import flow_table

        out.write(flow_table(flows, total, color=color).encode(errors="backslashreplace"))

    return write
