"""Flows of a lake as a table for people. Anybody may have written what is in a lake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import units
from ..text import safe
from . import grid
from .render import _console, _end, _start, _text, listed

_HEADS = ("start (UTC)", "duration", "proto", "client", "server", "packets", "bytes", "name", "captures")
_LAYOUT = grid.Layout(
    right=("duration", "packets", "bytes"),
    going=("packets", "duration", "proto", "bytes", "start (UTC)"),
    last=("name", "captures"),
    short={"client": grid.ADDRESS, "server": grid.ADDRESS, "start (UTC)": grid.DATE, "name": grid.TEXT,
           "captures": grid.TEXT},
)  # fmt: skip


def _cells(row: dict[str, Any]) -> list[str]:
    first, *more = row["captures"]
    name = row["server_name"] or row["sni"] or row["http_host"] or row["service"] or ""
    return [
        _start(row["first_ts"]),
        units.duration(row["duration"] or 0),
        safe(row["proto"] or ""),
        safe(_end(row["client_ip"] or "", row["client_port"] or 0)),
        safe(_end(row["server_ip"] or "", row["server_port"] or 0)),
        f"{(row['client_packets'] or 0) + (row['server_packets'] or 0):,}",
        units.size((row["client_bytes"] or 0) + (row["server_bytes"] or 0)),
        safe(name),
        safe(first) + (f" +{len(more):,}" if more else ""),
    ]


def found_table(
    rows: Sequence[dict[str, Any]], total: int, color: bool, width: int, *, sort: str | None, ascending: bool
) -> str:
    """The flows that were found, with the first capture of each."""
    console = _console(color, width)
    missing = grid.show(console, _HEADS, [_cells(row) for row in rows], _LAYOUT)
    order = "the first ones"
    console.print(listed(len(rows), total, ("flow", "flows"), sort, ascending=ascending, order=order))
    if missing:
        console.print(missing)
    return _text(console)
