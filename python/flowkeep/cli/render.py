"""Tables for people."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from .. import _native, units
from ..flow import Flows
from ..ops.damage import damage
from ..ops.info import InfoReport
from ..ops.search import SearchReport
from ..ops.trim import TrimReport
from ..rows import Rows
from ..text import safe
from . import grid
from .stream import WIDE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..ops.demo import Kept

_STATES = {
    "closed": "green", "open": "cyan", "half-closed": "cyan", "two-way": "cyan",
    "attempt": "yellow", "rejected": "red", "reset": "red",
}  # fmt: skip


def _console(color: bool, width: int) -> Console:
    from rich.console import Console

    return Console(file=StringIO(), force_terminal=color, width=width, highlight=False, no_color=not color,
                   legacy_windows=False)  # fmt: skip


def _text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().split("\n"))


def _table(*columns: str, right: str = "") -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right.split(",") else "left", no_wrap=True)
    return table


def _end(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip and port else f"{ip}:{port}" if port else ip


def _start(ns: int) -> str:
    return units.time(ns, digits=0).replace("T", " ").rstrip("Z")


_HEADS = (
    "id",
    "proto",
    "client",
    "server",
    "start (UTC)",
    "duration",
    "packets",
    "sent",
    "received",
    "state",
    "in",
)
_FLOWS = grid.Layout(
    right=("id", "duration", "packets", "sent", "received", "rtt", "payload"),
    going=("in", "start (UTC)", "duration", "state", "packets", "proto", "id"),
    last=("conn_state", "rtt", "server_name", "service"),
    short={"client": grid.ADDRESS, "server": grid.ADDRESS, "start (UTC)": grid.DATE, "in": grid.TEXT,
           "service": grid.TEXT, "server_name": grid.TEXT},
    markup=("state",),
)  # fmt: skip
_SORTED = {
    "flow_id": "id", "client_ip": "client", "client_port": "client", "server_ip": "server",
    "server_port": "server", "first_ts": "start (UTC)", "client_bytes": "sent", "server_bytes": "received",
    "vlan": "in", "tunnel": "in", "payload_bytes": "payload", "bytes": "sent",
}  # fmt: skip
"""Column by which flows are sorted to the one that shows it, where the names differ."""


def _flow_cells(row: dict[str, Any]) -> list[str]:
    state = row["state"]
    note = " ".join(filter(None, (row["tunnel"], f"vlan {row['vlan']}" if row["vlan"] else None)))
    return [
        str(row["flow_id"]),
        row["proto"],
        _end(row["client_ip"], row["client_port"]) + ("?" if row["client_guessed"] else ""),
        _end(row["server_ip"], row["server_port"]),
        _start(row["first_ts"]),
        units.duration(row["duration"]),
        f"{row['client_packets'] + row['server_packets']:,}",
        units.size(row["client_bytes"]),
        units.size(row["server_bytes"]),
        f"[{_STATES[state]}]{state}[/]" if state in _STATES else state,
        note,
    ]


def _value(row: dict[str, Any], column: str) -> str:
    """Any column of a flow as text; nothing for null."""
    if column == "payload_bytes":
        return units.size(row["client_payload_bytes"] + row["server_payload_bytes"])
    value = row[column]
    if value is None:
        return ""
    if column.startswith("rtt"):
        return units.duration(value)
    if column.endswith("_ts"):
        return _start(value)
    if column.endswith("_bytes"):
        return units.size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else safe(str(value))


def listed(
    shown: int, total: int, what: tuple[str, str], sort: str | None, *, ascending: bool, order: str
) -> str:
    """The line below a table: how many of how many, and why these."""
    if shown >= total:
        return units.count(total, *what)
    of = f"{shown:,} of {units.count(total, *what)}"
    if sort:
        return f"{of}, the {'smallest' if ascending else 'largest'} by {safe(sort)}; --limit 0 shows all"
    return f"{of}, {order}; --limit 0 shows all, --sort COLUMN orders them"


def flow_table(
    flows: Rows,
    total: int,
    *,
    color: bool,
    width: int = WIDE,
    sort: str | None = None,
    ascending: bool = False,
) -> str:
    """Flows as a table. The column that they are sorted by is shown on every terminal."""
    console = _console(color, width)
    there = flows.columns
    # Behind the addresses stands what was asked for.
    extra = [name for name in ("service", "server_name", "rtt", "conn_state") if name in there]
    more = bool(extra)
    by = _SORTED.get(sort, sort) if sort else None
    rest = []
    if sort and by not in (*_HEADS, *extra):
        rest = [(by or sort, sort)]
    heads = [*_HEADS[:4], *extra, *_HEADS[4:], *(head for head, _ in rest)]
    dicts = flows.to_dicts()
    rows = []
    for row in dicts:
        cells = _flow_cells(row)
        wanted = [_value(row, name) for name in extra]
        rows.append([*cells[:4], *wanted, *cells[4:], *(_value(row, name) for _, name in rest)])
    short, right = dict(_FLOWS.short), list(_FLOWS.right)
    for head, name in rest:
        if any(isinstance(row.get(name), str) for row in dicts):
            short[head] = grid.TEXT
        else:
            right.append(head)
    layout = grid.Layout(
        right=right, going=[name for name in _FLOWS.going if name != by],
        last=[name for name in _FLOWS.last if name != by], short=short, markup=_FLOWS.markup,
    )  # fmt: skip
    missing = grid.show(console, heads, rows, layout)
    order = "the largest by bytes"
    console.print(listed(len(flows), total, ("flow", "flows"), sort, ascending=ascending, order=order))
    if missing:
        console.print(missing)
    if missing or more:
        console.print("all columns: --format csv")
    return _text(console)


def kept_table(flows: Flows, kept: Sequence[Kept], *, color: bool, width: int = WIDE) -> str:
    """Flows as they were, beside what is left of each; ``kept`` is by ``flow_id``."""
    console = _console(color, width)
    heads = ("id", "proto", "client", "server", "in", "packets", "packets kept", "bytes", "bytes kept")
    rows = []
    for row in flows.to_dicts():
        cells, left = _flow_cells(row), kept[row["flow_id"]]
        both = units.size(row["client_bytes"] + row["server_bytes"])
        rows.append([*cells[:4], cells[10], cells[6], f"{left.packets:,}", both, units.size(left.bytes)])
    layout = grid.Layout(
        right=("id", "packets", "packets kept", "bytes", "bytes kept"),
        going=("in", "id", "proto", "packets", "packets kept"), short=_FLOWS.short,
    )  # fmt: skip
    missing = grid.show(console, heads, rows, layout)
    if missing:
        console.print(missing)
    return _text(console)


def _file_lines(scan: _native.FileScan) -> list[tuple[str, str]]:
    form = scan["format"] + (f" in {scan['compression']}" if scan["compression"] else "")
    links = ", ".join(f"{name} ({packets:,})" for name, packets in scan["link_types"].items()) or "no packets"
    bytes_ = f"{units.size(scan['bytes'])}, {units.size(scan['wire_bytes'])} on the wire"
    lines = [
        (
            "format",
            f"{form}, {units.size(scan['size'])}, {units.count(len(scan['interfaces']), 'interface')}",
        ),
        ("link types", links),
        ("packets", f"{scan['packets']:,} of {bytes_}"),
    ]
    if scan["packets_filtered"]:
        out = f"{units.count(scan['packets_filtered'], 'packet')} of {units.size(scan['bytes_filtered'])}"
        out += " does not match" if scan["packets_filtered"] == 1 else " do not match"
        lines.append(("filter", out))
    if scan["first_ts"] is not None and scan["last_ts"] is not None:
        span = units.duration(scan["last_ts"] - scan["first_ts"])
        lines.append(("time", f"{units.time(scan['first_ts'])} to {units.time(scan['last_ts'])}, {span}"))
    if scan["out_of_order"]:
        lines.append(("out of order", units.count(scan["out_of_order"], "packet")))
    for name, counts in (("no flow", scan["no_flow"]), ("odd", scan["anomalies"])):
        if counts:
            lines.append((name, ", ".join(f"{what} {n:,}" for what, n in counts.items())))
    if scan["original_packets"] is not None:
        lines.append(
            ("trimmed", f"{units.count(scan['original_packets'], 'packet')} before, says its ledger")
        )
    if scan["index"] != "none":
        fits = scan["index"] == "fits"
        lines.append(("index", "fits" if fits else f"does not fit: {safe(scan['index_note'] or '')}"))
    problem = damage(scan)
    lines.append(("damage", problem or "none"))
    return lines


_UNIT = re.compile(r"(?<=\d) (?=(?:[kMGT]?B|us|ms|s|min|h|%|packets?|interfaces?)\b)")


def _wrapped(name: str, value: str, width: int) -> list[str]:
    """A named value on lines that fit; no number is parted from its unit."""
    joined = _UNIT.sub("\N{NO-BREAK SPACE}", value)
    lines = textwrap.wrap(joined, max(width - 16, 20), break_on_hyphens=False) or [""]
    parts = [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
    return [f"  {name if i == 0 else '':13} {part}" for i, part in enumerate(parts)]


def info(report: InfoReport, *, color: bool, width: int = WIDE) -> str:
    """What captures hold, and what cutting would save."""
    from rich.markup import escape

    console = _console(color, width)
    for scan in report.files:
        console.print(f"[bold]{escape(safe(scan['path']))}[/]")
        for name, value in _file_lines(scan):
            style = "red" if name == "damage" and value != "none" else None
            for line in _wrapped(name, value, width):
                console.print(escape(line), style=style)
        console.print()
    console.print(f"[bold]{units.count(report.flows, 'flow')} by size[/]")
    widest = max((b[2] for b in report.histogram), default=0) or 1
    # Flows of trimmed captures count with what they were: more than the packets that are left.
    all_bytes = sum(b[2] for b in report.histogram)
    heads = ("up to", "flows", "bytes", "share of the bytes")
    rows = []
    for bound, flows, size in report.histogram:
        limit = "more" if bound >= 1 << 62 else units.size(bound)
        bar = "█" * round(30 * size / widest) or ("▏" if size else "")
        share = units.percent(size, all_bytes)
        rows.append([limit, f"{flows:,}", units.size(size), f"[cyan]{bar}[/] {share}"])
    bars = grid.Layout(right=heads[:3], going=("share of the bytes",), markup=("share of the bytes",))
    note = grid.show(console, heads, rows, bars)
    if note:
        console.print(note)
    console.print("[bold]what a cutoff would save[/]")
    saving = ("cutoff", "packets cut", "bytes kept", "bytes saved", "share", "flows cut")
    rows = []
    for what in report.what_if:
        saved = report.bytes - what["kept_bytes"]
        rows.append([
            units.cutoff(what["cutoff"]), f"{report.packets - what['kept_packets']:,}",
            units.size(what["kept_bytes"]), units.size(saved), units.percent(saved, report.bytes),
            f"{what['flows_cut']:,}",
        ])  # fmt: skip
    going = ("packets cut", "flows cut", "bytes kept", "share")
    note = grid.show(console, saving, rows, grid.Layout(right=saving, going=going))
    if note:
        console.print(note)
    return _text(console)


def trim(report: TrimReport, written: str | None = None, *, color: bool, width: int = WIDE) -> str:
    """What was cut, file by file and in all; ``written``: the report that a dry run wrote, too."""
    from rich.markup import escape

    console = _console(color, width)
    heads = ("file", "packets", "kept", "cut", "size", "now", "saved", "flows cut")
    rows = []
    for result in report.files:
        t = result.trim
        if t is None:
            rows.append([safe(result.path), *["-"] * 7])
            continue
        rows.append([
            safe(result.path), f"{t['packets']:,}", f"{t['packets_kept']:,}", f"{t['packets_cut']:,}",
            units.size(t["size"]), units.size(t["out_bytes"]),
            units.percent(max(t["size"] - t["out_bytes"], 0), t["size"]), f"{t['flows_cut']:,}",
        ])  # fmt: skip
    every: list[str] = []
    if len(report.files) > 1:
        size, out = report.total("size"), report.total("out_bytes")
        every = [
            "all", f"{report.total('packets'):,}", f"{report.total('packets_kept'):,}",
            f"{report.total('packets_cut'):,}", units.size(size), units.size(out),
            units.percent(max(size - out, 0), size), f"{report.total('flows_cut'):,}",
        ]  # fmt: skip
    layout = grid.Layout(
        right=heads[1:], going=("kept", "flows cut", "cut", "packets", "size"),
        short={"file": grid.Short(grid.middle, 24, 10)},
    )  # fmt: skip
    note = grid.show(console, heads, rows, layout, total=every)
    if note:
        console.print(note)
    dropped = report.total("packets_dropped")
    if dropped:
        bytes_ = units.size(report.total("bytes_dropped"))
        fate = (
            "does not match the filter and was dropped"
            if dropped == 1
            else "do not match the filter and were dropped"
        )
        console.print(f"{units.count(dropped, 'packet')} of {bytes_} {fate}")
    if report.dry_run:
        wrote = "nothing was written" if written is None else f"only {escape(safe(written))} was written"
        console.print(f"dry run: {wrote}")
    return _text(console)


def hit_table(report: SearchReport) -> str:
    """Hits of a search as a table: what was found stands in brackets."""
    from rich.markup import escape

    from ..ops.search import hit_rows

    console = _console(False, 100_000)
    table = _table("flow", "from", "offset", "packet", "time", "file", "found", right="flow,offset,packet")
    for row in hit_rows(report):
        sender = "client" if row["from"] == "client" else "server"
        end = _end(row[f"{sender}_ip"], row[f"{sender}_port"])
        shown = f"{row['before']}[{row['match']}]{row['after']}"
        cells = (
            str(row["flow_id"]), f"{sender} {end}", "-" if row["offset"] is None else str(row["offset"]),
            str(row["packet"]), row["time"], row["file"], shown,
        )  # fmt: skip
        table.add_row(*map(escape, cells))
    console.print(table)
    return _text(console)
