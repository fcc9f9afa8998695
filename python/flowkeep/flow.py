"""How flows are told apart, and the table of flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _native
from .errors import UsageError
from .identify import Given, listed
from .select import compile_filter
from .select.query import FlowQuery

if TYPE_CHECKING:
    import pandas
    import polars


DETAILS = (
    "rtt", "rtt_client", "rtt_server", "client_retransmitted", "server_retransmitted",
    "client_out_of_order", "server_out_of_order", "client_missed_bytes", "server_missed_bytes",
    "client_ttl", "server_ttl", "client_mss", "server_mss", "client_mac", "server_mac",
    "conn_state", "history",
)  # fmt: skip
"""Columns that are there with ``details``, behind all others. docs/guide/details.md defines them."""

IDENTIFIED = (
    "service", "service_confidence", "service_evidence", "server_name", "sni", "alpn", "http_host", "ja3",
    "ja4", "tls_subject", "tls_issuer", "port_mismatch",
)  # fmt: skip
"""Columns that are there with ``identify``, behind all others. docs/guide/identify.md defines them."""


@dataclass(frozen=True)
class ReadOptions:
    """How captures are read and where flows begin and end."""

    idle_ns: int = 60_000_000_000
    """Silence in nanoseconds after which a flow that is not TCP ends; 0: never."""
    tcp_idle_ns: int = 0
    """The same for TCP."""
    outer: bool = False
    """Stop at the outermost IP header instead of looking through tunnels."""
    key_vlan: bool = False
    """Make the VLAN ids part of the flow key."""
    max_flows: int = 16_777_216
    """Flows that are tracked; packets of more are counted as untracked, and kept."""
    jobs: int = 0
    """Threads; 0: one per core."""
    filter: str | None = None
    """Which packets are looked at: an expression as tcpdump takes it, see pcap-filter(7)."""
    filter_names: bool = False
    """Look up host names in the filter: name servers are asked for them."""
    models: Given = ()
    """Model files of learnt protocols, or folders of them, for where flows are identified."""
    index: bool = True
    """Use the index beside a capture when there is one that fits. It does not change any result."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant, a wrong filter included."""
        if self.filter is not None:
            compile_filter(self.filter, look_up=self.filter_names)
        object.__setattr__(self, "models", listed(self.models))
        if min(self.idle_ns, self.tcp_idle_ns, self.jobs) < 0 or self.jobs > 1024:
            raise UsageError("idle times are not negative, and jobs are 0 to 1024")
        if not 1 <= self.max_flows < 1 << 32:
            raise UsageError("the flow table holds 1 to 4,294,967,295 flows")

    def sessions(self) -> dict[str, Any]:
        """Keyword arguments of the native functions that look at all packets."""
        return {
            "idle_ns": self.idle_ns,
            "tcp_idle_ns": self.tcp_idle_ns,
            "outer": self.outer,
            "key_vlan": self.key_vlan,
            "max_flows": self.max_flows,
            "jobs": self.jobs,
        }

    def native(self) -> dict[str, Any]:
        """Keyword arguments of the native classes."""
        rules = None
        if self.filter is not None:
            rules = list(compile_filter(self.filter, look_up=self.filter_names).rules)
        return {**self.sessions(), "filter": rules}


class Flows:
    """Flows, one row each, in order of ``flow_id`` unless sorted.

    Times are nanoseconds since the epoch (UTC), durations nanoseconds, sizes bytes. Any library that
    reads the Arrow C stream interface reads this (polars, pyarrow, duckdb, pandas).
    """

    def __init__(self, table: _native.FlowTable, files: list[_native.FileScan]) -> None:
        """Wrap a native table; ``files`` says what was found in each capture."""
        self._table = table
        self.files = files

    def __len__(self) -> int:
        """Flows."""
        return len(self._table)

    def __repr__(self) -> str:
        """Flows and captures."""
        return f"<flowkeep.Flows: {len(self)} flows of {len(self.files)} captures>"

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table as an Arrow C stream (PyCapsule)."""
        return self._table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The schema of the table (PyCapsule)."""
        return self._table.__arrow_c_schema__()

    @property
    def native(self) -> _native.FlowTable:
        """The native table, for the operations on it."""
        return self._table

    def names(self) -> dict[str, list[str]]:
        """Address to the names that DNS answers, TLS, QUIC and HTTP gave it; empty unless identified."""
        return dict(self._table.names())

    def inside(self, networks: Sequence[tuple[bytes, int]]) -> bytes:
        """Per row: 1 if the client's address is in one of the networks (address, bits that count), 2 if
        the server's is, 3 for both."""
        return self._table.inside(networks)

    def matching(self, program: bytes, *, tags: bool) -> bytes:
        """Per row: 1 if a BPF program for Ethernet matches packets of one direction or the other, 0 if not;
        else a number of what it depends on that a flow does not have."""
        return self._table.matching(program, tags=tags)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._table.columns

    def top(self, column: str, n: int, *, descending: bool = True) -> Flows:
        """The first ``n`` flows by a column, or by ``bytes``, ``packets`` or ``payload_bytes`` of both
        directions; ties in order of ``flow_id``. Raises UsageError for an unknown column."""
        try:
            return Flows(self._table.top(column, n, descending=descending), self.files)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def take(self, flow_ids: Sequence[int]) -> Flows:
        """The flows with these ids, in this order."""
        return Flows(self._table.take(flow_ids), self.files)

    def where(self, query: FlowQuery) -> Flows:
        """The flows that a query wants. Raises UsageError."""
        return self.take(query.ids(self))

    def slice(self, offset: int, n: int) -> Flows:
        """``n`` flows from ``offset`` on."""
        return Flows(self._table.slice(offset, n), self.files)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict a flow."""
        return self._table.to_pylist()

    def to_polars(self) -> polars.DataFrame:
        """As a Polars data frame."""
        import polars

        return polars.DataFrame(self)

    def to_pandas(self) -> pandas.DataFrame:
        """As a pandas data frame (needs pandas and pyarrow)."""
        import pyarrow

        frame: pandas.DataFrame = pyarrow.table(self).to_pandas()
        return frame

    def write_arrow(self, path: str) -> int:
        """Write an Arrow IPC file; gives its size. ``-`` is standard output."""
        return self._table.write_arrow(path)
