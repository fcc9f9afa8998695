"""``flowkeep find``."""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path
from typing import IO, Any, Literal

import click

from .. import units
from ..errors import UsageError
from ..ops.export import ROW_FORMATS, check_target, choose_format, encoded, export, print_text
from ..ops.find import LakeFlows, Question, find_flows, find_packets
from ..select.tuples import COMMUNITY_ID
from ..text import safe
from . import notes
from .options import WHEN
from .rows import TABLE_ROWS
from .stream import WIDE, colored, complain, width

_PACKETS = {".pcap": "pcap", ".cap": "pcap", ".pcapng": "pcapng"}
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?", re.ASCII)


@click.command()
@click.argument("lake", metavar="LAKE", type=click.Path(path_type=Path))
@click.argument("what", nargs=-1, metavar="[WHAT]...")
@click.option(
    "--port",
    "ports",
    type=click.IntRange(0, 65535),
    multiple=True,
    metavar="PORT",
    help="Flows with an end on this port; may be given several times.",
)
@click.option(
    "--at", type=WHEN, metavar="TIME", help="Flows seen at this time: from their first packet to their last."
)
@click.option(
    "--since",
    type=WHEN,
    metavar="TIME",
    help="Flows seen at this time or later: 2024-05-01T12:00 (UTC), or 2h for two hours ago.",
)
@click.option("--until", type=WHEN, metavar="TIME", help="Flows seen at this time or earlier.")
@click.option(
    "-w", "--where", metavar="SQL", help='Flows that meet a condition on columns, e.g. "bytes > 1MB".'
)
@click.option(
    "--captures",
    "only_captures",
    is_flag=True,
    help="Name the captures that hold packets of the flows, one a line.",
)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", *ROW_FORMATS, "pcap", "pcapng"]),
    help="pcap and pcapng are the packets of the flows.  [default: by the ending of FILE, else table]",
)
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to; - is standard output.")
@click.option("-s", "--sort", metavar="COLUMN", help="Sort by a column; largest first.")
@click.option("--ascending", is_flag=True, help="Smallest first.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    help=f"At most N flows, 0: all  [default: {TABLE_ROWS} in a table, else all]",
)
@click.option("--force", is_flag=True, help="Replace a capture that stands at -o already.")
@click.option(
    "-j", "--jobs", type=click.IntRange(0, 1024), default=0, metavar="N", help="Threads; 0: one per core."
)
def find(
    lake: Path, what: tuple[str, ...], ports: tuple[int, ...], at: Any, since: Any, until: Any,
    where: str | None,
    only_captures: bool, form: str | None, output: str, sort: str | None, ascending: bool, limit: int | None,
    force: bool, jobs: int,
) -> int:  # fmt: skip
    """Find flows in a lake, the captures that hold them, and their packets.

    WHAT is an address, a network, a Community ID, or the name of a server (a name below it will
    do). Of several of one
    kind any will do; what is of different kinds must all be met.

    Captures are opened only for packets, and only those that hold some.

    \b
    flowkeep find lake/ 10.1.2.3 --at 2024-05-01T12:00
    flowkeep find lake/ 10.1.0.0/16 --port 445 --since 2024-05-01 --captures
    flowkeep find lake/ evil.example -o evil.pcap
    flowkeep find lake/ 1:LQU9qZlK+B5F3KDmev6m5PMibrg= -o one.pcapng
    """
    question = _question(what, ports, at, since, until, where)
    ending = "".join(Path(output).suffixes[-1:]).lower()
    packets = form if form in ("pcap", "pcapng") else _PACKETS.get(ending) if form is None else None
    if packets is not None:
        if only_captures or sort or limit is not None:
            raise UsageError("--captures, --sort and --limit are about lists: leave them away for packets")
        if output == "-" and sys.stdout.isatty():
            raise UsageError("a capture is binary: name a file with -o, or pipe it, e.g. | wireshark -k -i -")
        return _packets(lake, question, output, "pcapng" if packets == "pcapng" else "pcap", force, jobs)
    form = choose_format(form, output, ROW_FORMATS)
    if form == "parquet" and output == "-" and sys.stdout.isatty():
        raise UsageError("--format parquet is binary: name a file with -o, or pipe it")
    check_target(output, ())
    found = find_flows(lake, question)
    if only_captures:
        print_text("".join(f"{safe(path)}\n" for path in found.paths()))
        return 0
    _list(found, form, output, sort, ascending, limit)
    return 0


def _question(
    what: tuple[str, ...], ports: tuple[int, ...], at: Any, since: Any, until: Any, where: str | None
) -> Question:
    networks, communities, names = [], [], []
    for text in what:
        if COMMUNITY_ID.fullmatch(text):
            communities.append(text)
            continue
        try:
            networks.append(str(ipaddress.ip_network(text, strict=False)))
        except ValueError:
            if "/" in text or not _NAME.fullmatch(text) or re.fullmatch(r"[\d.]+", text):
                raise UsageError(
                    f"{safe(text)!r} is no address, network, Community ID or name of a server"
                ) from None
            names.append(text)
    if at is not None:
        if since is not None or until is not None:
            raise UsageError("--at is one time; --since and --until are a span: give one or the other")
        since = until = at
    if isinstance(since, int) and isinstance(until, int) and since > until:
        raise UsageError("--since is later than --until: no flow can meet both")
    return Question(tuple(networks), ports, tuple(communities), tuple(names), since, until, where)


def _packets(
    lake: Path, question: Question, output: str, form: Literal["pcap", "pcapng"], force: bool, jobs: int
) -> int:
    report = find_packets(lake, question, Path(output), form=form, force=force, jobs=jobs)
    if not report.flows:
        complain("no flow of the lake meets all that; nothing was written")
        return 0
    if output != "-":
        by = f", {report.indexed:,} by index" if report.indexed else ""
        click.echo(
            f"{safe(output)}: {units.count(report.flows, 'flow')}, {units.count(report.packets, 'packet')}, "
            f"{units.size(report.out_bytes)}; {units.count(len(report.captures), 'capture')} opened{by}",
            err=True,
        )
    damaged = notes.oddities(report.scans)
    for path, why in report.changed:
        complain(f"{safe(path)}: {why}")
    return int(damaged or bool(report.changed))


def _list(
    found: LakeFlows, form: str, output: str, sort: str | None, ascending: bool, limit: int | None
) -> None:
    total = len(found)
    if limit is None and form == "table":
        limit = TABLE_ROWS
    most = total if not limit else min(limit, total)
    rows = found.top(sort, most, descending=not ascending) if sort else found.slice(0, most)

    def table(shown: LakeFlows, out: IO[bytes]) -> None:
        from .render_lake import found_table

        wide = width(sys.stdout) if output == "-" else WIDE
        text = found_table(
            shown.to_dicts(),
            total,
            colored(sys.stdout) and output == "-",
            wide,
            sort=sort,
            ascending=ascending,
        )
        out.write(encoded(text) if output == "-" else text.encode(errors="backslashreplace"))

    export(rows, form, output, writer=table if form == "table" else None)
