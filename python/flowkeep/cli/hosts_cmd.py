"""``flowkeep hosts``."""

from __future__ import annotations

from typing import Any

import click

from ..ops.hosts import list_hosts
from ..paths import find
from . import rows
from .options import paths, read_options, reading
from .progress import ProgressBar


@click.command()
@paths
@rows.written
@reading
def hosts(paths: tuple[str, ...], **given: Any) -> int:
    """List the addresses of captures: traffic, peers, ports served, MAC addresses, a hint at the system.

    \b
    flowkeep hosts captures/ --sort peers --limit 10
    flowkeep hosts big.pcap -o hosts.csv
    """
    found = find(paths)
    rows.check(given, found)
    with ProgressBar("reading", quiet=given["quiet"]) as bar:
        table = list_hosts(found, read_options(given), progress=bar.update)
    from .tables import host_table

    return rows.write(table, found, host_table, given)
