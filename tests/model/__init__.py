"""A slow, plain model of what flowkeep does, to check it against.

`flows` lists the flows of a capture as rows, `trim` says what is kept of each packet. The rules
stand in the docstrings of `tests.model.packet`, `tests.model.flow` and `tests.model.cut`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tests.wire import Record

from .cut import Policy as Policy
from .cut import trim as trim
from .flow import Flow, Tracker, steps
from .packet import Facts as Facts
from .packet import parse as parse

Row = dict[str, object]


def flows(
    records: Sequence[Record],
    *,
    outer: bool = False,
    key_vlan: bool = False,
    idle_ns: int = 60_000_000_000,
    tcp_idle_ns: int = 0,
) -> list[Row]:
    """The flows of a capture, one row each, in order of their first packets."""
    tracker = Tracker(idle_ns=idle_ns, tcp_idle_ns=tcp_idle_ns, key_vlan=key_vlan)
    for step in steps(records, outer=outer):
        tracker.feed(step)
    return [_row(number, flow) for number, flow in enumerate(tracker.finish())]


def _row(number: int, flow: Flow) -> Row:
    client_end, guessed = flow.client()
    server_end = flow.other(client_end)
    client, server = flow.sides[client_end], flow.peer(client_end)
    return {
        "flow_id": number,
        "proto": flow.head.proto,
        "client_ip": str(ipaddress.ip_address(client_end[0])),
        "client_port": client_end[1],
        "server_ip": str(ipaddress.ip_address(server_end[0])),
        "server_port": server_end[1],
        "first_ts": flow.first_ts,
        "last_ts": flow.last_ts,
        "client_packets": client.packets,
        "server_packets": server.packets,
        "client_bytes": client.bytes,
        "server_bytes": server.bytes,
        "client_payload_bytes": client.payload,
        "server_payload_bytes": server.payload,
        "state": flow.state(),
        "client_guessed": guessed,
        "vlan": flow.head.vlan,
        "tunnel": flow.head.tunnels,
    }
