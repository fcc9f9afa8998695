"""The flows that a running cache remembers, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from ..rows import Frame

if TYPE_CHECKING:
    import polars

_BOTH = {
    "bytes": ("client_bytes", "server_bytes"),
    "packets": ("client_packets", "server_packets"),
    "payload_bytes": ("client_payload_bytes", "server_payload_bytes"),
}


class HeldFlows(Frame):
    """Flows, one row each, with their true totals and what is still held of them.

    What was asked about networks and a flow filter was answered by the cache, and is kept here.
    """

    def __init__(
        self, frame: polars.DataFrame, inside: bytes | None = None, matching: bytes | None = None
    ) -> None:
        """Wrap a data frame with the cache's answers."""
        super().__init__(frame, [])
        self._inside, self._matching = inside, matching

    @classmethod
    def read(cls, table: bytes, inside: bytes | None, matching: bytes | None) -> HeldFlows:
        """From an Arrow file."""
        import polars as pl

        frame = pl.read_ipc(BytesIO(table))
        # From one question to the next, only the number that the cache gave a flow stays its own.
        return cls(frame.with_columns(flow_id="flow_number").drop("flow_number"), inside, matching)

    def inside(self, networks: Sequence[tuple[bytes, int]]) -> bytes:
        """Per row: 1 if the client is in one of the networks asked about, 2 if the server is, 3 for both."""
        assert self._inside is not None
        return self._inside

    def matching(self, program: bytes, *, tags: bool) -> bytes:
        """Per row: 1 if the flow filter asked about matches, see :meth:`flowkeep.flow.Flows.matching`."""
        assert self._matching is not None
        return self._matching

    def take(self, flow_ids: Sequence[int]) -> HeldFlows:
        """The flows with these ids, in the order of the table."""
        import polars as pl

        return HeldFlows(self._frame.filter(pl.col("flow_id").is_in(pl.Series(flow_ids, dtype=pl.UInt64))))

    def top(self, column: str, n: int, *, descending: bool = True) -> Frame:
        """The first ``n`` flows by a column, or by ``bytes``, ``packets`` or ``payload_bytes`` of both
        directions; ties in order of ``flow_id``. Raises UsageError for an unknown column."""
        if column in self.columns or column not in _BOTH:
            return super().top(column, n, descending=descending)
        import polars as pl

        client, server = _BOTH[column]
        key = pl.col(client) + pl.col(server)
        return HeldFlows(self._frame.sort(key, descending=descending, maintain_order=True).head(n))
