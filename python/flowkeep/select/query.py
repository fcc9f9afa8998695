"""Which flows of a table are wanted: the display filter."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..errors import UsageError
from ..text import safe

if TYPE_CHECKING:
    import polars

_COMMUNITY_ID = re.compile(r"1:[A-Za-z0-9+/]{27}=")


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


@dataclass(frozen=True)
class FlowQuery:
    """Which flows are wanted: those that meet every condition given; ``invert`` turns the set around."""

    where: str | None = None
    """SQL expression over the columns of the flow table, and ``bytes``, ``packets``, ``payload_bytes``
    of both directions. ``duration`` is in seconds, times are UTC."""
    flows: tuple[str, ...] = ()
    """``flow_id``s or Community IDs, any of which a flow must have."""
    networks: tuple[str, ...] = ()
    """CIDR blocks or addresses, in one of which an end of the flow must be."""
    since_ns: int | None = None
    """The flow was still seen at this time, nanoseconds since the epoch, or later."""
    until_ns: int | None = None
    """The flow was already seen at this time or earlier."""
    invert: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        self._ids()
        self._blocks()

    def __bool__(self) -> bool:
        """Whether any condition is given."""
        times = self.since_ns is not None or self.until_ns is not None
        return self.where is not None or bool(self.flows or self.networks) or times

    def mentions(self, columns: Sequence[str]) -> bool:
        """Whether the condition speaks of one of these columns."""
        words = set(re.findall(r"\w+", self.where or ""))
        return not words.isdisjoint(columns)

    def named(self) -> tuple[list[int], list[str]] | None:
        """The ``flow_id``s and the Community IDs, if nothing else is asked; no flow table is needed then."""
        alone = FlowQuery(flows=self.flows)
        return self._ids() if self.flows and self == alone else None

    def _ids(self) -> tuple[list[int], list[str]]:
        numbers, communities = [], []
        for text in self.flows:
            if text.isascii() and text.isdigit() and len(text) < 11:
                numbers.append(int(text))
            elif _COMMUNITY_ID.fullmatch(text):
                communities.append(text)
            else:
                raise UsageError(
                    f"{safe(text)!r} names no flow: write a flow_id such as 17, "
                    "or a Community ID such as 1:LQU9qZlK+B5F3KDmev6m5PMibrg="
                )
        return numbers, communities

    def _blocks(self) -> list[tuple[bytes, int]]:
        blocks = []
        for text in self.networks:
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise UsageError(
                    f"{safe(text)!r} is no network: write an address or a CIDR block such as 10.0.0.0/8 "
                    "or 2001:db8::/32"
                ) from None
            blocks.append((network.network_address.packed, network.prefixlen))
        return blocks

    def ids(self, table: Table) -> list[int]:
        """The ``flow_id``s of the flows that are wanted, ascending. Raises UsageError."""
        import polars as pl

        frame = table.to_polars()
        wanted = (
            pl.Series([True]).new_from_index(0, len(frame)) if len(frame) else pl.Series([], dtype=pl.Boolean)
        )
        if self.flows:
            numbers, communities = self._ids()
            refuse_beyond(numbers, len(frame))
            chosen = pl.col("flow_id").is_in(numbers) | pl.col("community_id").is_in(communities).fill_null(
                False
            )
            wanted &= frame.select(chosen).to_series()
        if self.networks:
            wanted &= pl.Series(list(table.inside(self._blocks())), dtype=pl.UInt8) > 0
        if self.since_ns is not None:
            wanted &= frame["last_ts"].dt.epoch("ns") >= self.since_ns
        if self.until_ns is not None:
            wanted &= frame["first_ts"].dt.epoch("ns") <= self.until_ns
        if self.where is not None:
            wanted &= self._where(frame)
        if self.invert:
            wanted = ~wanted
        chosen_ids: list[int] = frame["flow_id"].filter(wanted).sort().to_list()
        return chosen_ids

    def _where(self, frame: polars.DataFrame) -> polars.Series:
        import polars as pl

        assert self.where is not None
        both = [
            (pl.col(f"client_{name}") + pl.col(f"server_{name}")).alias(name)
            for name in ("packets", "bytes", "payload_bytes")
        ]
        seconds = pl.col("duration").cast(pl.Int64) / 1e9
        times = pl.col("first_ts", "last_ts").dt.replace_time_zone(None)
        try:
            answer = frame.with_columns(*both, seconds.alias("duration"), times).select(
                pl.sql_expr(self.where)
            )
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


def refuse_beyond(numbers: Sequence[int], flows: int) -> None:
    """Raise UsageError for a ``flow_id`` that none of so many flows has."""
    beyond = [n for n in numbers if n >= flows]
    if beyond:
        raise UsageError(f"there is no flow {beyond[0]}: there are {flows}, counted from 0")


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
