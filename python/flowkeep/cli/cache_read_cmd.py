"""``flowkeep cache read``."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click

from .. import units
from ..errors import UsageError
from ..ops.cache_read import CacheReadPlan, CacheReadReport, cache_read
from ..select import read_expression
from ..select.query import FlowQuery
from ..select.tuples import COMMUNITY_ID, find_tuples
from ..text import safe
from ..units import Moment
from . import notes
from .cache_options import asking, place
from .options import WHEN, naming, query
from .progress import ProgressBar
from .stream import complain

_NUMBER = re.compile(r"\d+", re.ASCII)


@click.command()
@click.option(
    "-o", "--output", metavar="FILE", required=True, help="The capture to write; - is standard output."
)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["pcapng", "pcap"]),
    default="pcapng",
    show_default=True,
    help="pcap holds packets of one link type, and nothing but packets.",
)
@click.option(
    "--filter",
    "expression",
    metavar="EXPR",
    help="Only packets that match, as tcpdump would: 'tcp port 80 and net 10.0.0.0/8'.",
)
@click.option("--filter-file", metavar="FILE", help="Read the filter from a file; # begins a comment.")
@click.option("--follow", is_flag=True, help="Go on with packets as they come, until Ctrl-C.")
@click.option("--force", is_flag=True, help="Replace a capture that stands at -o already.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option(
    "--since",
    type=WHEN,
    metavar="TIME",
    help="Packets of this time or later: 2024-05-01T12:00 (UTC), 2h for two hours ago, end-2h for two hours "
    "before the newest packet, start+10min.",
)
@click.option("--until", type=WHEN, metavar="TIME", help="Packets of this time or earlier.")
@naming
@asking
def read(
    output: str, form: Literal["pcapng", "pcap"], expression: str | None, filter_file: str | None,
    follow: bool, force: bool, quiet: bool, **given: Any,
) -> int:  # fmt: skip
    """Take packets out of a running cache, which goes on.

    Written are the packets that the cache holds at this moment, in the order of time. --flow also takes both
    ends of a flow.

    \b
    flowkeep cache read --since 2h --filter 'host 10.0.0.7' -o host.pcapng
    flowkeep cache read --flow '10.0.0.7:40000 -> 192.0.2.1:443' -o - | tshark -r -
    flowkeep cache read --where "server_port = 445 and bytes > 1MB" -o smb.pcapng
    flowkeep cache read --follow -o - | wireshark -k -i -
    """
    if output == "-" and sys.stdout.isatty():
        raise UsageError("a capture is binary: name a file with -o, or pipe it, e.g. | wireshark -k -i -")
    if filter_file is not None:
        if expression is not None:
            raise UsageError("the filter is given with --filter or with --filter-file, not both")
        expression = read_expression(Path(filter_file))
    where = place(given)
    since: int | Moment | None = given.pop("since")
    until: int | Moment | None = given.pop("until")
    wanted = _wanted(given)
    plan = CacheReadPlan(Path(output), expression, since, until, follow, form, force)
    with ProgressBar("reading", quiet=quiet or follow) as bar:
        report = cache_read(where, plan, wanted, progress=bar.update)
    if output != "-":
        click.echo(_said(report), err=True)
    notes.listed(wanted.lists, report.unmatched)
    if report.cut_short:
        complain(report.cut_short + "; everything before it was written")
    if report.lost:
        complain(
            f"{units.count(report.lost, 'packet')} of this moment had to make room before they were read: "
            "ask for less, or read faster"
        )
    return int(bool(report.lost or report.cut_short))


def _wanted(given: dict[str, Any]) -> FlowQuery:
    """The conditions on flows; a flow may also be named by its ends."""
    given = {**given, "since": None, "until": None}
    names = given["flow_names"]
    if all(_NUMBER.fullmatch(name) or COMMUNITY_ID.fullmatch(name) for name in names):
        return query(given, ())
    for name in names:
        if not find_tuples([name]).lines:
            raise UsageError(
                f"--flow {safe(name)!r} names no flow by its ends: write both such as "
                "'10.0.0.7:40000 -> 192.0.2.1:443', or a Community ID; a flow_id cannot be mixed with them"
            )
    if given["flows_from"]:
        raise UsageError(
            "flows are named by --flow with their ends or by --flows-from, not by both: add a line"
        )
    plain = query({**given, "flow_names": (), "invert": False}, ())
    return replace(plain, lists=(find_tuples(names, "--flow"),), invert=given["invert"])


def _said(report: CacheReadReport) -> str:
    flows = ""
    if report.flows is not None and report.of_flows is not None:
        flows = f"{report.flows:,} of {units.count(report.of_flows, 'flow')}, "
    packets = "" if report.cut_short else f"{units.count(report.packets, 'packet')}, "
    return f"{safe(report.output)}: {flows}{packets}{units.size(report.bytes)}"
