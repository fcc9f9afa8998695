"""``flowkeep cache status``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from ..errors import UsageError
from ..ops.cache_status import cache_status
from ..ops.export import print_text
from .cache_options import asking, place
from .options import SECONDS
from .stream import colored, width


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON; with --watch one line a look.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=SECONDS,
    default="1",
    show_default=True,
    metavar="SECONDS",
    help="With --watch: how often.",
)
@asking
def status(as_json: bool, watch: bool, every: int, **given: Any) -> int:
    """Say how a cache fares.

    Memory by age, the allowance of flows, packets a second, what the kernel lost, how far back it reaches.

    \b
    flowkeep cache status
    flowkeep cache status --watch
    flowkeep cache status --json | jq .cache.bound
    """
    where = place(given)
    if every < 100_000_000:
        raise UsageError("--every: ten times a second is the most")
    if not watch:
        print_text(_text(cache_status(where), as_json))
        return 0
    try:
        if as_json or not sys.stdout.isatty():
            while True:
                now = cache_status(where)
                print_text(json.dumps(now) + "\n" if as_json else _text(now, False))
                time.sleep(every / 1e9)
        from .cache_render import live

        live(lambda: cache_status(where), every / 1e9, color=colored(sys.stdout))
    except KeyboardInterrupt:
        pass
    return 0


def _text(status: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps(status, indent=2) + "\n"
    from .cache_render import status_text

    return status_text(status, color=colored(sys.stdout), width=width(sys.stdout))
