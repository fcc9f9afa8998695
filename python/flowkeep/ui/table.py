"""A flow table to look at: which rows a view has, and in which order; pages of them at once.

Every condition is looked up by itself and remembered as one bit a row, so that the next view, which differs
by one condition, costs that one. Orders are remembered as row numbers.
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError
from ..flow import Flows
from ..select.query import FlowQuery
from ..text import safe
from .view import Sort, Term, View

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
_MASKS, _ORDERS, _CHOSEN = 64, 24, 8
_ADDRESSES = ("client_ip", "server_ip", "ip")


@dataclass(frozen=True)
class Step:
    """What is left behind one of the filters."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Chosen:
    """The rows of a view, ascending, and what was left after each step."""

    rows: pl.Series
    steps: tuple[Step, ...]
    mask: pl.Series | None
    """One bit a row of the table; None: all rows."""


class _Recent:
    """The things that were looked up last."""

    def __init__(self, most: int) -> None:
        self._most, self._kept = most, OrderedDict[Any, Any]()
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key]
                return found
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made


class Ordered:
    """A data frame whose rows are shown in any order, page by page."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Wrap a frame."""
        self.frame = frame
        self._orders = _Recent(_ORDERS)

    def order(self, sort: Sort) -> pl.Series:
        """Row numbers in an order; null is last, ties stay as they are in the table. Raises UsageError."""
        if sort.column not in self.frame.columns:
            names = ", ".join(self.frame.columns)
            raise UsageError(f"there is no column {safe(sort.column)!r}; there are {names}")
        return self._orders.get(sort, lambda: _order(self.frame[sort.column], sort))

    def page(
        self,
        chosen: Chosen | None,
        sort: Sort | None,
        offset: int,
        n: int,
        columns: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Some rows of a choice. Times are text, see :func:`plain`."""
        rows = self.arranged(chosen, sort).slice(offset, n)
        frame = self.frame.select(columns) if columns else self.frame
        return plain(frame[rows])

    def arranged(self, chosen: Chosen | None, sort: Sort | None) -> pl.Series:
        """Row numbers of a choice in the order wanted."""
        import polars as pl

        mask = None if chosen is None else chosen.mask
        if sort is None:
            return (
                pl.int_range(len(self.frame), dtype=pl.UInt32, eager=True) if chosen is None else chosen.rows
            )

        order = self.order(sort)
        if chosen is None or mask is None:
            return order
        return self._orders.get((id(chosen), sort), lambda: order.filter(mask.gather(order)))


def _order(column: pl.Series, sort: Sort) -> pl.Series:
    import polars as pl

    ranks = _ranks(column, sort.column in _ADDRESSES).to_frame("rank")
    by = pl.arg_sort_by("rank", descending=sort.descending, nulls_last=True, maintain_order=True)
    return ranks.select(by.cast(pl.UInt32)).to_series()


def _ranks(column: pl.Series, address: bool = False) -> pl.Series:
    """Numbers that sort as the values: each text is compared once, however many rows have it."""
    import polars as pl

    if column.dtype == pl.List:
        return column.list.len()
    if column.dtype != pl.String:
        return column
    values = column.unique().drop_nulls()
    if address:
        packed = [ipaddress.ip_address(text) for text in values.to_list()]
        order = sorted(range(len(packed)), key=lambda i: (packed[i].version, int(packed[i])))
        values = values.gather(order)
    else:
        values = values.sort()
    ranks = pl.DataFrame({"value": values, "rank": pl.int_range(len(values), dtype=pl.UInt32, eager=True)})
    return column.to_frame("value").join(ranks, on="value", how="left", maintain_order="left")["rank"]


class FlowTable(Ordered):
    """The flows that are loaded."""

    def __init__(self, flows: Flows) -> None:
        """Take over a flow table."""
        import polars as pl

        self.flows = flows
        totals = [
            (pl.col(f"client_{name}") + pl.col(f"server_{name}")).alias(name)
            for name in ("bytes", "packets", "payload_bytes")
        ]
        self._plain = flows.to_polars()
        super().__init__(self._plain.with_columns(totals))
        self._masks, self._choices = _Recent(_MASKS), _Recent(_CHOSEN)

    def __len__(self) -> int:
        """Flows."""
        return self.frame.height

    def choose(self, view: View) -> Chosen:
        """The rows of a view. Raises UsageError."""
        return self._choices.get(view, lambda: self._choose(view))

    def _choose(self, view: View) -> Chosen:
        import polars as pl

        bytes_ = self.frame["bytes"]
        mask: pl.Series | None = None
        steps = [Step("all", len(self), int(bytes_.sum()))]
        for name, condition in self._conditions(view):
            mask = condition if mask is None else mask & condition
            steps.append(Step(name, int(mask.sum()), int(bytes_.filter(mask).sum())))
        if mask is None:
            rows = pl.int_range(len(self), dtype=pl.UInt32, eager=True)
        else:
            rows = mask.arg_true().cast(pl.UInt32)
        return Chosen(rows, tuple(steps), mask)

    def _conditions(self, view: View) -> list[tuple[str, pl.Series]]:
        made: list[tuple[str, pl.Series]] = []
        if view.hidden:
            hidden: pl.Series | None = None
            for term in view.hidden:
                one = self._masks.get(term, partial(self._term, term))
                hidden = one if hidden is None else hidden | one
            assert hidden is not None
            made.append(("hidden", hidden if view.invert else ~hidden))
        if view.since_ns is not None or view.until_ns is not None:
            query = FlowQuery(since_ns=view.since_ns, until_ns=view.until_ns)
            made.append(("time", self._masks.get(query, lambda: self._query(query))))
        if view.filter:
            bpf = FlowQuery(flow_filter=view.filter)
            made.append(("filter", self._masks.get(bpf, lambda: self._query(bpf))))
        if view.where:
            sql = FlowQuery(where=view.where)
            made.append(("where", self._masks.get(sql, lambda: self._query(sql))))
        if view.keyword:
            made.append(
                ("keyword", self._masks.get(("keyword", view.keyword), lambda: self._keyword(view.keyword)))
            )
        return made

    def _query(self, query: FlowQuery) -> pl.Series:
        return query.mask(self)

    def to_polars(self) -> pl.DataFrame:
        """As a Polars data frame, without the totals of both directions."""
        return self._plain

    def inside(self, networks: Sequence[tuple[bytes, int]]) -> bytes:
        """See :meth:`flowkeep.flow.Flows.inside`."""
        return self.flows.inside(networks)

    def matching(self, program: bytes, *, tags: bool) -> bytes:
        """See :meth:`flowkeep.flow.Flows.matching`."""
        return self.flows.matching(program, tags=tags)

    def _bits(self, ids: pl.Series) -> pl.Series:
        import polars as pl

        bits = (
            pl.Series([False]).new_from_index(0, len(self)) if len(self) else pl.Series([], dtype=pl.Boolean)
        )
        return bits.scatter(ids, True) if len(ids) else bits

    def _term(self, term: Term) -> pl.Series:
        import polars as pl

        if term.kind == "flow":
            parts = [
                pl.int_range(max(first, 0), min(last + 1, len(self)), dtype=pl.UInt32, eager=True)
                for first, last in term.ranges()
            ]
            return self._bits(pl.concat([p for p in parts if len(p)] or [pl.Series([], dtype=pl.UInt32)]))
        if term.kind == "network":
            return self._query(FlowQuery(networks=(term.value,)))
        return self.frame.select(_expression(term, self.frame.columns)).to_series().fill_null(False)

    def _keyword(self, keyword: str) -> pl.Series:
        import polars as pl

        regex = len(keyword) > 2 and keyword.startswith("/") and keyword.endswith("/")
        pattern = f"(?i){keyword[1:-1] if regex else re.escape(keyword)}"
        texts = [name for name, kind in self.frame.schema.items() if kind == pl.String]
        parts = []
        for name in texts:
            # Of the texts of a column most are there many times: each is looked at once.
            values = self.frame[name].unique().drop_nulls()
            try:
                hits = values.filter(values.str.contains(pattern))
            except pl.exceptions.PolarsError as error:
                reason = safe(str(error).split("\n")[0])
                raise UsageError(f"{safe(keyword)} is no regular expression: {reason}") from None
            if len(hits):
                parts.append(pl.col(name).is_in(hits.implode()))
        if keyword.isascii() and keyword.isdigit() and len(keyword) < 6:
            parts += [pl.col(f"{end}_port") == int(keyword) for end in ("client", "server")]
        if not parts:
            return self._bits(pl.Series([], dtype=pl.UInt32))
        return self.frame.select(pl.any_horizontal(parts)).to_series().fill_null(False)


def _expression(term: Term, columns: list[str]) -> pl.Expr:
    import polars as pl

    if term.kind == "host":
        host = ipaddress.ip_address(term.value).compressed
        return (pl.col("client_ip") == host) | (pl.col("server_ip") == host)
    if term.kind == "proto":
        return pl.col("proto") == term.value.lower()
    if term.kind in ("port", "talk"):
        number, proto = term.port()
        wanted = pl.col("server_port") == number
        if proto:
            wanted &= pl.col("proto") == proto
        if term.kind == "talk":
            client, server, _ = term.value.split(",")
            wanted &= (pl.col("client_ip") == client) & (pl.col("server_ip") == server)
        return wanted
    column = "service" if term.kind == "service" else "server_name"
    if column not in columns:
        return pl.lit(False)
    if term.kind == "service":
        return pl.col("service") == term.value
    domain = term.value.lower().strip(".")
    name = pl.col("server_name").str.to_lowercase()
    return (name == domain) | name.str.ends_with(f".{domain}")


def plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: a time is ISO 8601 with nanoseconds (UTC), a duration an integer of
    nanoseconds; a number that JavaScript would round is text; text is harmless."""
    import polars as pl

    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    frame = frame.with_columns(
        pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"), pl.selectors.duration().cast(pl.Int64)
    )
    rows = frame.to_dicts()
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int) and abs(value) > 1 << 53:
                row[name] = str(value)
            elif isinstance(value, str) and not (value.isascii() and value.isprintable()):
                row[name] = safe(value)
            elif isinstance(value, list):
                row[name] = [safe(item) for item in value]
    return rows
