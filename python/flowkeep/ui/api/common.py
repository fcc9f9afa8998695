"""What every part of the API needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse

from ...errors import FlowkeepError, UsageError
from ...text import safe
from ..library import Library
from ..table import Chosen, FlowTable
from ..view import View

T = TypeVar("T")
MOST_ROWS = 5000
"""Rows of one answer."""


def library(request: Request) -> Library:
    """The captures of this server."""
    found = request.app.state.library
    assert isinstance(found, Library)
    return found


def table(request: Request) -> FlowTable:
    """The flow table. Raises HTTPException 409 while there is none."""
    loaded = library(request)
    if loaded.table is None:
        reading = loaded.reading
        why = "captures are being read" if reading.state != "idle" else reading.error or "no capture is open"
        raise HTTPException(409, why)
    return loaded.table


def view(request: Request) -> View:
    """The view of a request. Raises UsageError."""
    return View.parse(request.query_params)


async def chosen(request: Request) -> tuple[FlowTable, View, Chosen]:
    """The table, the view of a request, and its rows."""
    flows, wanted = table(request), view(request)
    return flows, wanted, await aside(lambda: flows.choose(wanted))


async def aside(work: Callable[[], T]) -> T:
    """Run work outside of the event loop, so that no page waits for another's question."""
    return await asyncio.to_thread(work)


async def explain(_: Request, error: Exception) -> JSONResponse:
    """Our errors as JSON: 400 for a call that is wrong, 422 for what cannot be done."""
    status = 400 if isinstance(error, UsageError) else 404 if isinstance(error, FileNotFoundError) else 422
    text = str(error) if isinstance(error, FlowkeepError) else f"{error}"
    return JSONResponse({"error": safe(text), "kind": type(error).__name__}, status)
