"""Captures that are open: add, leave away, upload, look around."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Entry:
    """A folder or a file in one that may be opened."""

    path: Path
    folder: bool
    size: int | None
    """Bytes; None for a folder."""

    @property
    def name(self) -> str:
        """Its name, harmless; :attr:`path` is the true one."""
        return safe(self.path.name)


@dataclass(frozen=True)
class Listing:
    """What lies in a folder."""

    folder: Path
    above: Path | None
    """The folder around it, if that may be looked at too."""
    entries: tuple[Entry, ...]
    more: bool = False
    """Whether there are more than are listed."""


def listing(open_: Library, folder: str) -> Listing:
    """What lies in a folder below those of this server, or in the first of them, folders first; ledgers,
    indexes and hidden files are left out. Raises UsageError, OSError."""
    there = open_.allowed(folder) if folder else (open_.roots[0] if open_.roots else None)
    if there is None or not there.is_dir():
        raise UsageError(f"{safe(folder)} is no folder")
    entries: list[Entry] = []
    more = False
    with os.scandir(there) as found:
        for entry in found:
            if entry.name.startswith(".") or entry.name.endswith((LEDGER, INDEX)):
                continue
            if len(entries) == MOST_ENTRIES:
                more = True
                break
            try:
                is_folder = entry.is_dir()
                size = None if is_folder else entry.stat().st_size
            except OSError:
                continue
            entries.append(Entry(Path(entry.path), is_folder, size))
    entries.sort(key=lambda each: (not each.folder, each.path.name))
    try:
        above = open_.allowed(there.parent)
    except UsageError:
        above = None
    return Listing(there, None if above == there else above, tuple(entries), more)


@router.get("/browse")
async def browse(request: Request, folder: Annotated[str, Query(max_length=4096)] = "") -> dict[str, Any]:
    """What lies in a folder below those of this server."""
    found = await aside(lambda: listing(library(request), folder))
    entries = [
        {"name": each.name, "path": safe(each.path), "folder": each.folder, "size": each.size}
        for each in found.entries
    ]
    above = None if found.above is None else safe(found.above)
    return {"folder": safe(found.folder), "above": above, "entries": entries, "more": found.more}


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
