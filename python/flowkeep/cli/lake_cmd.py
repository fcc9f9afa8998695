"""``flowkeep lake``."""

from __future__ import annotations

from pathlib import Path

import click

from .. import units
from ..ops.lake import LakeReport
from ..text import safe
from .options import SIZE
from .progress import ProgressBar
from .stream import complain

folder = click.argument("folder", metavar="LAKE", type=click.Path(path_type=Path))


@click.group()
def lake() -> None:
    """Look after a lake: flows of many captures as Parquet files.

    A lake is made by flowkeep flows PATH... -o LAKE/, and asked by flowkeep find, or by any
    program that reads Parquet.

    \b
    flowkeep flows captures/ -o lake/
    flowkeep lake info lake/
    flowkeep lake compact lake/
    """


@lake.command()
@folder
@click.option("--target", type=SIZE, default="128MB", show_default=True, metavar="SIZE",
              help="Files are joined up to this size.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress.")
def compact(folder: Path, target: int, quiet: bool) -> int:
    """Join the small files of each hour into sorted ones.

    Whoever reads the lake meanwhile sees each flow once: an hour's files are replaced in one step.
    """
    from ..ops.lake import compact_lake

    with ProgressBar("compacting", quiet=quiet) as bar:
        done = compact_lake(folder, target=target, progress=bar.update)
    text = f"{safe(folder)}: {units.count(done.hours, 'hour')} compacted"
    if done.hours:
        text += (
            f": {units.count(done.files_before, 'file')} of {units.size(done.bytes_before)} became "
            f"{done.files_after:,} of {units.size(done.bytes_after)}"
        )
    if done.dropped:
        text += f"; {units.count(done.dropped, 'flow')} of data sets that never became whole left out"
    click.echo(text)
    return 0


@lake.command()
@folder
def info(folder: Path) -> int:
    """What a lake holds, and which of its captures are not where they were."""
    from ..ops.lake import describe_lake

    found = describe_lake(folder)
    lines = [
        ("data sets", f"{found.datasets:,}"),
        ("captures", f"{found.captures:,}, {units.size(found.capture_bytes)}"),
        ("time", f"{units.time(found.first_ts)} to {units.time(found.last_ts)}"),
        (
            "flows",
            f"{found.flows:,} in {units.count(found.files, 'file')} of {units.count(found.hours, 'hour')}",
        ),
        ("size", units.size(found.bytes)),
    ]
    for name, value in lines:
        click.echo(f"{name:10} {value}")
    for path in found.missing[:8]:
        complain(f"{safe(path)}: it is not there any more")
    if len(found.missing) > 8:
        complain(f"and {len(found.missing) - 8:,} more captures")
    return int(bool(found.missing))


def said(report: LakeReport) -> str:
    """What was written, in a line."""
    where = f"{safe(report.lake)}: data set {report.dataset}"
    captures = units.count(report.captures, "capture")
    if report.there:
        return f"{where} of {captures} is there already: nothing was read or written"
    flows, files = units.count(report.flows, "flow"), units.count(report.files, "file")
    return f"{where}: {flows} of {captures} in {files}"
