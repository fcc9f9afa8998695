"""What a cutoff would keep, and doing it."""

from __future__ import annotations

import threading
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from ...cut import CutPolicy
from ...ops.info import describe
from ...ops.trim import TrimPlan, trim
from ...units import parse_size
from .common import aside, library

router = APIRouter(prefix="/api/trim", tags=["trim"])
CUTOFFS = tuple(sorted({step * 10**power for power in range(2, 10) for step in (1, 2, 5)}))


class Trim(BaseModel):
    """Where the trimmed captures go."""

    cutoff: Annotated[str, Field(max_length=40)]
    output: Annotated[str, Field(max_length=4096)]
    ledger: bool = True


_busy = threading.Lock()


@router.get("/curve")
async def curve(request: Request) -> dict[str, Any]:
    """For each of many cutoffs the bytes and packets it would keep, and how many flows it would leave whole."""
    open_ = library(request)
    if not open_.found.captures:
        raise HTTPException(409, "no capture is open")

    def work() -> dict[str, Any]:
        def make() -> dict[str, Any]:
            report = describe(open_.found, open_.options, cutoffs=CUTOFFS)
            return {"bytes": report.bytes, "packets": report.packets, "flows": report.flows,
                    "cutoffs": [dict(one) for one in report.what_if]}  # fmt: skip

        made: dict[str, Any] = open_.keep("curve", make)
        return made

    return await aside(work)


@router.post("")
async def cut(request: Request, wanted: Trim) -> dict[str, Any]:
    """Write trimmed captures into a folder below those of this server. The captures that are open stay."""
    open_ = library(request)
    if not open_.found.captures:
        raise HTTPException(409, "no capture is open")
    output = open_.allowed(wanted.output)
    policy = CutPolicy.of(parse_size(wanted.cutoff))
    if not _busy.acquire(blocking=False):
        raise HTTPException(409, "another trim is under way")
    try:
        plan = TrimPlan(output=output, ledger=wanted.ledger)
        report = await aside(lambda: trim(open_.found, policy, plan, open_.options))
    finally:
        _busy.release()
    return report.as_dict()
