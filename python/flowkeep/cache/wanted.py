"""Flows that are named: by Community ID, or by addresses and ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from ..errors import UsageError
from ..select.tuples import find_tuples
from ..text import safe

End = tuple[bytes, int | None]
Named = str | int | tuple[int | None, End, End]
"""A Community ID, a number, or protocol and both ends; None where it is not said."""

_NUMBERS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51,
    "icmp6": 58,
    "ospf": 89, "pim": 103, "vrrp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip


def wanted_flows(texts: Iterable[str | int]) -> list[Named]:
    """What the texts name, as the native core takes it. Raises UsageError for one that names nothing."""
    named: list[Named] = []
    for text in texts:
        if isinstance(text, int):
            named.append(text)
            continue
        found = find_tuples([text])
        if not found.ends and not found.communities:
            raise UsageError(
                f"{safe(text)!r} names no flow: write a Community ID, or addresses and ports such as "
                "tcp 10.0.0.1:40000 192.0.2.1:443"
            )
        named.extend(found.communities)
        for a, a_port, b, b_port, proto in found.ends:
            ends = [(ipaddress.ip_address(ip).packed, port) for ip, port in ((a, a_port), (b, b_port))]
            named.append((None if proto is None else _NUMBERS.get(proto), ends[0], ends[1]))
    return named
