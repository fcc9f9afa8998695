"""Packets out of the captures: as an answer, or by a link that another program can fetch once it has it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from ...errors import UsageError
from ...ops.extract import ExtractPlan, extract_flows
from ...paths import Found
from ...text import safe
from ..library import Library
from ..table import FlowTable
from ..view import View
from .common import aside, library, table

router = APIRouter(tags=["packets"])
Form = Literal["auto", "pcap", "pcapng"]
_LASTS_S = 3600
_MOST_GRANTS = 500
_MOST_GRANTED = 20_000_000
"""Flows of all links together."""


@dataclass(frozen=True)
class Grant:
    """What a link gives."""

    found: Found
    """The captures whose flows these are: a ``flow_id`` holds for the same captures."""
    ids: array[int]
    form: Form
    name: str
    made: float = field(default_factory=time.monotonic)


class Grants:
    """Links that were given out. Each has a secret, and an end."""

    def __init__(self) -> None:
        """None yet."""
        self._kept: OrderedDict[str, Grant] = OrderedDict()
        self._lock = threading.Lock()
        self.flows = 0
        """Of all links together."""

    def __len__(self) -> int:
        """Links that last."""
        return len(self._kept)

    def add(self, found: Found, ids: list[int], form: Form, name: str) -> str:
        """The secret of a link. The oldest links end when there are too many."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._kept[key] = Grant(found, array("I", ids), form, name)
            self.flows += len(ids)
            while len(self._kept) > 1 and (len(self._kept) > _MOST_GRANTS or self.flows > _MOST_GRANTED):
                self._drop(next(iter(self._kept)))
        return key

    def _drop(self, key: str) -> None:
        self.flows -= len(self._kept.pop(key).ids)

    def get(self, key: str) -> Grant | None:
        """What a link gives, while it lasts."""
        with self._lock:
            grant = self._kept.get(key)
            if grant is not None and time.monotonic() - grant.made > _LASTS_S:
                self._drop(key)
                return None
        return grant


class Wanted(BaseModel):
    """Which flows: of a view, or those named."""

    view: dict[str, str | list[str]] = Field(default_factory=dict)
    flows: list[int] | None = Field(default=None, max_length=1_000_000)
    form: Form = "auto"


def _ids(loaded: FlowTable, view: View, named: list[int] | None) -> list[int]:
    if named is not None:
        ids = sorted(set(named))
        if ids and not 0 <= ids[0] <= ids[-1] < len(loaded):
            raise UsageError(f"there are {len(loaded)} flows, counted from 0")
        return ids
    found: list[int] = loaded.choose(view).rows.to_list()
    return found


def _answer(
    open_: Library, loaded: FlowTable, ids: list[int], form: Form, name: str
) -> StreamingResponse:  # fmt: skip
    """Extract into a file without a name, and send it."""
    folder = Path(tempfile.mkdtemp(prefix="flowkeep-take-"))
    try:
        made = folder / "packets"
        extract_flows(loaded.found, loaded.flows, ids, ExtractPlan(made, form), open_.options)
        file, size = made.open("rb"), made.stat().st_size
        suffix = "pcapng" if file.peek(4)[:4] == b"\x0a\x0d\x0d\x0a" else "pcap"
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    def parts() -> Iterator[bytes]:
        with file:
            while part := file.read(1 << 20):
                yield part

    headers = {"content-disposition": f'attachment; filename="{name}.{suffix}"', "content-length": str(size)}
    return StreamingResponse(parts(), media_type="application/vnd.tcpdump.pcap", headers=headers)


def _name(ids: list[int]) -> str:
    return f"flow-{ids[0]}" if len(ids) == 1 else f"{len(ids)}-flows"


@router.get("/api/extract")
async def extract(
    request: Request,
    flow: Annotated[str, Query(max_length=100_000, description="flow_ids joined by commas.")] = "",
    form: Form = "auto",
) -> StreamingResponse:  # fmt: skip
    """The packets of the flows of a view, or of those named, as a capture."""
    loaded, wanted = table(request), View.parse(request.query_params)
    try:
        named = [int(part) for part in flow.split(",")] if flow else None
    except ValueError:
        raise UsageError(
            f"{safe(flow[:40])!r} names no flows: write their flow_ids joined by commas"
        ) from None
    ids = await aside(lambda: _ids(loaded, wanted, named))
    return await aside(lambda: _answer(library(request), loaded, ids, form, _name(ids)))


@router.post("/api/extract/link")
async def link(request: Request, wanted: Wanted) -> dict[str, Any]:
    """A link to the packets of these flows, for a program that has no cookie: it lasts an hour."""
    loaded = table(request)
    view = View.parse(_Fields(wanted.view))
    ids = await aside(lambda: _ids(loaded, view, wanted.flows))
    suffix = "pcap" if wanted.form == "pcap" else "pcapng"
    name = f"{_name(ids)}.{suffix}" if ids else f"nothing.{suffix}"
    grants: Grants = request.app.state.grants
    key = grants.add(loaded.found, ids, wanted.form, name)
    return {"path": f"/get/{key}/{name}", "name": name, "flows": len(ids)}


class _Fields(dict[str, Any]):
    def getlist(self, name: str) -> list[str]:
        value = self.get(name, [])
        return [value] if isinstance(value, str) else list(value)


@router.get("/get/{key}/{name}")
async def get(request: Request, key: str, name: str) -> StreamingResponse:
    """What a link gives."""
    grants: Grants = request.app.state.grants
    grant = grants.get(key)
    if grant is None or grant.name != name:
        raise HTTPException(404, "this link is over or was never given")
    loaded = table(request)
    if loaded.found is not grant.found:
        raise HTTPException(404, "other captures are open than when this link was given")
    stem = grant.name.rpartition(".")[0]
    return await aside(lambda: _answer(library(request), loaded, grant.ids.tolist(), grant.form, stem))


async def _file(request: Request, wanted: Wanted) -> tuple[Path, int]:
    """The packets in a file of this server; it goes when the server does."""
    loaded, view = table(request), View.parse(_Fields(wanted.view))
    open_ = library(request)
    ids = await aside(lambda: _ids(loaded, view, wanted.flows))
    name = f"{_name(ids) if ids else 'nothing'}-{secrets.token_hex(4)}.pcapng"
    made = open_.upload_folder() / name
    await aside(
        lambda: extract_flows(loaded.found, loaded.flows, ids, ExtractPlan(made, "pcapng"), open_.options)
    )
    return made, len(ids)


@router.post("/api/extract/file")
async def as_file(request: Request, wanted: Wanted) -> dict[str, Any]:
    """The packets as a file on this machine, for a program here; on loopback only. It is gone when the server
    ends."""
    if not request.app.state.loopback:
        raise HTTPException(403, "files are for programs on this machine: ask for a download or a link")
    made, flows = await _file(request, wanted)
    return {"path": safe(made), "flows": flows}


@router.post("/api/extract/open")
async def open_with(request: Request, wanted: Wanted) -> dict[str, Any]:
    """Open the packets with the program that was named at the start; on loopback only."""
    program: list[str] | None = request.app.state.open_with
    if not program:
        raise HTTPException(403, "no program was named: start flowkeep ui with --open-with")
    made, flows = await _file(request, wanted)

    def work() -> None:
        try:
            subprocess.Popen(
                [*program, str(made)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            with suppress(OSError):
                made.unlink()
            raise UsageError(f"{safe(program[0])}: {error.strerror}") from None

    await aside(work)
    return {"opened": safe(made), "flows": flows}
