"""What a cutoff would keep, and doing it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ...cut import CutPolicy
from ...errors import BusyError, UsageError
from ...ops.info import describe
from ...ops.trim import TrimPlan, TrimReport, trim
from ...units import parse_size
from ..library import Library
from .common import aside, library

router = APIRouter(prefix="/api/trim", tags=["trim"])
CUTOFFS = tuple(sorted({step * 10**power for power in range(2, 10) for step in (1, 2, 5)}))


class Trim(BaseModel):
    """Where the trimmed captures go."""

    cutoff: Annotated[str, Field(max_length=40)]
    output: Annotated[str, Field(max_length=4096)]
    ledger: bool = True


_busy = threading.Lock()


def curve_of(open_: Library) -> dict[str, Any]:
    """What many cutoffs would keep; the captures are read once for it. Raises UsageError."""
    if not open_.found.captures:
        raise UsageError("no capture is open")

    def make() -> dict[str, Any]:
        report = describe(open_.found, open_.options, cutoffs=CUTOFFS)
        return {"bytes": report.bytes, "packets": report.packets, "flows": report.flows,
                "cutoffs": [dict(one) for one in report.what_if]}  # fmt: skip

    return open_.made.get("curve", make)


def cut_into(open_: Library, cutoff: str, folder: str, *, ledger: bool) -> TrimReport:
    """Trim the open captures into a folder that may be touched. Raises UsageError, OutputError."""
    if not open_.found.captures:
        raise UsageError("no capture is open")
    if not folder.strip():
        raise UsageError("name a folder for the trimmed captures")
    output = open_.allowed(folder)
    policy = CutPolicy.of(parse_size(cutoff))
    if not _busy.acquire(blocking=False):
        raise BusyError("another trim is under way: wait until it is done")
    try:
        # What is open was chosen, and no folder is read again: the results may lie inside of one.
        found = replace(open_.found, roots=[])
        return trim(found, policy, TrimPlan(output=output, ledger=ledger), open_.options)
    finally:
        _busy.release()


@router.get("/curve")
async def curve(request: Request) -> dict[str, Any]:
    """For each of many cutoffs the bytes and packets it would keep, and how many flows it would cut."""
    return await aside(lambda: curve_of(library(request)))


@router.post("")
async def cut(request: Request, wanted: Trim) -> dict[str, Any]:
    """Write trimmed captures into a folder below those of this server. The captures that are open stay."""
    report = await aside(
        lambda: cut_into(library(request), wanted.cutoff, wanted.output, ledger=wanted.ledger)
    )
    return report.as_dict()
