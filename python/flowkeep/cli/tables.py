"""Tables of hosts and services for people. Every text passes through :func:`safe`."""

from __future__ import annotations

from typing import Any

from .. import units
from ..text import safe
from . import grid
from .render import _console, _end, _start, _text, listed
from .stream import WIDE

_HOST_SORTED = {
    "flows_as_client": "client", "flows_as_server": "server", "packets_sent": "packets",
    "packets_received": "packets", "first_ts": "first (UTC)", "last_ts": "last (UTC)", "os_hint": "system",
    "hops": "system", "macs": "MAC", "ports_served": "serves",
}  # fmt: skip
_SERVICE_SORTED = {
    "client_bytes": "sent", "server_bytes": "received", "first_ts": "first (UTC)", "last_ts": "last (UTC)",
}  # fmt: skip


def _list(values: list[str] | None, most: int) -> str:
    values = values or []
    more = f" +{len(values) - most}" if len(values) > most else ""
    return safe(" ".join(values[:most])) + more


def _show(
    heads: list[str], rows: list[list[str]], layout: grid.Layout, footer: str, color: bool, width: int
) -> str:
    console = _console(color, width)
    note = grid.show(console, heads, rows, layout)
    console.print(footer)
    if note:
        console.print(note)
        console.print("all columns: --format csv")
    return _text(console)


def _without(names: tuple[str, ...], sort: str | None, shown: dict[str, str]) -> list[str]:
    """Columns that may go: all but the one that the rows are sorted by."""
    return [name for name in names if not sort or name != shown.get(sort, sort)]


def host_table(
    rows: list[dict[str, Any]], total: int, color: bool, width: int = WIDE, *, sort: str | None = None,
    ascending: bool = False,
) -> str:  # fmt: skip
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
    layout = grid.Layout(
        right=heads[1:7],
        going=_without(
            ("system", "MAC", "first (UTC)", "packets", "client", "server", "last (UTC)", "names", "serves"),
            sort, _HOST_SORTED,
        ),
        short={
            "address": grid.ADDRESS, "first (UTC)": grid.DATE, "last (UTC)": grid.DATE, "names": grid.TEXT,
        },
    )  # fmt: skip
    what = ("address", "addresses")
    footer = listed(len(rows), total, what, sort, ascending=ascending, order="those with most bytes")
    return _show(heads, cells, layout, footer, color, width)


def service_table(
    rows: list[dict[str, Any]], total: int, color: bool, width: int = WIDE, *, sort: str | None = None,
    ascending: bool = False,
) -> str:  # fmt: skip
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
    if rows and "service" in rows[0]:
        heads.append("service")
        for line, row in zip(cells, rows, strict=True):
            line.append(safe(row["service"] or ""))
    layout = grid.Layout(
        right=("flows", "sent", "received", "regularity", "period", "jitter"),
        going=_without(
            ("first (UTC)", "jitter", "proto", "last (UTC)", "received", "sent"), sort, _SERVICE_SORTED
        ),
        short={
            "client": grid.ADDRESS, "server": grid.ADDRESS, "first (UTC)": grid.DATE, "last (UTC)": grid.DATE,
        },
    )  # fmt: skip
    what = ("service", "services")
    footer = listed(len(rows), total, what, sort, ascending=ascending, order="the most regular ones")
    return _show(heads, cells, layout, footer, color, width)
