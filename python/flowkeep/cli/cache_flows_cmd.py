"""``flowkeep cache flows``."""

from __future__ import annotations

from typing import Any

import click

from ..ops.cache_flows import cache_flows, write_arrow
from ..ops.export import check_target
from . import notes
from .cache_options import asking, place
from .flow_output import community_seed, listing, listing_format, write_listing
from .options import query, selecting


@click.command()
@listing
@community_seed
@selecting
@asking
def flows(
    form: str | None, output: str, sort: str | None, ascending: bool, limit: int | None,
    community_seed: int, **given: Any,
) -> int:  # fmt: skip
    """List the flows that a running cache remembers.

    Packets and bytes are those that were seen, also where the tail was let go since; held_packets and
    held_bytes are what is still there.

    \b
    flowkeep cache flows --since 2h --sort bytes --limit 10
    flowkeep cache flows --where "server_port = 445" --network 10.1.0.0/16 -o smb.csv
    """
    form = listing_format(form, output)
    where = place(given)
    wanted = query(given, ())
    check_target(output, ())
    table = cache_flows(where, wanted, community_seed=community_seed)
    if wanted:
        choice = wanted.choose(table)
        table = table.take(choice.ids)
        notes.listed(wanted.lists, choice.unmatched)
    write_listing(table, form, output, sort, ascending, limit, arrow=write_arrow)
    return 0
