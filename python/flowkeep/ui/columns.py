"""How the columns of tables are called, and in which unit they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["text", "count", "bytes", "time", "duration", "share", "list", "bool"]


@dataclass(frozen=True)
class Column:
    """A column of a grid."""

    name: str
    title: str
    unit: Unit = "text"
    width: int = 110
    shown: bool = True

    def grid(self) -> dict[str, Any]:
        """Its definition for AG Grid."""
        numeric = self.unit in ("count", "bytes", "duration", "share")
        made: dict[str, Any] = {
            "field": self.name, "headerName": self.title, "width": self.width, "hide": not self.shown,
            "sortable": True, "resizable": True, "headerTooltip": self.name,
            ":valueFormatter": f"p => fk.format(p.value, '{self.unit}')",
            ":tooltipValueGetter": f"p => fk.exact(p.value, '{self.unit}')",
        }  # fmt: skip
        if numeric:
            made["type"] = "rightAligned"
            made["sortingOrder"] = ["desc", "asc", None]
        return made


FLOWS = (
    Column("flow_id", "Flow", "count", 80),
    Column("first_ts", "Start", "time", 195),
    Column("duration", "Duration", "duration", 95),
    Column("proto", "Proto", width=70),
    Column("client_ip", "Client", width=130),
    Column("client_port", "Port", "count", 70),
    Column("server_ip", "Server", width=130),
    Column("server_port", "Port", "count", 70),
    Column("service", "Protocol", width=105),
    Column("server_name", "Server name", width=170),
    Column("bytes", "Bytes", "bytes", 90),
    Column("client_bytes", "From client", "bytes", 100),
    Column("server_bytes", "From server", "bytes", 100),
    Column("packets", "Packets", "count", 85),
    Column("state", "State", width=100),
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
    Column("client_ttl", "Client TTL", "count", 90, False),
    Column("server_ttl", "Server TTL", "count", 90, False),
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
    Column("ip", "Address", width=150),
    Column("names", "Names", "list", 220),
    Column("bytes_sent", "Sent", "bytes", 95),
    Column("bytes_received", "Received", "bytes", 95),
    Column("packets_sent", "Packets sent", "count", 110),
    Column("packets_received", "Packets received", "count", 125),
    Column("flows_as_client", "As client", "count", 95),
    Column("flows_as_server", "As server", "count", 95),
    Column("peers", "Peers", "count", 80),
    Column("ports_served", "Ports served", "list", 180),
    Column("os_hint", "System", width=90),
    Column("hops", "Hops", "count", 70),
    Column("mss", "MSS", "count", 70),
    Column("macs", "MAC", "list", 150),
    Column("first_ts", "First seen", "time", 195),
    Column("last_ts", "Last seen", "time", 195),
)

SERVICES = (
    Column("client_ip", "Client", width=140),
    Column("server_ip", "Server", width=140),
    Column("server_port", "Port", "count", 75),
    Column("proto", "Proto", width=75),
    Column("flows", "Flows", "count", 80),
    Column("regularity", "Regularity", "share", 105),
    Column("period", "Period", "duration", 95),
    Column("jitter", "Jitter", "share", 85),
    Column("client_bytes", "From client", "bytes", 105),
    Column("server_bytes", "From server", "bytes", 105),
    Column("first_ts", "First seen", "time", 195),
    Column("last_ts", "Last seen", "time", 195),
)

TABLES = {"flows": FLOWS, "hosts": HOSTS, "services": SERVICES}
