"""The use case behind ``flowkeep cache flows``: list the flows that a running cache remembers."""

from __future__ import annotations

from typing import IO, Any

from ..cache.client import Answer, Place
from ..cache.held import HeldFlows
from ..cache.protocol import Request
from ..select.query import FlowQuery


def cache_flows(place: Place, query: FlowQuery | None = None, *, community_seed: int = 0) -> HeldFlows:
    """All flows of a cache, able to be asked by ``query``. Raises CacheError, UsageError."""
    query = query or FlowQuery()
    request = Request(
        "flows", community_seed=community_seed, networks=tuple(query.networks), flow_filter=query.flow_filter
    )
    with Answer(place, request) as answer:
        data = b"".join(answer.blocks())
        size, lengths = answer.trailer["table"], list(answer.trailer["masks"])
    masks = []
    at = size
    for length in lengths:
        masks.append(data[at : at + length])
        at += length
    inside = masks.pop(0) if query.networks else None
    matching = masks.pop(0) if query.flow_filter is not None else None
    return HeldFlows.read(data[:size], inside, matching)


def write_arrow(flows: Any, out: IO[bytes]) -> None:
    """Write flows of a cache as an Arrow file."""
    flows.to_polars().write_ipc(out)
