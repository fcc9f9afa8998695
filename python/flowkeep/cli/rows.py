"""What ``flowkeep hosts`` and ``flowkeep services`` share: options, order, output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, Any, TypeVar

import click

from ..errors import UsageError
from ..ops.export import ROW_FORMATS, check_target, choose_format, encoded, export
from ..paths import Found
from ..rows import Frame
from . import notes
from .options import BY_ENDING
from .stream import WIDE, colored, width

F = TypeVar("F", bound=Callable[..., Any])
TABLE_ROWS = 30

_OPTIONS = [
    click.option("-f", "--format", "form", type=click.Choice(["table", *ROW_FORMATS]),
                 help=f"How the rows are written.  {BY_ENDING}"),
    click.option("-o", "--output", default="-", metavar="FILE", help="Where to; - is standard output."),
    click.option("-s", "--sort", metavar="COLUMN", help="Sort by a column; largest first."),
    click.option("--ascending", is_flag=True, help="Smallest first."),
    click.option("-n", "--limit", type=click.IntRange(0), metavar="N",
                 help=f"At most N rows, 0: all  [default: {TABLE_ROWS} in a table, else all]"),
]  # fmt: skip


def written(command: F) -> F:
    """Add the options that say how rows are written; :func:`write` takes them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check(given: dict[str, Any], found: Found) -> None:
    """Settle the format, and refuse what cannot be written or shown, before anything is read.

    Raises UsageError, OutputError.
    """
    output = given["output"]
    form = given["form"] = choose_format(given["form"], output, ROW_FORMATS)
    check_target(output, found.captures)
    if form == "parquet" and output == "-" and sys.stdout.isatty():
        raise UsageError(f"--format {form} is binary: name a file with -o, or pipe it")


def write(
    rows: Frame,
    found: Found,
    render: Callable[..., str],
    given: dict[str, Any],
) -> int:
    """Write the rows as the options say; gives the exit status."""
    form, output, limit = given["form"], given["output"], given["limit"]
    total = len(rows)
    if limit is None and form == "table":
        limit = TABLE_ROWS
    most = total if not limit else min(limit, total)
    if given["sort"]:
        rows = rows.top(given["sort"], most, descending=not given["ascending"])
    else:
        rows = rows.slice(0, most)

    order = {"sort": given["sort"], "ascending": given["ascending"]}

    def table(shown: Frame, out: IO[bytes]) -> None:
        if output == "-":
            text = render(shown.to_dicts(), total, colored(sys.stdout), width(sys.stdout), **order)
            out.write(encoded(text))
        else:
            text = render(shown.to_dicts(), total, False, WIDE, **order)
            out.write(text.encode(errors="backslashreplace"))

    export(rows, form, output, writer=table if form == "table" else None)
    notes.filtered(rows.files)
    damaged = notes.oddities(rows.files)
    return int(notes.skipped(found.skipped) or damaged)
