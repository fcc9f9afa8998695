"""Which packets are looked at: filter expressions in the language of libpcap and tcpdump.

:func:`compile_filter` has libpcap compile an expression for every link type; the native core runs the
programs over the packets.
"""

from __future__ import annotations

from .libpcap import PacketFilter, compile_filter, compile_for_flows, read_expression

__all__ = ["PacketFilter", "compile_filter", "compile_for_flows", "read_expression"]
