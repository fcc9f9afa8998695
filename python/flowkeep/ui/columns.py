"""How the columns of tables are called, and in which unit they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["text", "number", "count", "bytes", "time", "duration", "share", "list", "bool"]
"""``number`` is a name made of digits, such as a port: nobody adds them up, so no digits are grouped."""


@dataclass(frozen=True)
class Column:
    """A column of a grid."""

    name: str
    title: str
    unit: Unit = "text"
    width: int = 110
    shown: bool = True
    wide: bool = False
    """Takes what room is left."""
    help: str = ""
    """What it says, where the title does not."""

    def grid(self) -> dict[str, Any]:
        """Its definition for AG Grid."""
        numeric = self.unit in ("number", "count", "bytes", "duration", "share")
        end = self.name.partition("_")[0]
        classes = [f"fk-of-{end}"] if end in ("client", "server") and self.name not in _NO_END else []
        if numeric or self.unit == "time":
            classes.append("fk-digits")
        made: dict[str, Any] = {
            "field": self.name, "headerName": self.title, "width": self.width, "hide": not self.shown,
            "sortable": True, "resizable": True, "headerTooltip": self.help or self.name,
            ":valueFormatter": f"p => fk.format(p.value, '{self.unit}')",
            ":tooltipValueGetter": f"p => fk.exact(p.value, '{self.unit}')",
        }  # fmt: skip
        if self.wide:
            made |= {"flex": 1, "minWidth": self.width}
        made["headerClass"] = [*classes, "ag-right-aligned-header"] if numeric else classes
        made["cellClass"] = [*classes, "ag-right-aligned-cell"] if numeric else classes
        if numeric:
            made["sortingOrder"] = ["desc", "asc", None]
        return made


_NO_END = ("server_name", "client_guessed")

FLOWS = (
    Column("flow_id", "Flow", "number", 54, help="flow_id: counts from 0 in the order of first packets"),
    Column("first_ts", "Start", "time", 172),
    Column("duration", "Duration", "duration", 74),
    Column("proto", "Proto", width=54),
    Column("client_ip", "Client", width=110, help="client_ip: who opened the flow"),
    Column("client_port", "Port", "number", 56, help="client_port"),
    Column("server_ip", "Server", width=110, help="server_ip: who was asked"),
    Column("server_port", "Port", "number", 56, help="server_port"),
    Column("service", "Protocol", width=76, help="service: what the flow speaks, whatever its port"),
    Column("server_name", "Server name", width=130, wide=True),
    Column("bytes", "Bytes", "bytes", 70, help="bytes: captured frame bytes of both directions"),
    Column("client_bytes", "From client", "bytes", 82),
    Column("server_bytes", "From server", "bytes", 84),
    Column("packets", "Packets", "count", 68),
    Column("state", "State", width=76),
    Column("port_mismatch", "Port mismatch", "bool", 110, False),
    Column("service_confidence", "Confidence", "share", 100, False),
    Column("service_evidence", "Evidence", width=180, shown=False),
    Column("sni", "SNI", width=170, shown=False),
    Column("alpn", "ALPN", width=80, shown=False),
    Column("http_host", "HTTP host", width=170, shown=False),
    Column("ja3", "JA3", width=250, shown=False),
    Column("ja4", "JA4", width=270, shown=False),
    Column("tls_subject", "Certificate", width=200, shown=False),
    Column("tls_issuer", "Issuer", width=200, shown=False),
    Column("rtt", "Round trip", "duration", 95, False),
    Column("client_retransmitted", "Client retransm.", "count", 110, False),
    Column("server_retransmitted", "Server retransm.", "count", 110, False),
    Column("client_missed_bytes", "Client missed", "bytes", 110, False),
    Column("server_missed_bytes", "Server missed", "bytes", 110, False),
    Column("client_ttl", "Client TTL", "number", 90, False),
    Column("server_ttl", "Server TTL", "number", 90, False),
    Column("client_mac", "Client MAC", width=140, shown=False),
    Column("server_mac", "Server MAC", width=140, shown=False),
    Column("conn_state", "Zeek state", width=90, shown=False),
    Column("history", "Zeek history", width=110, shown=False),
    Column("vlan", "VLAN", width=80, shown=False),
    Column("tunnel", "Tunnel", width=90, shown=False),
    Column("last_ts", "End", "time", 195, False),
    Column("client_packets", "Client packets", "count", 110, False),
    Column("server_packets", "Server packets", "count", 110, False),
    Column("client_payload_bytes", "Client payload", "bytes", 110, False),
    Column("server_payload_bytes", "Server payload", "bytes", 110, False),
    Column("client_guessed", "Client guessed", "bool", 110, False),
    Column("community_id", "Community ID", width=250, shown=False),
)

HOSTS = (
    Column("ip", "Address", width=190),
    Column("names", "Names", "list", 200, wide=True),
    Column("bytes_sent", "Sent", "bytes", 95),
    Column("bytes_received", "Received", "bytes", 95),
    Column("packets_sent", "Packets sent", "count", 110),
    Column("packets_received", "Packets received", "count", 125),
    Column("flows_as_client", "As client", "count", 95),
    Column("flows_as_server", "As server", "count", 95),
    Column("peers", "Peers", "count", 80),
    Column("ports_served", "Ports served", "list", 180),
    Column("os_hint", "System", width=90),
    Column("hops", "Hops", "number", 70),
    Column("mss", "MSS", "number", 70),
    Column("macs", "MAC", "list", 150),
    Column("first_ts", "First seen", "time", 195),
    Column("last_ts", "Last seen", "time", 195),
)

SERVICES = (
    Column("client_ip", "Client", width=140, wide=True),
    Column("server_ip", "Server", width=140, wide=True),
    Column("server_port", "Port", "number", 65),
    Column("proto", "Proto", width=65),
    Column("flows", "Flows", "count", 75),
    Column("regularity", "Regularity", "share", 95,
           help="regularity: 1 is a clock, 0 is chance; empty: too few flows to tell"),
    Column("period", "Period", "duration", 80, help="period: the time from flow to flow that fits best"),
    Column("jitter", "Jitter", "share", 75, help="jitter: how far flows stray, as a share of the period"),
    Column("client_bytes", "From client", "bytes", 100),
    Column("server_bytes", "From server", "bytes", 100),
    Column("first_ts", "First seen", "time", 182),
    Column("last_ts", "Last seen", "time", 182),
)  # fmt: skip

TABLES = {"flows": FLOWS, "hosts": HOSTS, "services": SERVICES}
