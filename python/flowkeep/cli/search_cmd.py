"""``flowkeep search``."""

from __future__ import annotations

from typing import IO, Any, Literal

import click

from .. import units
from ..errors import UsageError
from ..ops.export import check_target, choose_format, encoded
from ..ops.search import MOST, Pattern, SearchReport, write_hits
from ..ops.search import search as search_flows
from ..paths import find
from . import notes
from .options import BY_ENDING, indexed, knowing, paths, query, read_options, reading, selecting
from .progress import ProgressBar
from .stream import complain

_FORMATS = ("csv", "json", "ndjson")


@click.command()
@click.argument("pattern")
@paths
@click.option("-i", "--ignore-case", is_flag=True, help="Letters of both cases are the same.")
@click.option("-E", "--regex", "kind", flag_value="regex", help="PATTERN is a regular expression over bytes.")
@click.option("-x", "--hex", "kind", flag_value="hex", help="PATTERN is bytes in hex, e.g. 'de ad be ef'.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", *_FORMATS]),
    help=f"How the hits are written.  {BY_ENDING}",
)
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to; - is standard output.")
@click.option(
    "-m",
    "--max-hits",
    type=click.IntRange(0),
    default=MOST,
    show_default=True,
    metavar="N",
    help="List at most N hits, 0: all; all are counted.",
)
@click.option("--count", "what", flag_value="count", help="Write only how many matches there are.")
@click.option(
    "--flows", "what", flag_value="flows", help="Write only the flow_ids of the flows with matches."
)
@knowing
@selecting
@indexed
@reading
def search(
    pattern: str, paths: tuple[str, ...], ignore_case: bool, kind: Literal["regex", "hex"] | None,
    form: str | None,
    output: str, max_hits: int, what: Literal["count", "flows"] | None, **given: Any,
) -> int:  # fmt: skip
    """Find bytes in the payloads of flows, also across the segments of a TCP stream.

    The exit status is 0 whether or not something is found, and 1 when a capture was damaged or passed over.

    \b
    flowkeep search password day/ -i
    flowkeep search -E "user=[a-z]+" day/ --where "server_port = 80" --format ndjson
    flowkeep search -x "4d 5a 90 00" day/ --network 10.0.0.0/8
    flowkeep search evil.example day/ --flows
    """
    wanted, looked_for = query(given, paths), Pattern.of(pattern, kind or "string", ignore_case=ignore_case)
    if what is not None and form not in (None, "table"):
        raise UsageError(f"--{what} writes plain lines: leave --format away")
    form = "table" if what is not None else choose_format(form, output, _FORMATS)
    found = find(paths)
    check_target(output, found.captures)
    most = 1 if what is not None else max_hits
    with ProgressBar("searching", quiet=given["quiet"]) as bar:
        report = search_flows(
            found, looked_for, wanted, read_options(given), max_hits=most, progress=bar.update
        )
    writer = {"count": _count, "flows": _flows, None: _table if form == "table" else None}[what]
    write_hits(report, form, output, writer=writer)
    _notes(report, listed=what is None)
    notes.filtered(report.scans)
    damaged = notes.oddities(report.scans)
    return int(notes.skipped(found.skipped) or damaged)


def _count(report: SearchReport, out: IO[bytes]) -> None:
    out.write(f"{report.matches}\n".encode())


def _flows(report: SearchReport, out: IO[bytes]) -> None:
    out.write("".join(f"{i}\n" for i in report.found).encode())


def _table(report: SearchReport, out: IO[bytes]) -> None:
    from .render import hit_table

    out.write(encoded(hit_table(report)))


def _notes(report: SearchReport, *, listed: bool) -> None:
    if listed:
        flows = f"{len(report.found):,} of {units.count(len(report.flows), 'flow')}"
        more = f"; {len(report.hits)} are listed, see --max-hits" if report.matches > len(report.hits) else ""
        complain(f"{units.count(report.matches, 'match', 'matches')} in {flows}{more}")
    if report.unjoined:
        complain(f"{report.unjoined} segments were searched by themselves: too many streams at a time")
    if report.unlisted:
        complain(f"{report.unlisted} fragments hold more matches than are counted of one")
