"""A running cache, and what a retention policy would do: looked at, and never changed."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from ...cache.client import Place
from ...errors import UsageError
from ...ops.cache_read import CacheReadPlan, cache_read
from ...ops.cache_status import cache_status
from ...ops.retain_forecast import forecast_archive
from ...ops.retain_plan import plan_archive
from ...retain.report_html import page
from ...select.query import FlowQuery
from ...text import safe
from ...units import parse_moment
from ..library import Library
from .common import aside, library

router = APIRouter(prefix="/api", tags=["cache and archive"])
Policy = Annotated[
    str, Query(max_length=4096, description="The policy, a TOML file below the folders of this server.")
]
Socket = Annotated[str, Query(max_length=200, description="The cache's Unix socket; empty: the usual one.")]


class FromCache(BaseModel):
    """Which packets to take out of a cache."""

    socket: str = Field(default="", max_length=200)
    filter: str = Field(default="", max_length=10_000)
    where: str = Field(default="", max_length=10_000)
    since: str = Field(default="", max_length=100)


def place(socket: str) -> Place:
    """Where the cache is. Its socket lets in whoever runs it, and so this server, which has the same user."""
    if "\0" in socket:
        raise UsageError(f"{safe(socket)!r} cannot be a path: it holds a NUL")
    return Place(Path(socket) if socket else None)


def take(open_: Library, wanted: FromCache) -> dict[str, Any]:
    """Read a cache into a file and open that beside what is open. Raises CacheError, UsageError."""
    made = open_.upload_folder() / f"cache-{secrets.token_hex(4)}.pcapng"
    since = parse_moment(wanted.since) if wanted.since else None
    query = FlowQuery(where=wanted.where) if wanted.where else None
    report = cache_read(
        place(wanted.socket), CacheReadPlan(made, filter=wanted.filter or None, since=since), query
    )
    if report.packets:
        open_.open([made])
    return {"packets": report.packets, "bytes": report.bytes, "lost": report.lost, "path": safe(made)}


def planned(open_: Library, policy: str) -> list[dict[str, Any]]:
    """What a policy would do now, decision by decision. Raises UsageError, OSError."""
    made = []
    for one in plan_archive(str(open_.allowed(policy)), keep=False):
        decisions = [
            {"file": safe(d.file.path), "action": d.action.name, "reason": safe(d.reason),
             "before": d.bytes_before, "after": d.bytes_after_estimate} for d in one.decisions
        ]  # fmt: skip
        made.append({
            "dataset": safe(one.dataset), "decisions": decisions, "before": one.bytes_before,
            "after": one.bytes_after, "allowed": one.allowed, "fits": one.fits,
            "warnings": [safe(text) for text in one.warnings],
        })  # fmt: skip
    return made


def _local(request: Request) -> None:
    if not request.app.state.loopback:
        raise HTTPException(403, "a cache is asked on the machine it runs on")


@router.get("/cache")
async def cache(request: Request, socket: Socket = "") -> dict[str, Any]:
    """What a running cache says of itself."""
    _local(request)
    return await aside(lambda: cache_status(place(socket)))


@router.post("/cache/read")
async def read(request: Request, wanted: FromCache) -> dict[str, Any]:
    """Take packets out of a running cache, and open them."""
    _local(request)
    return await aside(lambda: take(library(request), wanted))


@router.get("/retain/plan")
async def plan(request: Request, policy: Policy) -> list[dict[str, Any]]:
    """What a policy would do now. Nothing is carried out."""
    return await aside(lambda: planned(library(request), policy))


@router.get("/retain/forecast")
async def forecast(request: Request, policy: Policy) -> HTMLResponse:
    """What will be, as a page with pictures."""
    path = str(library(request).allowed(policy))
    report = await aside(lambda: forecast_archive([path]))
    return HTMLResponse(page(report))
