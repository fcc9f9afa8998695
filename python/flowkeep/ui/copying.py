"""A flow in the words of other tools, to be pasted there."""

from __future__ import annotations

import ipaddress
from typing import Any

_PORTS = ("tcp", "udp", "sctp")


def bpf(row: dict[str, Any]) -> str:
    """As tcpdump and libpcap filter it."""
    hosts = " and ".join(f"host {row[f'{end}_ip']}" for end in ("client", "server"))
    proto = {"icmpv6": "icmp6"}.get(row["proto"], row["proto"])
    if proto in _PORTS:
        ports = " and ".join(f"port {row[f'{end}_port']}" for end in ("client", "server"))
        return f"{proto} and {hosts} and {ports}"
    number = proto.removeprefix("proto-") if proto.startswith("proto-") else ""
    return (
        f"{hosts} and {'ip6 proto' if _six(row) else 'ip proto'} {number}"
        if number.isdigit()
        else f"{proto} and {hosts}"
    )


def wireshark(row: dict[str, Any]) -> str:
    """As Wireshark's display filter."""
    field = "ipv6.addr" if _six(row) else "ip.addr"
    parts = [f"{field} == {row[f'{end}_ip']}" for end in ("client", "server")]
    if row["proto"] in _PORTS:
        parts += [f"{row['proto']}.port == {row[f'{end}_port']}" for end in ("client", "server")]
    elif row["proto"] in ("icmp", "icmpv6"):
        parts.insert(0, row["proto"])
    return " && ".join(parts)


def zeek(row: dict[str, Any]) -> str:
    """As fields of Zeek's conn.log."""
    ends = (("orig", "client"), ("resp", "server"))
    parts = [f"id.{name}_h={row[f'{end}_ip']} id.{name}_p={row[f'{end}_port']}" for name, end in ends]
    return f"{' '.join(parts)} proto={row['proto']}"


def text(row: dict[str, Any]) -> str:
    """As people write it."""
    ends = [f"[{ip}]" if ":" in (ip := row[f"{end}_ip"]) else ip for end in ("client", "server")]
    return f"{row['proto']} {ends[0]}:{row['client_port']} > {ends[1]}:{row['server_port']}"


def _six(row: dict[str, Any]) -> bool:
    return ipaddress.ip_address(row["client_ip"]).version == 6
