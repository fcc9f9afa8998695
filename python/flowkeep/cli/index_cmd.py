"""``flowkeep index``."""

from __future__ import annotations

from typing import Any

import click

from .. import units
from ..ops.index import IndexedFile
from ..ops.index import index as make_indexes
from ..paths import find
from ..text import safe
from . import notes
from .options import paths, read_options, reading
from .progress import ProgressBar


@click.command()
@paths
@click.option("--verify", is_flag=True, help="Write nothing: compare each whole capture with its index.")
@click.option("--remake", is_flag=True, help="Also where there is an index that fits.")
@reading
def index(paths: tuple[str, ...], verify: bool, remake: bool, **given: Any) -> int:  # fmt: skip
    """Write beside each capture, once, where the packets of its flows lie.

    flows and extract use NAME.flowkeep-index when the data set is that one capture and the index fits it;
    their results are the same, only sooner. It does not fit any more when the capture is changed.

    \b
    flowkeep index big.pcap
    flowkeep extract big.pcap --flow 17 -o one.pcap
    flowkeep index captures/ --verify
    """
    found = find(paths)
    with ProgressBar("indexing", quiet=given["quiet"]) as bar:
        report = make_indexes(found, read_options(given), verify=verify, remake=remake, progress=bar.update)
    for file in report.files:
        click.echo(f"{safe(file.path)}: {_said(file)}", err=True)
    damaged = notes.oddities(file.scan for file in report.files if file.scan is not None)
    misfits = any(file.outcome == "misfit" for file in report.files)
    return int(notes.skipped(found.skipped) or damaged or misfits)


def _said(file: IndexedFile) -> str:
    size = units.size(file.bytes)
    text = {
        "made": f"index of {units.count(file.flows, 'flow')}, {size}",
        "kept": f"its index fits, {size}",
        "renewed": f"the same capture under new time stamps; its index fits again, {size}",
        "verified": f"the whole capture is as it was indexed, {size}",
        "misfit": "the index does not fit",
        "skipped": "no index",
    }[file.outcome]
    return text if file.note is None else f"{text}: {safe(file.note)}"
