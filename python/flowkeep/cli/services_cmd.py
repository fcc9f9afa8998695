"""``flowkeep services``."""

from __future__ import annotations

from typing import Any

import click

from ..ops.services import list_services
from ..paths import find
from . import rows
from .options import knowing, paths, read_options, reading
from .progress import ProgressBar


@click.command()
@paths
@rows.written
@click.option("--identify", is_flag=True, help="Also which protocol is spoken, whatever the port.")
@knowing
@reading
def services(paths: tuple[str, ...], identify: bool, **given: Any) -> int:
    """List who talks to which service, how much and how regularly: beacons come first.

    \b
    flowkeep services captures/
    flowkeep services big.pcap --sort server_bytes --limit 10
    """
    found = find(paths)
    rows.check(given, found)
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        table = list_services(
            found, read_options(given), identify=identify or bool(given["models"]), progress=bar.update
        )
    from .tables import service_table

    return rows.write(table, found, service_table, given)
