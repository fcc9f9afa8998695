"""Tables of flows in the formats of other tools. Every writer takes flows and a binary file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from ..flow import Flows
from ..rows import Rows
from ..units import time
from .stream import Watched

Writer = Callable[[Any, IO[bytes]], None]
_BATCH = 20_000


def _rows(flows: Rows) -> Iterator[dict[str, Any]]:
    for start in range(0, len(flows), _BATCH):
        yield from flows.slice(start, _BATCH).to_dicts()


def write_csv(flows: Rows, out: IO[bytes]) -> None:
    """Comma-separated (RFC 4180), times and durations in nanoseconds, nothing for what is not there,
    the values of a list with spaces between.
    """
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    writer = csv.DictWriter(text, flows.columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({k: _flag(v) for k, v in row.items()} for row in _rows(flows))
    text.flush()
    text.detach()


def _flag(value: object) -> object:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else value


def write_ndjson(flows: Rows, out: IO[bytes]) -> None:
    """One JSON object a line."""
    for row in _rows(flows):
        out.write(json.dumps(row).encode() + b"\n")


def write_json(flows: Rows, out: IO[bytes]) -> None:
    """One JSON array of objects."""
    before = b"["
    for row in _rows(flows):
        out.write(before + b"\n" + json.dumps(row).encode())
        before = b","
    out.write(b"\n]\n" if len(flows) else b"[]\n")


def write_parquet(flows: Rows, out: IO[bytes]) -> None:
    """Parquet, zstd-compressed."""
    watched = Watched(out)
    try:
        flows.to_polars().write_parquet(cast(IO[bytes], watched))
    except Exception:
        if watched.failed is not None:
            # Polars says "file out of specification" to a full disk.
            raise watched.failed from None
        raise


_ZEEK_STATE = {
    "attempt": "S0", "rejected": "REJ", "open": "S1", "half-closed": "S2", "closed": "SF",
    "reset": "RSTO", "midstream": "OTH", "one-way": "S0", "two-way": "SF",
}  # fmt: skip
_ZEEK = [
    ("ts", "time"), ("uid", "string"), ("id.orig_h", "addr"), ("id.orig_p", "port"),
    ("id.resp_h", "addr"), ("id.resp_p", "port"), ("proto", "enum"), ("service", "string"),
    ("duration", "interval"), ("orig_bytes", "count"), ("resp_bytes", "count"),
    ("conn_state", "string"), ("missed_bytes", "count"), ("history", "string"), ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"), ("resp_pkts", "count"), ("resp_ip_bytes", "count"), ("vlan", "int"),
    ("community_id", "string"),
]  # fmt: skip


_ZEEK_SERVICE = {
    "tls": "ssl",
    "dtls": "dtls",
    "kerberos": "krb",
    "bittorrent": "bittorrent",
    "msrpc": "dce_rpc",
}
_EVE_PROTO = {"msrpc": "dcerpc", "kerberos": "krb5", "bittorrent-dht": "bittorrent-dht", "postgres": "pgsql"}


def _zeek_service(row: dict[str, Any]) -> str:
    """What a flow speaks, in Zeek's words; several of them with commas between."""
    labels = (row.get("service") or "-").split("/")
    return ",".join(_ZEEK_SERVICE.get(label, label) for label in labels)


def _seconds(ns: int, digits: int = 6) -> str:
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"[: -(9 - digits) or None]


def _zeek_row(row: dict[str, Any]) -> str:
    proto = (
        row["proto"]
        if row["proto"] in ("tcp", "udp")
        else "icmp"
        if "icmp" in row["proto"]
        else "unknown_transport"
    )
    vlan = (row["vlan"] or "-").partition(".")[0]
    missed = [n for end in ("client", "server") if (n := row.get(f"{end}_missed_bytes")) is not None]
    fields = (
        _seconds(row["first_ts"]), f"F{row['flow_id']}", row["client_ip"], row["client_port"],
        row["server_ip"], row["server_port"], proto, _zeek_service(row), _seconds(row["duration"]),
        row["client_payload_bytes"], row["server_payload_bytes"],
        row.get("conn_state") or _ZEEK_STATE.get(row["state"], "OTH"),
        sum(missed) if missed else "-", row.get("history") or "-", row["client_packets"], "-",
        row["server_packets"], "-", vlan, row["community_id"] or "-",
    )  # fmt: skip
    return "\t".join(map(str, fields)) + "\n"


def write_zeek(flows: Flows, out: IO[bytes]) -> None:
    """Zeek's conn.log; fields that flowkeep does not know are unset (``-``).

    Of flows without details ``conn_state`` is the nearest to flowkeep's own state.
    """
    head = [
        "#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn",
        "#fields\t" + "\t".join(name for name, _ in _ZEEK), "#types\t" + "\t".join(kind for _, kind in _ZEEK),
    ]  # fmt: skip
    out.write(("\n".join(head) + "\n").encode())
    for row in _rows(flows):
        out.write(_zeek_row(row).encode())


_EVE_PROTO = {"icmp6": "IPv6-ICMP", "udplite": "UDPLite", "ipv6": "IPv6"}
"""Names that Suricata spells as IANA does and not in capitals."""


def _eve_row(row: dict[str, Any]) -> dict[str, Any]:
    state = {"attempt": "new", "one-way": "new", "closed": "closed", "reset": "closed", "rejected": "closed"}
    eve: dict[str, Any] = {
        "timestamp": _eve_time(row["last_ts"]),
        "flow_id": row["flow_id"],
        "event_type": "flow",
        "src_ip": row["client_ip"],
        "src_port": row["client_port"],
        "dest_ip": row["server_ip"],
        "dest_port": row["server_port"],
        "proto": _EVE_PROTO.get(row["proto"], row["proto"].upper()),
        "flow": {
            "pkts_toserver": row["client_packets"],
            "pkts_toclient": row["server_packets"],
            "bytes_toserver": row["client_bytes"],
            "bytes_toclient": row["server_bytes"],
            "start": _eve_time(row["first_ts"]),
            "end": _eve_time(row["last_ts"]),
            "age": row["duration"] // 1_000_000_000,
            "state": state.get(row["state"], "established"),
        },
    }
    if service := row.get("service"):
        label = service.split("/")[-1]
        eve["app_proto"] = _EVE_PROTO.get(label, label)
    if row["vlan"]:
        eve["vlan"] = [int(v) for v in row["vlan"].split(".")]
    if row["community_id"]:
        eve["community_id"] = row["community_id"]
    return eve


def _eve_time(ns: int) -> str:
    return time(ns).replace("Z", "+0000")


def write_eve(flows: Flows, out: IO[bytes]) -> None:
    """Suricata's EVE: one ``flow`` event a line."""
    for row in _rows(flows):
        out.write(json.dumps(_eve_row(row)).encode() + b"\n")


WRITERS: dict[str, Writer] = {
    "csv": write_csv,
    "json": write_json,
    "ndjson": write_ndjson,
    "parquet": write_parquet,
    "zeek": write_zeek,
    "eve": write_eve,
}
"""Format to writer; ``arrow`` is written by the native core, ``table`` is for people."""
