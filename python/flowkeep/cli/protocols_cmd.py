"""``flowkeep protocols``."""

from __future__ import annotations

from typing import IO

import click

from ..ops.export import ROW_FORMATS, choose_format, encoded, export
from ..ops.protocols import list_protocols
from ..rows import Frame
from .options import BY_ENDING, knowing


@click.command()
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", *ROW_FORMATS]),
    help=f"How the rows are written.  {BY_ENDING}",
)
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to; - is standard output.")
@knowing
def protocols(form: str | None, output: str, models: tuple[str, ...]) -> int:
    """List the protocols that flowkeep recognises, with the ports they are known on.

    \b
    flowkeep protocols
    flowkeep protocols --format json
    flowkeep protocols --models models/
    """
    form = choose_format(form, output, ROW_FORMATS)
    export(list_protocols(models), form, output, writer=_table if form == "table" else None)
    return 0


def _table(frame: Frame, out: IO[bytes]) -> None:
    """Plain columns, as wide as they have to be."""
    cells = [["label", "protocol", "over", "ports", "specification"]]
    for row in frame.to_dicts():
        ports = " ".join(map(str, row["ports"]))
        cells.append([row["label"], row["title"], " ".join(row["carriers"]), ports, row["spec"]])
    widths = [max(len(line[i]) for line in cells) for i in range(5)]
    for line in cells:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        out.write(encoded(text.rstrip() + "\n"))
