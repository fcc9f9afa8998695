"""Tables of hosts and services for people. Every text passes through :func:`safe`."""

from __future__ import annotations

from typing import Any

from .. import units
from ..text import safe
from .render import _console, _end, _table, _text


def _start(ns: int) -> str:
    return units.time(ns, digits=0).replace("T", " ").rstrip("Z")[2:]


def _list(values: list[str] | None, most: int) -> str:
    values = values or []
    more = f" +{len(values) - most}" if len(values) > most else ""
    return safe(" ".join(values[:most])) + more


def _show(
    heads: list[str], right: list[str], rows: list[list[str]], what: str, total: int, color: bool, width: int
) -> str:
    from rich.markup import escape

    console = _console(color, width)
    table = _table(*heads, right=",".join(right))
    for i, column in enumerate(table.columns):
        if heads[i] in right:
            # Numbers are never shortened; texts are when the terminal is narrow.
            column.min_width = max([len(heads[i]), *(len(cells[i]) for cells in rows)])
    for cells in rows:
        table.add_row(*map(escape, cells))
    console.print(table)
    if len(rows) < total:
        console.print(f"{len(rows):,} of {total:,} {what}; --limit 0 shows all, --sort COLUMN orders them")
    else:
        console.print(f"{total:,} {what}")
    return _text(console)


def host_table(rows: list[dict[str, Any]], total: int, color: bool, width: int) -> str:
    """Hosts as a table."""
    heads = ["address", "client", "server", "sent", "received", "packets", "peers", "serves", "first (UTC)",
             "last (UTC)", "system", "MAC", "names"]  # fmt: skip
    cells = [
        [
            safe(row["ip"]), f"{row['flows_as_client']:,}", f"{row['flows_as_server']:,}",
            units.size(row["bytes_sent"]), units.size(row["bytes_received"]),
            f"{row['packets_sent'] + row['packets_received']:,}", f"{row['peers']:,}",
            _list(row["ports_served"], 3), _start(row["first_ts"]), _start(row["last_ts"]),
            safe(row["os_hint"] or "") + (f" +{row['hops']}" if row["hops"] else ""),
            _list(row["macs"], 1), _list(row["names"], 1),
        ]
        for row in rows
    ]  # fmt: skip
    if not any(row["names"] for row in rows):
        heads, cells = heads[:-1], [row[:-1] for row in cells]
    return _show(heads, heads[1:7], cells, "addresses", total, color, width)


def service_table(rows: list[dict[str, Any]], total: int, color: bool, width: int) -> str:
    """Services as a table."""
    heads = ["client", "server", "proto", "flows", "sent", "received", "first (UTC)", "last (UTC)",
             "regularity", "period", "jitter"]  # fmt: skip
    cells = [
        [
            safe(row["client_ip"]), safe(_end(row["server_ip"], row["server_port"])), safe(row["proto"]),
            f"{row['flows']:,}", units.size(row["client_bytes"]), units.size(row["server_bytes"]),
            _start(row["first_ts"]), _start(row["last_ts"]),
            "" if row["regularity"] is None else f"{row['regularity']:.2f}",
            "" if row["period"] is None else units.duration(row["period"]),
            "" if row["jitter"] is None else f"{100 * row['jitter']:.0f} %",
        ]
        for row in rows
    ]  # fmt: skip
    right = ["flows", "sent", "received", "regularity", "period", "jitter"]
    return _show(heads, right, cells, "services", total, color, width)
