"""Captures that are open: add, leave away, upload, look around."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field

from ...errors import UsageError
from ...paths import INDEX, LEDGER
from ...text import safe
from ..library import Library
from .common import aside, library

router = APIRouter(prefix="/api/files", tags=["files"])
MOST_ENTRIES = 5000


class Paths(BaseModel):
    """Captures, folders or globs."""

    paths: list[Annotated[str, Field(max_length=4096)]] = Field(max_length=1000)
    append: bool = True


def state(open_: Library) -> dict[str, Any]:
    """What is open, and how far reading has come."""
    reading = open_.reading
    scans = {scan["path"]: scan for scan in open_.table.flows.files} if open_.table is not None else {}
    captures = []
    for capture in open_.found.captures:
        scan = scans.get(os.fspath(capture.path))
        captures.append({
            "path": safe(capture.path), "name": safe(capture.path.name), "size": capture.size,
            "packets": scan["packets"] if scan else None, "trimmed": capture.ledger is not None,
            "indexed": capture.index is not None,
            "first_ns": None if capture.first_ts is None else str(capture.first_ts),
        })  # fmt: skip
    return {
        "state": reading.state, "done": reading.done, "total": reading.total, "error": reading.error,
        "notes": reading.notes[:200], "captures": captures, "version": open_.version,
        "flows": None if open_.table is None else len(open_.table),
        "roots": [safe(root) for root in open_.roots],
    }  # fmt: skip


@router.get("")
async def listed(request: Request) -> dict[str, Any]:
    """The captures that are open, and how far reading has come."""
    return state(library(request))


@router.post("")
async def add(request: Request, wanted: Paths) -> dict[str, Any]:
    """Open captures below the folders of this server, beside those that are open, or alone (``append``)."""
    await aside(lambda: library(request).open(wanted.paths, append=wanted.append))
    return state(library(request))


@router.delete("")
async def leave(request: Request, path: Annotated[str, Query(max_length=4096)]) -> dict[str, Any]:
    """Leave a capture away. The file stays as it is."""
    open_ = library(request)
    matching = [capture.path for capture in open_.found.captures if safe(capture.path) == path]
    if not matching:
        raise HTTPException(404, "no such capture is open")
    await aside(lambda: open_.close(os.fspath(matching[0])))
    return state(open_)


@router.post("/cancel")
async def cancel(request: Request) -> dict[str, Any]:
    """Stop reading."""
    await aside(library(request).cancel)
    return state(library(request))


@router.get("/browse")
async def browse(request: Request, folder: Annotated[str, Query(max_length=4096)] = "") -> dict[str, Any]:
    """What lies in a folder below those of this server."""
    open_ = library(request)
    there = open_.allowed(folder) if folder else (open_.roots[0] if open_.roots else None)
    if there is None or not there.is_dir():
        raise UsageError(f"{safe(folder)} is no folder")

    def work() -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        with os.scandir(there) as found:
            for entry in found:
                if (
                    entry.name.startswith(".")
                    or entry.name.endswith((LEDGER, INDEX))
                    or len(entries) == MOST_ENTRIES
                ):
                    continue
                is_folder = entry.is_dir()
                try:
                    size = None if is_folder else entry.stat().st_size
                except OSError:
                    continue
                entries.append(
                    {"name": safe(entry.name), "path": safe(entry.path), "folder": is_folder, "size": size}
                )
        return sorted(entries, key=lambda e: (not e["folder"], e["name"]))

    up = there.parent
    try:
        above: str | None = safe(open_.allowed(up))
    except UsageError:
        above = None
    return {"folder": safe(there), "above": above, "entries": await aside(work)}


@router.put("/upload/{name}")
async def upload(request: Request, name: str) -> dict[str, Any]:
    """Take a capture over the network: the body is the file. It is gone when the server ends."""
    most: int = request.app.state.most_upload
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", Path(name).name)[:100].lstrip(".") or "capture"
    target = library(request).upload_folder() / plain
    number = 0
    while target.exists():
        number += 1
        target = target.with_name(f"{number}-{plain}")
    size = 0
    try:
        with target.open("xb") as file:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise HTTPException(
                        413, f"an upload has at most {most} bytes: start flowkeep ui with --max-upload"
                    )
                file.write(part)
        await aside(lambda: library(request).open([target]))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return state(library(request))
