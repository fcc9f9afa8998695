"""A flow table to look at: which rows a view has, and in which order; pages of them at once.

Every condition is looked up by itself and remembered as one bit a row, so that the next view, which differs
by one condition, costs that one. Orders are not kept: :mod:`.window` finds the rows of a page without one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..flow import Flows
from ..paths import Found
from ..select.query import FlowQuery
from ..text import safe
from .recent import Recent
from .view import Sort, Term, View
from .window import Key, key_of, rows_at

if TYPE_CHECKING:
    import polars as pl

_ADDRESSES = ("client_ip", "server_ip", "ip")
_PLAIN = ("community_id",)
"""Text of which nearly every flow has another."""
_MASKS, _CHOSEN, _MADE, _KEYS = 64, 16, 32, 64
_KEY_BYTES = 128_000_000
_MASK_BYTES = 64_000_000
_MADE_BYTES = 256_000_000
"""What is kept beside the table, at most."""


@dataclass(frozen=True)
class Step:
    """What is left behind one of the filters."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Chosen:
    """The rows of a view, and what was left after each step."""

    steps: tuple[Step, ...]
    mask: pl.Series | None
    """One bit a row of the table; None: all rows."""

    @property
    def count(self) -> int:
        """How many."""
        return self.steps[-1].rows

    @property
    def rows(self) -> pl.Series:
        """Their numbers, ascending; made anew each time."""
        import polars as pl

        if self.mask is None:
            return pl.int_range(self.count, dtype=pl.UInt32, eager=True)
        return self.mask.arg_true().cast(pl.UInt32)


class Ordered:
    """A data frame whose rows are shown in any order, page by page."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Wrap a frame."""
        self.frame = frame.rechunk()
        self._keys = Recent(_KEYS, _KEY_BYTES, lambda key: key.own)

    def key(self, column: str) -> Key:
        """What sorts as a column does. Raises UsageError."""
        if column not in self.frame.columns:
            names = ", ".join(self.frame.columns)
            raise UsageError(f"there is no column {safe(column)!r}; there are {names}")
        return self._keys.get(column, lambda: key_of(self.frame[column], address=column in _ADDRESSES))

    def page(
        self,
        chosen: Chosen | None,
        sort: Sort | None,
        offset: int,
        n: int,
        columns: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Some rows of a choice. Times are text, see :func:`plain`."""
        rows = self.rows(chosen, sort, offset, n)
        frame = self.frame.select(columns) if columns else self.frame
        return plain(frame[rows])

    def rows(self, chosen: Chosen | None, sort: Sort | None, offset: int, n: int) -> pl.Series:
        """Row numbers at some places of a choice in an order: null is last, ties stay as they are in the
        table. Raises UsageError."""
        import polars as pl

        mask = None if chosen is None else chosen.mask
        if sort is not None:
            bits = None if mask is None else mask.to_numpy()
            found = rows_at(self.key(sort.column), bits, offset, offset + n, descending=sort.descending)
            return pl.Series(found, dtype=pl.UInt32)
        if mask is None:
            last = self.frame.height
            return pl.int_range(min(offset, last), min(offset + n, last), dtype=pl.UInt32, eager=True)
        return mask.arg_true().slice(offset, n).cast(pl.UInt32)


class FlowTable(Ordered):
    """The flows that are loaded."""

    def __init__(self, flows: Flows, found: Found | None = None) -> None:
        """Take over a flow table; ``found``: the captures it is of."""
        self.flows = flows
        self.found = found or Found()
        super().__init__(_coded(flows))
        self._masks = Recent(_MASKS, _MASK_BYTES, lambda mask: len(mask) // 8)
        self._choices = Recent(_CHOSEN, _MASK_BYTES, lambda c: 0 if c.mask is None else len(c.mask) // 8)
        self.made = Recent(_MADE, _MADE_BYTES, _weight)
        """Tables that were made of this one."""
        self.words = Recent(_MADE, _MADE_BYTES, lambda words: words.estimated_size())
        """The values of columns, counted."""

    def prepare(self) -> None:
        """Make the keys that take longest, before somebody asks for them."""
        for name in _PLAIN:
            self.key(name)

    def kinds(self) -> dict[str, str]:
        """Names of the columns and what is in them; text is ``String``."""
        import polars as pl

        schema = self.frame.schema.items()
        return {name: "String" if isinstance(kind, pl.Enum) else str(kind) for name, kind in schema}

    def __len__(self) -> int:
        """Flows."""
        return self.frame.height

    def choose(self, view: View) -> Chosen:
        """The rows of a view. Raises UsageError."""
        return self._choices.get(view, lambda: self._choose(view))

    def _choose(self, view: View) -> Chosen:
        bytes_ = self.frame["bytes"]
        mask: pl.Series | None = None
        steps = [Step("all", len(self), int(bytes_.sum()))]
        for name, condition in self._conditions(view):
            mask = condition if mask is None else mask & condition
            steps.append(Step(name, int(mask.sum()), int(bytes_.filter(mask).sum())))
        return Chosen(tuple(steps), mask)

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
        return query.mask(_Asked(self, query))

    def texts(self, names: Sequence[str] | None = None) -> pl.DataFrame:
        """The table without the totals of both directions, with text for its numbers: in these columns."""
        import polars as pl

        frame = self.frame.drop("bytes", "packets", "payload_bytes")
        coded = (
            pl.selectors.enum()
            if names is None
            else pl.selectors.enum() & pl.selectors.by_name(*names, require_all=False)
        )
        return frame.with_columns(coded.cast(pl.String))

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
        return self.frame.select(_expression(term, self.frame.schema)).to_series().fill_null(False)

    def _keyword(self, keyword: str) -> pl.Series:
        import polars as pl

        regex = len(keyword) > 2 and keyword.startswith("/") and keyword.endswith("/")
        pattern = f"(?i){keyword[1:-1] if regex else re.escape(keyword)}"
        parts = []
        try:
            for name, kind in self.frame.schema.items():
                if isinstance(kind, pl.Enum):
                    hits = kind.categories.str.contains(pattern).arg_true()
                    if len(hits):
                        parts.append(_any_of(name, hits))
                elif kind == pl.String:
                    parts.append(pl.col(name).str.contains(pattern))
        except pl.exceptions.PolarsError as error:
            raise _no_regex(keyword, error) from None
        if keyword.isascii() and keyword.isdigit() and len(keyword) < 6:
            parts += [pl.col(f"{end}_port") == int(keyword) for end in ("client", "server")]
        if not parts:
            return self._bits(pl.Series([], dtype=pl.UInt32))
        try:
            return self.frame.select(pl.any_horizontal(parts)).to_series().fill_null(False)
        except pl.exceptions.PolarsError as error:
            raise _no_regex(keyword, error) from None


def _no_regex(keyword: str, error: Exception) -> UsageError:
    reason = safe(str(error).split("\n")[0])
    return UsageError(f"{safe(keyword)} is no regular expression: {reason}")


def _any_of(name: str, places: pl.Series) -> pl.Expr:
    """Whether a coded text is one of those at these places."""
    import polars as pl

    return pl.col(name).to_physical().is_in(places.implode())


def _coded(flows: Flows) -> pl.DataFrame:
    """The flow table with each text once, and the totals of both directions."""
    import polars as pl

    coded = flows.native.coded(list(_PLAIN))
    texts, frame = coded.texts(), pl.DataFrame(coded)
    del coded
    columns = []
    while frame.width:
        # One by one, so that what was handed over goes as what is made of it comes.
        column = frame.drop_in_place(frame.columns[0]).rechunk()
        if column.name in texts:
            column = column.cat.to(pl.Enum(texts.pop(column.name)))
        columns.append(column)
    totals = [
        (pl.col(f"client_{name}") + pl.col(f"server_{name}")).alias(name)
        for name in ("bytes", "packets", "payload_bytes")
    ]
    return pl.DataFrame(columns).with_columns(totals)


def _weight(made: Any) -> int:
    """Bytes of a data frame, or of what wraps one."""
    size: int = getattr(made, "frame", made).estimated_size()
    return size


class _Asked:
    """A flow table as a query looks at it: the columns it speaks of hold text."""

    def __init__(self, table: FlowTable, query: FlowQuery) -> None:
        names = [name for name in table.frame.columns if query.mentions([name])]
        self._table, self._names = table, names

    def __len__(self) -> int:
        return len(self._table)

    def to_polars(self) -> pl.DataFrame:
        return self._table.texts(self._names)

    def inside(self, networks: Sequence[tuple[bytes, int]]) -> bytes:
        return self._table.flows.inside(networks)

    def matching(self, program: bytes, *, tags: bool) -> bytes:
        return self._table.flows.matching(program, tags=tags)


def _expression(term: Term, columns: pl.Schema) -> pl.Expr:
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
    kind = columns["server_name"]
    assert isinstance(kind, pl.Enum)
    names = kind.categories.str.to_lowercase()
    return _any_of("server_name", ((names == domain) | names.str.ends_with(f".{domain}")).arg_true())


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
