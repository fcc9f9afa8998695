"""Tables: flows, hosts, services, protocols."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request

from ...errors import UsageError
from ...ops.hosts import hosts as make_hosts
from ...ops.services import services as make_services
from ..table import Chosen, FlowTable, Ordered, plain
from ..view import View
from .common import MOST_ROWS, aside, chosen, library, table

router = APIRouter(prefix="/api", tags=["tables"])
Offset = Annotated[int, Query(ge=0, le=1 << 32, description="Rows to pass over.")]
Limit = Annotated[int, Query(ge=0, le=MOST_ROWS, description="Rows wanted.")]
Columns = Annotated[
    str | None, Query(max_length=4096, description="Columns wanted, joined by commas; all if left out.")
]


def _steps(picked: Chosen) -> list[dict[str, Any]]:
    return [{"name": s.name, "rows": s.rows, "bytes": s.bytes} for s in picked.steps]


def _columns(text: str | None, there: list[str]) -> list[str] | None:
    if not text:
        return None
    wanted = [name for name in text.split(",") if name]
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise UsageError(f"there is no column {unknown[0]!r}; there are {', '.join(there)}")
    return list(dict.fromkeys(wanted))


@router.get("/flows")
async def flows(
    request: Request, offset: Offset = 0, limit: Limit = 100, columns: Columns = None
) -> dict[str, Any]:
    """Flows of a view: a page of rows, and what each filter left. The view's fields: ``filter`` (as tcpdump),
    ``where`` (SQL), ``keyword``, ``since``, ``until``, ``hide`` (several times), ``invert``, and ``sort``
    (``-bytes``)."""
    loaded, wanted, picked = await chosen(request)
    names = _columns(columns, loaded.frame.columns)
    rows = await aside(lambda: loaded.page(picked, wanted.sort, offset, limit, names))
    return {
        "rows": rows,
        "total": picked.count,
        "steps": _steps(picked),
        "version": library(request).version,
    }


@router.get("/summary")
async def summary(request: Request) -> dict[str, Any]:
    """What each filter of a view leaves, and the columns there are."""
    loaded, _, picked = await chosen(request)
    frame = loaded.frame
    times = frame["first_ts"].dt.epoch("ns").min(), frame["last_ts"].dt.epoch("ns").max()
    return {
        "total": picked.count,
        "steps": _steps(picked),
        "columns": loaded.kinds(),
        "first_ns": None if times[0] is None else str(times[0]),
        "last_ns": None if times[1] is None else str(times[1]),
        "version": library(request).version,
    }


@router.get("/flows/{flow_id}")
async def flow(request: Request, flow_id: int) -> dict[str, Any]:
    """One flow."""
    loaded = table(request)
    if not 0 <= flow_id < len(loaded):
        raise UsageError(f"there is no flow {flow_id}: there are {len(loaded)}, counted from 0")
    return plain(loaded.frame.slice(flow_id, 1))[0]


_ASKED = ("client_ip", "server_ip", "proto", "state", "service", "client_mac", "server_mac")
"""Columns of text that hosts and services are made of."""


class _Part:
    """Some rows of the flow table, as the functions that make other tables take them."""

    def __init__(self, loaded: FlowTable, picked: Chosen) -> None:
        self._loaded, self._mask = loaded, picked.mask
        self.files, self.columns = loaded.flows.files, loaded.flows.columns

    def to_polars(self) -> pl.DataFrame:
        frame = self._loaded.texts(_ASKED)
        return frame if self._mask is None else frame.filter(self._mask)

    def names(self) -> dict[str, list[str]]:
        return self._loaded.flows.names()


def _made(loaded: FlowTable, wanted: View, picked: Chosen, kind: str) -> Ordered:
    def make() -> Ordered:
        part: Any = _Part(loaded, picked)
        if kind == "hosts" and "client_ttl" not in part.columns:
            raise UsageError("hosts need details, which are still being read")
        maker: Any = make_hosts if kind == "hosts" else make_services
        return Ordered(maker(part).to_polars())

    return loaded.made.get((kind, wanted), make)


async def _page(request: Request, kind: str, offset: int, limit: int) -> dict[str, Any]:
    loaded, wanted, picked = await chosen(request)

    def work() -> dict[str, Any]:
        made = _made(loaded, wanted, picked, kind)
        rows = made.page(None, wanted.sort, offset, limit)
        return {"rows": rows, "total": made.frame.height, "steps": _steps(picked),
                "version": library(request).version}  # fmt: skip

    return await aside(work)


@router.get("/hosts")
async def hosts(request: Request, offset: Offset = 0, limit: Limit = 100) -> dict[str, Any]:
    """The addresses in the flows of a view; ``sort`` is over their own columns."""
    return await _page(request, "hosts", offset, limit)


@router.get("/services")
async def services(request: Request, offset: Offset = 0, limit: Limit = 100) -> dict[str, Any]:
    """Who talks to which service in the flows of a view, and how regularly."""
    return await _page(request, "services", offset, limit)


@router.get("/protocols")
async def protocols(request: Request) -> dict[str, Any]:
    """Share of each protocol by flows and bytes: what was identified, else the transport protocol."""
    loaded, _, picked = await chosen(request)

    return {"rows": await aside(lambda: shares(loaded, picked)), "steps": _steps(picked)}


def shares(loaded: FlowTable, picked: Chosen) -> list[dict[str, Any]]:
    """Flows and bytes of each protocol, the one with most bytes first."""
    frame = loaded.frame if picked.mask is None else loaded.frame.filter(picked.mask)
    by = ["proto", *(["service"] if "service" in frame.columns else [])]
    summed = frame.group_by(by).agg(flows=pl.len(), bytes=pl.col("bytes").sum())
    # Named after they were counted: there are few then.
    summed = summed.with_columns(pl.col(by).cast(pl.String))
    name = pl.col("proto")
    if len(by) == 2:
        name = pl.col("service").fill_null(pl.format("{} (not identified)", "proto"))
    table = summed.group_by(name.alias("protocol")).agg(pl.col("flows", "bytes").sum())
    return table.sort("bytes", "protocol", descending=[True, False]).to_dicts()


@router.get("/timeline")
async def timeline(request: Request, bins: Annotated[int, Query(ge=2, le=2000)] = 200) -> dict[str, Any]:
    """Bytes and flows over time, in equal steps. The bytes of a flow are spread evenly over its duration."""
    loaded, wanted, _ = await chosen(request)
    unbrushed = View(wanted.filter, wanted.where, wanted.keyword, hidden=wanted.hidden, invert=wanted.invert)
    return await aside(lambda: spread(loaded, loaded.choose(unbrushed), bins))


def spread(loaded: FlowTable, picked: Chosen, bins: int) -> dict[str, Any]:
    """Bytes of each step of time."""
    frame = loaded.frame if picked.mask is None else loaded.frame.filter(picked.mask)
    if not frame.height:
        return {"start_ns": "0", "step_ns": "0", "bytes": [], "flows": []}
    flows = frame.select(
        s=pl.col("first_ts").dt.epoch("ns"),
        e=pl.col("last_ts").dt.epoch("ns"),
        b=pl.col("bytes").cast(pl.Float64),
    )
    start, end = int(flows["s"].min()), int(flows["e"].max())  # type: ignore[arg-type]
    step = max(1, -(-(end - start + 1) // bins))
    flows = flows.with_columns(s=pl.col("s") - start, e=pl.col("e") - start)
    flows = flows.with_columns(
        rate=pl.when(pl.col("e") > pl.col("s")).then(pl.col("b") / (pl.col("e") - pl.col("s"))).otherwise(0.0)
    )
    whole = [0.0] * bins  # bytes of flows without duration
    for n, total in (
        flows.filter(pl.col("rate") == 0).group_by(pl.col("s") // step).agg(pl.col("b").sum()).iter_rows()
    ):
        whole[n] += total
    slope, bend = [0.0] * (bins + 1), [0.0] * (bins + 1)
    for edge, sign in (("s", 1.0), ("e", -1.0)):
        grouped = flows.filter(pl.col("rate") > 0).group_by(n=pl.col(edge) // step).agg(
            rate=pl.col("rate").sum(), at=(pl.col("rate") * pl.col(edge)).sum()
        )  # fmt: skip
        for n, rate, at in grouped.iter_rows():
            # Behind this edge the sum grows by rate; within its own step from the edge on.
            slope[n + 1] += sign * rate
            bend[n + 1] += sign * at
    # What has flowed until the end of each step is linear in time between edges.
    until, before, r, a = [], 0.0, 0.0, 0.0
    for n in range(bins):
        r, a = r + slope[n + 1], a + bend[n + 1]
        now = r * (n + 1) * step - a
        until.append(max(0.0, now - before) + whole[n])
        before = now
    counts = [0] * bins
    for n, count in flows.group_by(pl.col("s") // step).len().iter_rows():
        counts[n] = count
    return {"start_ns": str(start), "step_ns": str(step), "bytes": [round(b) for b in until], "flows": counts}
