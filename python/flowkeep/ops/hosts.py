"""The use case behind ``flowkeep hosts``: what each address did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..flow import Flows, ReadOptions
from ..paths import Found
from ..rows import Frame
from .flows import list_flows
from .meter import Progress

if TYPE_CHECKING:
    import polars as pl

MOST_PORTS = 16
"""Ports in ``ports_served``: the most used ones."""
MOST_MACS = 4
"""Addresses in ``macs``: the most used ones."""
MIXED = 0.9
"""With a smaller share of flows for its most common initial TTL an address is ``mixed``."""
OS_HINTS = {32: "embedded", 64: "unix", 128: "windows", 255: "network"}
"""Initial TTL to what usually sends with it; docs/guide/hosts.md says how it is used."""


def list_hosts(
    found: Found, options: ReadOptions | None = None, *, progress: Progress | None = None
) -> Frame:
    """The addresses of a data set, the one with most bytes first. Raises what :func:`list_flows` raises."""
    return hosts(list_flows(found, options, details=True, identify=True, progress=progress))


def hosts(flows: Flows) -> Frame:
    """One row for each address of a flow table with details, and with ``identify`` for their names.

    Columns: ``ip``, ``flows_as_client``, ``flows_as_server``, ``bytes_sent``, ``bytes_received``,
    ``packets_sent``, ``packets_received``, ``peers`` (distinct addresses it had flows with), ``ports_served``
    (list, such as ``443/tcp``, of flows that it answered), ``first_ts``, ``last_ts``, ``macs`` (list),
    ``os_hint``, ``hops`` (routers between, by the same rule), ``mss`` (the most common one it announced),
    ``names`` (list: what DNS answers, TLS, QUIC and HTTP called it, the first 8; null without ``identify``).
    """
    names = flows.names() if "service" in flows.columns else None
    return Frame(_hosts(flows.to_polars(), names), flows.files)


def _ends(frame: pl.DataFrame) -> pl.DataFrame:
    """Each flow twice, once for each end."""
    import polars as pl

    def end(own: str, peer: str) -> pl.DataFrame:
        serves = (pl.col("server_packets") > 0) & (pl.col("state") != "rejected")
        port = pl.format("{}/{}", "server_port", "proto") if own == "server" else pl.lit(None, pl.String)
        return frame.select(
            ip=f"{own}_ip",
            peer=f"{peer}_ip",
            server=pl.lit(own == "server"),
            port=pl.when(serves & (pl.col("server_port") > 0)).then(port),
            sent=f"{own}_bytes",
            received=f"{peer}_bytes",
            packets_sent=f"{own}_packets",
            packets_received=f"{peer}_packets",
            first_ts="first_ts",
            last_ts="last_ts",
            ttl=f"{own}_ttl",
            mss=f"{own}_mss",
            mac=f"{own}_mac",
        )

    return pl.concat([end("client", "server"), end("server", "client")])


def _ranked(ends: pl.DataFrame, column: str) -> pl.DataFrame:
    """The values of a column for each address with their flows, the most common first, null left out."""
    import polars as pl

    counted = ends.filter(pl.col(column).is_not_null()).group_by("ip", column).agg(n=pl.len())
    return counted.sort("ip", "n", column, descending=[False, True, False])


def _most(ends: pl.DataFrame, column: str, most: int, name: str) -> pl.DataFrame:
    import polars as pl

    ranked = _ranked(ends, column)
    return ranked.group_by("ip", maintain_order=True).agg(pl.col(column).head(most).alias(name))


def _systems(ends: pl.DataFrame) -> pl.DataFrame:
    """The hint at the operating system by the TTL of first packets."""
    import polars as pl

    ttl, initial = pl.col("ttl"), pl.lit(255)
    for value in (128, 64, 32):
        initial = pl.when(ttl <= value).then(pl.lit(value)).otherwise(initial)
    ends = ends.with_columns(initial=pl.when(ttl.is_not_null() & (ttl > 0)).then(initial))
    flows = ends.filter(pl.col("initial").is_not_null()).group_by("ip").agg(all=pl.len())
    first = _ranked(ends, "initial").group_by("ip", maintain_order=True).first().join(flows, on="ip")
    common = _ranked(ends, "ttl").group_by("ip", maintain_order=True).first().select("ip", "ttl")
    clear = pl.col("n") >= MIXED * pl.col("all")
    hint = pl.col("initial").replace_strict(OS_HINTS, return_dtype=pl.String)
    return first.join(common, on="ip").select(
        "ip",
        os_hint=pl.when(clear).then(hint).otherwise(pl.lit("mixed")),
        hops=pl.when(clear).then(pl.col("initial").cast(pl.Int64) - pl.col("ttl").cast(pl.Int64)),
    )


def _hosts(frame: pl.DataFrame, names: dict[str, list[str]] | None) -> pl.DataFrame:
    import polars as pl

    ends = _ends(frame)
    table = ends.group_by("ip").agg(
        flows_as_client=(~pl.col("server")).sum(),
        flows_as_server=pl.col("server").sum(),
        bytes_sent=pl.col("sent").sum(),
        bytes_received=pl.col("received").sum(),
        packets_sent=pl.col("packets_sent").sum(),
        packets_received=pl.col("packets_received").sum(),
        peers=pl.col("peer").n_unique(),
        first_ts=pl.col("first_ts").min(),
        last_ts=pl.col("last_ts").max(),
    )
    mss = _ranked(ends, "mss").group_by("ip", maintain_order=True).first().select("ip", "mss")
    parts = [
        _most(ends, "port", MOST_PORTS, "ports_served"),
        _most(ends, "mac", MOST_MACS, "macs"),
        _systems(ends),
        mss,
    ]
    for part in parts:
        table = table.join(part, on="ip", how="left")
    lists = pl.List(pl.String)
    empty = pl.lit([], dtype=lists)
    filled = ["ports_served", "macs"]
    if names is None:
        table = table.with_columns(pl.lit(None, dtype=lists).alias("names"))
    else:
        given = {"ip": list(names), "names": list(names.values())}
        named = pl.DataFrame(given, schema={"ip": pl.String, "names": lists})
        table = table.join(named, on="ip", how="left")
        filled.append("names")
    table = table.with_columns(pl.col(filled).fill_null(empty))
    columns = [
        "ip", "flows_as_client", "flows_as_server", "bytes_sent", "bytes_received", "packets_sent",
        "packets_received", "peers", "ports_served", "first_ts", "last_ts", "macs", "os_hint", "hops", "mss",
        "names",
    ]  # fmt: skip
    total = pl.col("bytes_sent") + pl.col("bytes_received")
    return table.select(columns).sort(total, "ip", descending=[True, False])
