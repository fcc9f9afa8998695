"""Options of a list of flows, and how it is written; shared by the commands that list flows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, Any, Protocol, TypeVar

import click

from ..errors import UsageError
from ..ops.export import FORMATS, Writer, choose_format, encoded, export
from ..rows import Rows
from .options import BY_ENDING
from .stream import colored, width

F = TypeVar("F", bound=Callable[..., Any])
_TABLE_ROWS = 30

_LISTING = [
    click.option("-f", "--format", "form", type=click.Choice(["table", *FORMATS]),
                 help=f"How the flows are written.  {BY_ENDING}"),
    click.option("-o", "--output", default="-", metavar="FILE", help="Where to; - is standard output."),
    click.option("-s", "--sort", metavar="COLUMN",
                 help="Sort by a column, or by bytes, packets or payload_bytes of both directions; "
                 "largest first."),
    click.option("--ascending", is_flag=True, help="Smallest first."),
    click.option("-n", "--limit", type=click.IntRange(0), metavar="N",
                 help=f"At most N flows, 0: all  [default: {_TABLE_ROWS} in a table, else all]"),
]  # fmt: skip


community_seed = click.option(
    "--community-seed", type=click.IntRange(0, 65535), default=0, show_default=True,
    help="Seed of the Community IDs.",
)  # fmt: skip


class Table(Rows, Protocol):
    """Rows that can be sorted."""

    def top(self, column: str, n: int, *, descending: bool = True) -> Table:
        """The first ``n`` rows by a column."""

    def slice(self, offset: int, n: int) -> Table:
        """Some rows."""


def listing(command: F) -> F:
    """Add the options that say how flows are written."""
    for option in reversed(_LISTING):
        command = option(command)
    return command


def listing_or_lake(command: F) -> F:
    """The same, with one format more."""
    command = listing(command)
    for option in command.__click_params__:  # type: ignore[attr-defined]
        if option.name == "form":
            option.type = click.Choice(["table", *FORMATS, "lake"])
            option.help = (
                f"How the flows are written; lake: into a folder.  {BY_ENDING[:-1]}; lake for FOLDER/]"
            )
    return command


def listing_format(form: str | None, output: str) -> str:
    """The format to write. Raises UsageError for a binary one on a terminal."""
    form = choose_format(form, output, FORMATS)
    if form in ("parquet", "arrow") and output == "-" and sys.stdout.isatty():
        raise UsageError(f"--format {form} is binary: name a file with -o, or pipe it")
    return form


def write_listing(
    table: Table, form: str, output: str, sort: str | None, ascending: bool, limit: int | None,
    *, arrow: Writer | None = None,
) -> None:  # fmt: skip
    """Write flows, sorted and as many as are wanted; ``arrow`` writes that format instead of the native core.

    Raises UsageError, OutputError.
    """
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
    writer = (
        _writer(total, output, sort, ascending) if form == "table" else arrow if form == "arrow" else None
    )
    export(table, form, output, writer=writer)


def _writer(total: int, output: str, sort: str | None, ascending: bool) -> Writer:
    def write(flows: Rows, out: IO[bytes]) -> None:
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
