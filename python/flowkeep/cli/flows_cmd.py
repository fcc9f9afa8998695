"""``flowkeep flows``."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import IO, Any

import click

from ..errors import OutputError, UsageError
from ..flow import Flows
from ..ops.flows import list_flows
from ..paths import find
from ..sink.atomic import Part
from ..text import safe
from . import notes
from .options import paths, read_options, reading
from .progress import ProgressBar

FORMATS = ("table", "csv", "json", "ndjson", "parquet", "arrow", "zeek", "eve")
_TABLE_ROWS = 30


@click.command()
@paths
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
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
    """
    if form in ("parquet", "arrow") and output == "-" and sys.stdout.isatty():
        raise UsageError(f"--format {form} is binary: name a file with -o, or pipe it")
    found = find(paths)
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        table = list_flows(found, read_options(given), community_seed=community_seed, progress=bar.update)
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
    _write(table, form, output, total)
    damaged = notes.oddities(table.files)
    return int(notes.skipped(found.skipped) or damaged)


def _write(table: Flows, form: str, output: str, total: int) -> None:
    path = Path(output)
    if output == "-":
        if form == "arrow":
            table.write_arrow("-")
        else:
            _into(table, form, sys.stdout.buffer, total, color=sys.stdout.isatty())
        return
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        if form == "arrow":
            table.write_arrow(output)
            return
        with path.open("wb") as out:
            _into(table, form, out, total)
        return
    if any(
        path.exists() and path.samefile(scan["path"]) for scan in table.files if os.path.exists(scan["path"])
    ):
        raise UsageError(f"{safe(output)} is one of the captures: the table would take its place")
    with Part(path) as part:
        try:
            if form == "arrow":
                table.write_arrow(str(part.part))
            else:
                with part.part.open("wb") as out:
                    _into(table, form, out, total)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{safe(output)}: cannot be written: {error.strerror}") from error
        part.sync()
        part.commit()


def _into(table: Flows, form: str, out: IO[bytes], total: int, *, color: bool = False) -> None:
    if form == "table":
        from .render import flow_table

        out.write(flow_table(table, total, color=color).encode(errors="backslashreplace"))
    else:
        from ..sink.tables import WRITERS

        WRITERS[form](table, out)
    out.flush()
