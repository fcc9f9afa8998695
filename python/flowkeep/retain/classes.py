"""Which flows of a file have an allowance of their own, or are locked; and how large they are."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import _native
from ..select.libpcap import compile_for_flows
from .model import DataSet, Lock
from .sizes import CUTOFFS, pack

if TYPE_CHECKING:
    import polars

NONE = 255
"""The class of all other flows."""
Class = tuple[int, int, bytes]
"""Captured bytes, packets, curve."""


def networks(hosts: Sequence[str]) -> list[tuple[bytes, int]]:
    """Addresses and networks as the native core takes them."""
    found = (ipaddress.ip_network(host, strict=False) for host in hosts)
    return [(net.network_address.packed, net.prefixlen) for net in found]


def _matching(table: _native.FlowTable, expression: str, least: int, most: int) -> bytes:
    program, tags = compile_for_flows(expression)
    verdicts = table.matching(program, tags=tags)
    return bytes(least <= verdict <= most for verdict in verdicts)


def _locked(table: _native.FlowTable, frame: polars.DataFrame, lock: Lock) -> bytes:
    if lock.filter is not None:
        # What a flow cannot tell may be so: a lock holds on the safe side.
        return _matching(table, lock.filter, 1, 255)
    if lock.hosts:
        return table.inside(networks(lock.hosts))
    return bytes(frame["community_id"].is_in(list(lock.community_ids)).fill_null(False).to_list())


def classify(table: _native.FlowTable, frame: polars.DataFrame, dataset: DataSet) -> bytes:
    """Per flow the number of the first depth that fits it, that of depths for a locked one, or :data:`NONE`.

    ``frame`` has the same flows as rows, with ``community_id``, and ``service`` where it is known.
    """
    found = bytearray([NONE]) * len(table)
    for lock in dataset.locks:
        if lock.log is None:
            for i, hit in enumerate(_locked(table, frame, lock)):
                if hit:
                    found[i] = len(dataset.depths)
    for n, depth in enumerate(dataset.depths):
        if depth.select is not None:
            hits: Sequence[int] = _matching(table, depth.select, 1, 1)
        elif "service" in frame.columns:
            hits = (frame["service"] == depth.service).fill_null(False).to_list()
        else:
            continue
        for i, hit in enumerate(hits):
            if hit and found[i] == NONE:
                found[i] = n
    return bytes(found)


def curves(frame: polars.DataFrame, classes: bytes, n: int) -> tuple[Class, ...]:
    """What each cutoff leaves of the flows of each class but the last number of all.

    ``frame`` has ``held`` and ``packets``, what is there of each flow, and ``original``, its bytes before it
    was ever cut.
    """
    import polars as pl

    frame = frame.with_columns(pl.Series("class", list(classes), dtype=pl.UInt8))
    found: list[Class] = []
    for number in range(n):
        own = frame.filter(pl.col("class") == number)
        held, packets = int(own["held"].sum()), int(own["packets"].sum())
        points = []
        for cutoff in CUTOFFS:
            kept = pl.min_horizontal("held", pl.lit(cutoff, dtype=pl.UInt64))
            share = (pl.col("packets") * kept / pl.max_horizontal("held", pl.lit(1))).ceil()
            whole = (pl.col("original") <= cutoff) & (pl.col("held") == pl.col("original"))
            row = own.select(kept.sum().alias("a"), share.sum().alias("b"), whole.sum().alias("c")).row(0)
            points.append((int(row[0]), int(row[1]), int(row[2])))
            if int(row[0]) == held:
                break
        found.append((held, packets, pack(points)))
    return tuple(found)
