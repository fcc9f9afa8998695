"""``flowkeep flows``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..flow import DETAILS, IDENTIFIED
from ..ops.export import check_target
from ..ops.flows import list_flows
from ..paths import find
from ..places import is_url
from . import notes
from .flow_output import community_seed, listing_format, listing_or_lake, write_listing
from .options import clustered, indexed, knowing, on_cluster, paths, query, read_options, reading, selecting
from .progress import ProgressBar


@click.command()
@paths
@listing_or_lake
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
@community_seed
@knowing
@selecting
@indexed
@clustered
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
    flowkeep flows captures/ -o lake/                Parquet by day and hour, for flowkeep find
    zcat old.pcap.gz | flowkeep flows - --format ndjson
    flowkeep flows captures/ --where "server_bytes > 1e6" --network 10.0.0.0/8 --since end-2h
    flowkeep flows captures/ --flow-filter 'tcp and not port 443' --sort bytes
    flowkeep flows captures/ --flows-from alerts.log
    """
    if form == "lake" or (form is None and output.endswith("/")):
        listed_only = {
            "--sort": sort,
            "--ascending": ascending,
            "--limit": limit,
            "--cluster": given["cluster"],
        }
        return _into_lake(paths, output, details, identify, community_seed, listed_only, given)
    form = listing_format(form, output)
    wanted = query(given, paths)
    with on_cluster(given, paths) as cluster, ProgressBar("reading", quiet=given["quiet"]) as bar:
        found = find(paths) if cluster is None else cluster[1].found
        check_target(output, found.captures)
        # Zeek's table has fields that only the details fill.
        details = details or form == "zeek" or sort in DETAILS or wanted.mentions(DETAILS)
        identify = identify or form in ("zeek", "eve") or sort in IDENTIFIED or wanted.mentions(IDENTIFIED)
        identify = identify or bool(given["models"])
        options = read_options(given)
        if cluster is None:
            table = list_flows(
                found, options, details=details, identify=identify, community_seed=community_seed,
                progress=bar.update,
            )  # fmt: skip
        else:
            from ..cluster import list_flows as list_there

            table = list_there(
                *cluster, options, details=details, identify=identify, spool=given["spool"],
                community_seed=community_seed, progress=bar.update,
            )  # fmt: skip
    if wanted:
        choice = wanted.choose(table)
        table = table.take(choice.ids)
        notes.listed(wanted.lists, choice.unmatched)
    write_listing(table, form, output, sort, ascending, limit)
    notes.filtered(table.files)
    damaged = notes.oddities(table.files)
    return int(notes.skipped(found.skipped) or damaged)


def _into_lake(
    paths: tuple[str, ...], output: str, details: bool, identify: bool, seed: int, listed: dict[str, Any],
    given: dict[str, Any],
) -> int:  # fmt: skip
    """Write the flows into a lake."""
    from ..ops.lake import write_lake
    from .lake_cmd import said

    if output == "-":
        raise UsageError("a lake is a folder: name it with -o LAKE/")
    if listed["--cluster"] is not None:
        raise UsageError(
            "--cluster does not go with a lake yet: summaries do not tell which capture holds what "
            "of a flow; "
            "leave it away"
        )
    if is_url(output):
        raise UsageError("a lake is a folder of this machine: name one with -o LAKE/, and copy it then")
    if any(listed.values()) or query(given, paths) or listed["--limit"] is not None:
        which = next((name for name, value in listed.items() if value), "a choice of flows")
        raise UsageError(
            f"{which} does not go with a lake: it holds all flows of its captures, so that flowkeep "
            f"find can tell where "
            "each one begins; ask it with flowkeep find"
        )
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        report = write_lake(
            find(paths), Path(output), read_options(given), details=details,
            identify=identify or bool(given["models"]), community_seed=seed, progress=bar.update,
        )  # fmt: skip
    click.echo(said(report), err=True)
    notes.filtered(report.scans)
    damaged = notes.oddities(report.scans)
    return int(notes.skipped(report.skipped) or damaged)
