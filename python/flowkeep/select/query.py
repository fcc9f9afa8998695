"""Which flows of a table are wanted: the display filter."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..errors import UsageError
from ..text import safe
from ..units import Moment
from .condition import SECONDS, plain
from .libpcap import compile_for_flows
from .listing import read_list
from .tuples import COMMUNITY_ID, Wanted

if TYPE_CHECKING:
    import polars

_PARTS = {
    2: "its length (len, greater, less)", 3: "its Ethernet addresses", 4: "the priority in its VLAN tag",
    5: "its IP header besides addresses and protocol", 6: "its transport header besides ports (flags, types)",
    7: "its payload or further headers",
}  # fmt: skip
"""What a flow filter may depend on that a flow does not have, as the native core numbers it."""


class Table(Protocol):
    """What is asked of a flow table."""

    def __len__(self) -> int:
        """Flows."""
        ...

    def to_polars(self) -> polars.DataFrame:
        """One row a flow."""
        ...

    def inside(self, networks: Sequence[tuple[bytes, int]]) -> bytes:
        """Per row: 1 if the client is in one of the networks, 2 if the server is, 3 for both."""
        ...

    def matching(self, program: bytes, *, tags: bool) -> bytes:
        """Per row: 1 if a BPF program matches, 0 if not, else the number in :data:`_PARTS`."""
        ...


@dataclass(frozen=True)
class Choice:
    """What a query chose."""

    ids: list[int]
    """The ``flow_id``s, ascending."""
    unmatched: dict[str, list[int]] = field(default_factory=dict)
    """Of each list: the lines whose tuples and Community IDs are those of no flow."""


@dataclass(frozen=True)
class FlowQuery:
    """Which flows are wanted: those that meet every condition given; ``invert`` turns the set around."""

    where: str | None = None
    """SQL expression over the columns of the flow table, and ``bytes``, ``packets``, ``payload_bytes``
    of both directions. ``duration``, ``rtt``, ``rtt_client`` and ``rtt_server`` are in seconds, times are
    UTC; ``1MB``, ``10s`` are numbers, see :mod:`.condition`."""
    flows: tuple[str, ...] = ()
    """``flow_id``s or Community IDs, any of which a flow must have. A ``flow_id`` holds for the same captures
    read with the same filter and options; a Community ID holds everywhere."""
    networks: tuple[str, ...] = ()
    """CIDR blocks or addresses, in one of which an end of the flow must be."""
    since_ns: int | Moment | None = None
    """The flow was still seen at this time, nanoseconds since the epoch, or later."""
    until_ns: int | Moment | None = None
    """The flow was already seen at this time or earlier."""
    invert: bool = False
    flow_filter: str | None = None
    """Expression of pcap-filter(7) about addresses, ports, protocol and VLAN; a flow meets it when packets of
    one direction would."""
    flows_from: tuple[str | os.PathLike[str], ...] = ()
    """Files with tuples or Community IDs, any of which a flow must have, see :mod:`.tuples`; they are read at
    once. ``-`` is standard input."""
    lists: tuple[Wanted, ...] = field(default=(), repr=False, compare=False)
    """What was found in them, and any other that is given."""

    def __post_init__(self) -> None:
        """Read the lists. Raises OSError, and UsageError for what cannot be meant."""
        self._ids()
        parse_networks(self.networks)
        if self.where is not None:
            _condition(self.where)
        if self.flow_filter is not None:
            compile_for_flows(self.flow_filter)
        names = (self.flows_from,) if isinstance(self.flows_from, str | os.PathLike) else self.flows_from
        object.__setattr__(self, "flows_from", tuple(names))
        if not self.lists:
            object.__setattr__(self, "lists", tuple(read_list(name) for name in self.flows_from))

    def __bool__(self) -> bool:
        """Whether any condition is given."""
        times = self.since_ns is not None or self.until_ns is not None
        texts = self.where is not None or self.flow_filter is not None
        return texts or bool(self.flows or self.networks or self.lists) or times

    def mentions(self, columns: Sequence[str]) -> bool:
        """Whether the condition speaks of one of these columns."""
        words = set(re.findall(r"\w+", self.where or ""))
        return not words.isdisjoint(columns)

    def named(self) -> tuple[list[int], list[str]] | None:
        """The ``flow_id``s and the Community IDs, if nothing else is asked; no flow table is needed then."""
        alone = FlowQuery(flows=self.flows)
        # Lists are not compared: what is in a file is no part of the question.
        return self._ids() if self.flows and not self.lists and self == alone else None

    def _ids(self) -> tuple[list[int], list[str]]:
        numbers, communities = [], []
        for text in self.flows:
            if text.isascii() and text.isdigit() and len(text) < 11:
                numbers.append(int(text))
            elif COMMUNITY_ID.fullmatch(text):
                communities.append(text)
            else:
                raise UsageError(
                    f"{safe(text)!r} names no flow: write a flow_id such as 17, "
                    "or a Community ID such as 1:LQU9qZlK+B5F3KDmev6m5PMibrg="
                )
        return numbers, communities

    def ids(self, table: Table) -> list[int]:
        """The ``flow_id``s of the flows that are wanted, ascending. Raises UsageError."""
        return self.choose(table).ids

    def choose(self, table: Table) -> Choice:
        """The flows that are wanted, and what was looked for in vain. Raises UsageError."""
        frame = table.to_polars()
        wanted, unmatched = self._mask(table, frame)
        return Choice(frame["flow_id"].filter(wanted).sort().to_list(), unmatched)

    def mask(self, table: Table) -> polars.Series:
        """For each row of the table whether it is wanted. Raises UsageError."""
        return self._mask(table, table.to_polars())[0]

    def _mask(self, table: Table, frame: polars.DataFrame) -> tuple[polars.Series, dict[str, list[int]]]:
        import polars as pl

        wanted = (
            pl.Series([True]).new_from_index(0, len(frame)) if len(frame) else pl.Series([], dtype=pl.Boolean)
        )
        unmatched: dict[str, list[int]] = {}
        if self.flows:
            wanted &= self._named(frame)
        if self.lists:
            from .lookup import look_up

            listed = pl.Series([False]).new_from_index(0, len(frame)) if len(frame) else wanted
            for one in self.lists:
                rows, unmatched[one.source] = look_up(frame, one)
                listed |= rows
            wanted &= listed
        if self.networks:
            wanted &= _numbers(table.inside(parse_networks(self.networks))) > 0
        if self.flow_filter is not None:
            wanted &= self._matching(table)
        if self.since_ns is not None:
            wanted &= frame["last_ts"].dt.epoch("ns") >= _resolved(self.since_ns, frame)
        if self.until_ns is not None:
            wanted &= frame["first_ts"].dt.epoch("ns") <= _resolved(self.until_ns, frame)
        if self.where is not None:
            wanted &= self._where(frame)
        if self.invert:
            wanted = ~wanted
        return wanted, unmatched

    def _named(self, frame: polars.DataFrame) -> polars.Series:
        import polars as pl

        numbers, communities = self._ids()
        there = frame["flow_id"]
        if len(there) and there.max() != len(there) - 1:
            refuse_unknown(numbers, there)
        else:
            refuse_beyond(numbers, len(there))
        by_community = pl.col("community_id").is_in(communities).fill_null(False)
        return frame.select(pl.col("flow_id").is_in(numbers) | by_community).to_series()

    def _matching(self, table: Table) -> polars.Series:
        assert self.flow_filter is not None
        program, tags = compile_for_flows(self.flow_filter)
        said = _numbers(table.matching(program, tags=tags))
        open_ = said.filter(said > 1)
        if len(open_):
            raise UsageError(
                f"flow filter {safe(self.flow_filter)!r}: for {len(open_):,} of {len(said):,} flows it "
                f"depends on what differs from packet to packet: {_PARTS[open_[0]]}. A flow filter is about "
                "addresses, ports, protocol and VLAN; --filter looks at packets, --where at columns such as "
                "bytes and packets"
            )
        return said == 1

    def _where(self, frame: polars.DataFrame) -> polars.Series:
        import polars as pl

        assert self.where is not None
        both = [
            (pl.col(f"client_{name}") + pl.col(f"server_{name}")).alias(name)
            for name in ("packets", "bytes", "payload_bytes")
        ]
        there = [name for name in SECONDS if name in frame.columns]
        seconds = pl.col(there).cast(pl.Int64) / 1e9
        times = pl.col("first_ts", "last_ts").dt.replace_time_zone(None)
        try:
            lazy = frame.lazy().with_columns(*both, seconds, times)
            # Lazy: what the condition does not speak of is not made.
            answer = lazy.select(_condition(self.where)).collect()
        except pl.exceptions.PolarsError as error:
            raise UsageError(f"--where {safe(self.where)!r}: {_reason(error, frame.columns)}") from None
        column = answer.to_series()
        if column.dtype != pl.Boolean:
            raise UsageError(
                f"--where {safe(self.where)!r} is a value and no condition: write a comparison such as "
                "server_bytes > 1e6"
            )
        if len(column) == 1 and len(frame) != 1:
            column = column.new_from_index(0, len(frame))
        return column.fill_null(False)


def _numbers(data: bytes) -> polars.Series:
    """One number a byte."""
    import polars as pl

    if not data:
        return pl.Series([], dtype=pl.UInt8)
    return pl.Series([data]).cast(pl.List(pl.UInt8)).explode()


def parse_networks(networks: Sequence[str]) -> list[tuple[bytes, int]]:
    """Networks as (address, bits that count), from CIDR blocks or addresses. Raises UsageError."""
    blocks = []
    for text in networks:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise UsageError(
                f"{safe(text)!r} is no network: write an address or a CIDR block such as 10.0.0.0/8 "
                "or 2001:db8::/32"
            ) from None
        blocks.append((network.network_address.packed, network.prefixlen))
    return blocks


def _condition(where: str) -> polars.Expr:
    """The condition, parsed. Raises UsageError."""
    import polars as pl

    sql = plain(where)
    try:
        pl.sql_expr(sql)
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"--where {safe(where)!r}: {_reason(error, [])}") from None
    try:
        # Inside of parentheses a name behind an expression (bytes > 1 AS x, bytes > 1 x) is an error.
        return pl.sql_expr(f"({sql}\n)")
    except pl.exceptions.PolarsError:
        raise UsageError(
            f"--where {safe(where)!r}: something behind the condition would only give it a name: write one "
            "condition, and join several by AND or OR"
        ) from None


def _resolved(when: int | Moment, frame: polars.DataFrame) -> int:
    if isinstance(when, int):
        return when
    if not len(frame):
        return 0
    first, last = frame["first_ts"].dt.epoch("ns").min(), frame["last_ts"].dt.epoch("ns").max()
    assert isinstance(first, int) and isinstance(last, int)
    return when.at(first, last)


def refuse_beyond(numbers: Sequence[int], flows: int) -> None:
    """Raise UsageError for a ``flow_id`` that none of so many flows has."""
    beyond = [n for n in numbers if n >= flows]
    if beyond:
        raise UsageError(f"there is no flow {beyond[0]}: there are {flows}, counted from 0")


def refuse_unknown(numbers: Sequence[int], there: polars.Series) -> None:
    """Raise UsageError for a ``flow_id`` that none of these flows has, which do not count from 0."""
    known = set(there.filter(there.is_in(list(numbers))).to_list())
    unknown = [n for n in numbers if n not in known]
    if unknown:
        raise UsageError(f"there is no flow {unknown[0]} any more, or not yet: {len(there)} are there")


def _reason(error: Exception, columns: list[str]) -> str:
    text = safe(str(error).strip().split("\n")[0])
    if "unable to find column" in text:
        names = ", ".join([*columns, "bytes", "packets", "payload_bytes"])
        return f"{text.split(';')[0]}; there are {names}"
    if "date/datetime/time" in text:
        return (
            "a time is compared with text: write timestamp '2024-05-01 12:00:00', or use --since and --until"
        )
    return text
