"""Tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from .. import _native, units
from ..flow import Flows
from ..ops.damage import damage
from ..ops.info import InfoReport
from ..ops.search import SearchReport
from ..ops.trim import TrimReport
from ..text import safe
from .stream import WIDE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..ops.demo import Kept

_STATES = {
    "closed": "green", "open": "cyan", "half-closed": "cyan", "two-way": "cyan",
    "attempt": "yellow", "rejected": "red", "reset": "red",
}  # fmt: skip


_SHORT = len("255.255.255.255:65535")
"""Characters to which an address may be shortened before whole columns go."""


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


def _fitting(heads: Sequence[str], rows: list[list[str]], width: int) -> tuple[list[int], list[int]]:
    """The columns that fit, and the width of each.

    Numbers are never shortened; addresses are when the terminal is narrow. When that is not enough,
    whole columns go, and the table says which.
    """
    full = [max([len(head), *(len(_plain(cells[i])) for cells in rows)]) for i, head in enumerate(heads)]
    widths = list(full)
    for name in ("client", "server", "in"):
        i = heads.index(name)
        widths[i] = min(full[i], _SHORT)
    shown = list(range(len(heads)))

    def room() -> int:
        return width - 2 - sum(widths[i] + 2 for i in shown)

    for name in ("in", "start (UTC)", "duration", "state", "packets", "proto", "id"):
        if room() >= 0:
            break
        if name in heads:
            shown.remove(heads.index(name))
    ends = [heads.index("client"), heads.index("server")]
    while room() < 0 and max(widths[i] for i in ends) > 8:
        widths[max(ends, key=lambda i: widths[i])] -= 1
    # What room is left goes to the addresses, the shorter one first.
    for i in sorted((i for i in shown if widths[i] < full[i]), key=lambda i: full[i]):
        more = sum(widths[j] < full[j] for j in shown)
        widths[i] += min(full[i] - widths[i], max(room(), 0) // more)
    return shown, widths


def _flow_rows(heads: Sequence[str], rows: list[list[str]], width: int, *, right: str) -> Table:
    from rich.markup import escape

    shown, widths = _fitting(heads, rows, width)
    table = _table(*(heads[i] for i in shown), right=right)
    for column, i in zip(table.columns, shown, strict=True):
        column.width = widths[i]
    for cells in rows:
        # Addresses in brackets are no markup; the state's colour is.
        table.add_row(*(cells[i] if heads[i] == "state" else escape(cells[i]) for i in shown))
    return table


def flow_table(flows: Flows, total: int, *, color: bool, width: int = WIDE) -> str:
    """Flows as a table."""
    console = _console(color, width)
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
    rows = [_flow_cells(row) for row in flows.to_dicts()]
    shown, _ = _fitting(heads, rows, width)
    console.print(_flow_rows(heads, rows, width, right="id,duration,packets,sent,received"))
    if len(flows) < total:
        console.print(f"{len(flows):,} of {total:,} flows; --limit 0 shows all, --sort COLUMN orders them")
    else:
        console.print(f"{total:,} flows")
    missing = [head for i, head in enumerate(heads) if i not in shown]
    if missing:
        console.print(f"no room for: {', '.join(missing)}")
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
    console.print(_flow_rows(heads, rows, width, right="id,packets,packets kept,bytes,bytes kept"))
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
    if scan["packets_filtered"]:
        out = f"{scan['packets_filtered']:,} packets of {units.size(scan['bytes_filtered'])} do not match"
        lines.append(("filter", out))
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
    if scan["index"] != "none":
        fits = scan["index"] == "fits"
        lines.append(("index", "fits" if fits else f"does not fit: {safe(scan['index_note'] or '')}"))
    problem = damage(scan)
    lines.append(("damage", problem or "none"))
    return lines


def info(report: InfoReport, *, color: bool, width: int = WIDE) -> str:
    """What captures hold, and what cutting would save."""
    from rich.markup import escape

    console = _console(color, width)
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


def trim(report: TrimReport, written: str | None = None, *, color: bool, width: int = WIDE) -> str:
    """What was cut, file by file and in all; ``written``: the report that a dry run wrote, too."""
    from rich.markup import escape

    console = _console(color, width)
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
    dropped = report.total("packets_dropped")
    if dropped:
        bytes_ = units.size(report.total("bytes_dropped"))
        console.print(f"{dropped:,} packets of {bytes_} do not match the filter and were dropped")
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
