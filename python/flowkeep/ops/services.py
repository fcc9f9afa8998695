"""The use case behind ``flowkeep services``: who talks to which service, how much, and how regularly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..flow import Flows, ReadOptions
from ..paths import Found
from ..rows import Frame
from .flows import list_flows
from .meter import Progress

if TYPE_CHECKING:
    import polars as pl

_KEY = ["client_ip", "server_ip", "server_port", "proto"]


def list_services(
    found: Found,
    options: ReadOptions | None = None,
    *,
    identify: bool = False,
    progress: Progress | None = None,
) -> Frame:
    """The services of a data set, the most regular first; with ``identify`` also what they speak.

    Raises what :func:`list_flows` raises."""
    return services(list_flows(found, options, identify=identify, progress=progress))


def services(flows: Flows) -> Frame:
    """One row for each client, server address, server port and protocol.

    Columns: ``client_ip``, ``server_ip``, ``server_port``, ``proto``, ``flows``, ``client_bytes``,
    ``server_bytes``, ``first_ts``, ``last_ts``, ``regularity`` (0 to 1; null with too few starts), ``period``
    and ``jitter`` (a share of the period), as :func:`flowkeep.ops.period.periods` finds them. Of identified
    flows also ``service``: what most of them that are known speak, the first by name of several; else null.
    """
    import polars as pl

    from .period import periods

    frame = flows.to_polars()
    table = _services(frame.select(*_KEY, "client_bytes", "server_bytes", "first_ts", "last_ts"), periods)
    if "service" in frame.columns:
        known = frame.filter(pl.col("service").is_not_null())
        spoken = known.group_by(_KEY).agg(pl.col("service").mode().sort().first())
        table = table.join(spoken, on=_KEY, how="left", maintain_order="left")
    return Frame(table, flows.files)


def _services(frame: pl.DataFrame, periods: Periods) -> pl.DataFrame:
    import polars as pl

    table = (
        frame.group_by(_KEY)
        .agg(
            flows=pl.len(),
            client_bytes=pl.col("client_bytes").sum(),
            server_bytes=pl.col("server_bytes").sum(),
            first_ts=pl.col("first_ts").min(),
            last_ts=pl.col("last_ts").max(),
        )
        .with_row_index("series")
        .with_columns(pl.col("series").cast(pl.Int64))
    )
    starts = frame.join(table.select("series", *_KEY), on=_KEY).select(
        "series", start=pl.col("first_ts").cast(pl.Int64)
    )
    table = table.join(periods(starts), on="series", how="left").drop("series")
    period = (pl.col("period") * 1e9).round().cast(pl.Int64).cast(pl.Duration("ns"))
    order = ["regularity", "flows", *_KEY]
    return table.with_columns(period=period).sort(
        order, descending=[True, True, False, False, False, False], nulls_last=True
    )


if TYPE_CHECKING:
    from collections.abc import Callable

    Periods = Callable[[pl.DataFrame], pl.DataFrame]
