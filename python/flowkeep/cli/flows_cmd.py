"""``flowkeep flows``."""

from __future__ import annotations

from typing import Any

import click

from ..flow import DETAILS, IDENTIFIED
from ..ops.export import check_target
from ..ops.flows import list_flows
from ..paths import find
from . import notes
from .flow_output import listing, listing_format, write_listing
from .options import indexed, knowing, paths, query, read_options, reading, selecting
from .progress import ProgressBar


@click.command()
@paths
@listing
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

    PATH is a file, a folder (with all below it), a glob, a URL of such (s3://…), or - for standard input.
    All of one call are one data set, in time order.

    \b
    flowkeep flows big.pcap --sort bytes --limit 10
    flowkeep flows captures/ -o flows.csv
    zcat old.pcap.gz | flowkeep flows - --format ndjson
    flowkeep flows captures/ --where "server_bytes > 1e6" --network 10.0.0.0/8 --since end-2h
    flowkeep flows captures/ --flow-filter 'tcp and not port 443' --sort bytes
    flowkeep flows captures/ --flows-from alerts.log
    """
    form = listing_format(form, output)
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
    write_listing(table, form, output, sort, ascending, limit)
    notes.filtered(table.files)
    damaged = notes.oddities(table.files)
    return int(notes.skipped(found.skipped) or damaged)
