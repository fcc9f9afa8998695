"""``flowkeep flows``."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

from ..errors import UsageError
from ..flow import DETAILS, IDENTIFIED, Flows
from ..ops.export import FORMATS, Writer, check_target, choose_format, encoded, export
from ..ops.flows import list_flows
from ..paths import find
from . import notes
from .options import BY_ENDING, indexed, knowing, paths, query, read_options, reading, selecting
from .progress import ProgressBar
from .stream import colored, width

_TABLE_ROWS = 30


@click.command()
@paths
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", *FORMATS]),
    help=f"How the flows are written.  {BY_ENDING}",
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
    "--details",
    is_flag=True,
    help="Also round trips, retransmissions, TTL, MSS, MAC addresses, and Zeek's state and history.",
)
@click.option(
    "--identify",
    is_flag=True,
    help="Also which protocol each flow speaks, whatever its port, and names, JA3 and JA4 in its hellos.",
)
@click.option(
    "--community-seed",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Seed of the Community IDs.",
)
@knowing
@selecting
@indexed
@reading
def flows(
    paths: tuple[str, ...], form: str | None, output: str, sort: str | None, ascending: bool,
    limit: int | None, details: bool, identify: bool, community_seed: int, **given: Any,
) -> int:  # fmt: skip
    """List the flows of captures.

    PATH is a file, a folder (with all below it), a glob, or - for standard input. All of one call are
    one data set, in time order.

    \b
    flowkeep flows big.pcap --sort bytes --limit 10
    flowkeep flows captures/ -o flows.csv
    zcat old.pcap.gz | flowkeep flows - --format ndjson
    flowkeep flows captures/ --where "server_bytes > 1e6" --network 10.0.0.0/8 --since end-2h
    flowkeep flows captures/ --flow-filter 'tcp and not port 443' --sort bytes
    flowkeep flows captures/ --flows-from alerts.log
    """
    form = choose_format(form, output, FORMATS)
    if form in ("parquet", "arrow") and output == "-" and sys.stdout.isatty():
        raise UsageError(f"--format {form} is binary: name a file with -o, or pipe it")
    wanted = query(given, paths)
    found = find(paths)
    check_target(output, found.captures)
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        # Zeek's table has fields that only the details fill.
        details = details or form == "zeek" or sort in DETAILS or wanted.mentions(DETAILS)
        identify = identify or form in ("zeek", "eve") or sort in IDENTIFIED or wanted.mentions(IDENTIFIED)
        identify = identify or bool(given["models"])
        table = list_flows(
            found, read_options(given), details=details, identify=identify, community_seed=community_seed,
            progress=bar.update,
        )  # fmt: skip
    if wanted:
        choice = wanted.choose(table)
        table = table.take(choice.ids)
        notes.listed(wanted.lists, choice.unmatched)
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
    export(table, form, output, writer=_writer(total, output, sort, ascending) if form == "table" else None)
    notes.filtered(table.files)
    damaged = notes.oddities(table.files)
    return int(notes.skipped(found.skipped) or damaged)


def _writer(total: int, output: str, sort: str | None, ascending: bool) -> Writer:
    def write(flows: Flows, out: IO[bytes]) -> None:
        from .render import flow_table

        if output == "-":
            text = flow_table(
                flows,
                total,
                color=colored(sys.stdout),
                width=width(sys.stdout),
                sort=sort,
                ascending=ascending,
            )
            out.write(encoded(text))
        else:
            text = flow_table(flows, total, color=False, sort=sort, ascending=ascending)
            out.write(text.encode(errors="backslashreplace"))

    return write
