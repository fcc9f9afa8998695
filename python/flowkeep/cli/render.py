"""Tables for people."""

from __future__ import annotations

import shutil
from io import StringIO
from typing import TYPE_CHECKING, Any

from .. import _native, units
from ..flow import Flows
from ..ops.info import InfoReport
from ..ops.search import SearchReport
from ..ops.trim import TrimReport, damage
from ..text import safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STATES = {
    "closed": "green", "open": "cyan", "half-closed": "cyan", "two-way": "cyan",
    "attempt": "yellow", "rejected": "red", "reset": "red",
}  # fmt: skip


def _console(color: bool) -> Console:
    from rich.console import Console

    width = shutil.get_terminal_size((120, 40)).columns if color else 180
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


def _flow_cells(row: dict[str, Any]) -> list[str]:
    state = row["state"]
    note = " ".join(filter(None, (row["tunnel"], f"vlan {row['vlan']}" if row["vlan"] else None)))
    return [
        str(row["flow_id"]),
        row["proto"],
        _end(row["client_ip"], row["client_port"]) + ("?" if row["client_guessed"] else ""),
        _end(row["server_ip"], row["server_port"]),
        units.time(row["first_ts"], digits=0).replace("T", " ").rstrip("Z")[2:],
        units.duration(row["duration"]),
        f"{row['client_packets'] + row['server_packets']:,}",
        units.size(row["client_bytes"]),
        units.size(row["server_bytes"]),
        f"[{_STATES[state]}]{state}[/]" if state in _STATES else state,
        note,
    ]


def _plain(cell: str) -> str:
    return cell.split("]")[1].removesuffix("[/") if cell.endswith("[/]") else cell


def flow_table(flows: Flows, total: int, *, color: bool) -> str:
    """Flows as a table."""
    from rich.markup import escape

    console = _console(color)
    heads = (
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
    table = _table(*heads, right="id,duration,packets,sent,received")
    rows = [_flow_cells(row) for row in flows.to_dicts()]
    for i, column in enumerate(table.columns):
        if heads[i] not in ("client", "server", "in"):
            # Numbers are never shortened; addresses are when the terminal is narrow.
            column.min_width = max([len(heads[i]), *(len(_plain(cells[i])) for cells in rows)])
    for cells in rows:
        # Addresses in brackets are no markup; the state's colour is.
        table.add_row(*(cell if i == 9 else escape(cell) for i, cell in enumerate(cells)))
    console.print(table)
    if len(flows) < total:
        console.print(f"{len(flows):,} of {total:,} flows; --limit 0 shows all, --sort COLUMN orders them")
    else:
        console.print(f"{total:,} flows")
    return _text(console)


def _file_lines(scan: _native.FileScan) -> list[tuple[str, str]]:
    form = scan["format"] + (f" in {scan['compression']}" if scan["compression"] else "")
    links = ", ".join(f"{name} ({packets:,})" for name, packets in scan["link_types"].items()) or "no packets"
    bytes_ = f"{units.size(scan['bytes'])}, {units.size(scan['wire_bytes'])} on the wire"
    lines = [
        ("format", f"{form}, {units.size(scan['size'])}, {len(scan['interfaces'])} interfaces"),
        ("link types", links),
        ("packets", f"{scan['packets']:,} of {bytes_}"),
    ]
    if scan["first_ts"] is not None and scan["last_ts"] is not None:
        span = units.duration(scan["last_ts"] - scan["first_ts"])
        lines.append(("time", f"{units.time(scan['first_ts'])} to {units.time(scan['last_ts'])}, {span}"))
    if scan["out_of_order"]:
        lines.append(("out of order", f"{scan['out_of_order']:,} packets"))
    for name, counts in (("no flow", scan["no_flow"]), ("odd", scan["anomalies"])):
        if counts:
            lines.append((name, ", ".join(f"{what} {n:,}" for what, n in counts.items())))
    if scan["original_packets"] is not None:
        lines.append(("trimmed", f"{scan['original_packets']:,} packets before, says its ledger"))
    problem = damage(scan)
    lines.append(("damage", problem or "none"))
    return lines


def info(report: InfoReport, *, color: bool) -> str:
    """What captures hold, and what cutting would save."""
    from rich.markup import escape

    console = _console(color)
    for scan in report.files:
        console.print(f"[bold]{escape(safe(scan['path']))}[/]")
        for name, value in _file_lines(scan):
            console.print(
                f"  {name:13} {escape(value)}", style="red" if name == "damage" and value != "none" else None
            )
        console.print()
    console.print(f"[bold]{report.flows:,} flows by size[/]")
    widest = max((b[2] for b in report.histogram), default=0) or 1
    table = _table("up to", "flows", "bytes", "share of the bytes", right="up to,flows,bytes")
    for bound, flows, size in report.histogram:
        limit = "more" if bound >= 1 << 62 else units.size(bound)
        bar = "█" * round(30 * size / widest) or ("▏" if size else "")
        share = units.percent(size, report.bytes)
        table.add_row(limit, f"{flows:,}", units.size(size), f"[cyan]{bar}[/] {share}")
    console.print(table)
    console.print("[bold]what a cutoff would save[/]")
    table = _table("cutoff", "packets cut", "bytes kept", "bytes saved", "share", "flows cut",
                   right="cutoff,packets cut,bytes kept,bytes saved,share,flows cut")  # fmt: skip
    for what in report.what_if:
        saved = report.bytes - what["kept_bytes"]
        table.add_row(
            units.cutoff(what["cutoff"]), f"{report.packets - what['kept_packets']:,}",
            units.size(what["kept_bytes"]), units.size(saved), units.percent(saved, report.bytes),
            f"{what['flows_cut']:,}",
        )  # fmt: skip
    console.print(table)
    return _text(console)


def trim(report: TrimReport, *, color: bool) -> str:
    """What was cut, file by file and in all."""
    from rich.markup import escape

    console = _console(color)
    heads = ("file", "packets", "kept", "cut", "size", "now", "saved", "flows cut")
    table = _table(*heads, right=",".join(heads[1:]))
    for result in report.files:
        t = result.trim
        if t is None:
            table.add_row(escape(safe(result.path)), *["-"] * 6, "-")
            continue
        table.add_row(
            escape(safe(result.path)), f"{t['packets']:,}", f"{t['packets_kept']:,}", f"{t['packets_cut']:,}",
            units.size(t["size"]), units.size(t["out_bytes"]),
            units.percent(max(t["size"] - t["out_bytes"], 0), t["size"]), f"{t['flows_cut']:,}",
        )  # fmt: skip
    if len(report.files) > 1:
        size, out = report.total("size"), report.total("out_bytes")
        table.add_section()
        table.add_row(
            "all", f"{report.total('packets'):,}", f"{report.total('packets_kept'):,}",
            f"{report.total('packets_cut'):,}", units.size(size), units.size(out),
            units.percent(max(size - out, 0), size), f"{report.total('flows_cut'):,}",
        )  # fmt: skip
    console.print(table)
    if report.dry_run:
        console.print("dry run: nothing was written")
    return _text(console)


def hit_table(report: SearchReport) -> str:
    """Hits of a search as a table: what was found stands in brackets."""
    from rich.markup import escape

    from ..ops.search import hit_rows

    console = _console(False)
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
    console.width = 100_000
    console.print(table)
    return _text(console)
