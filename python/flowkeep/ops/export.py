"""Writes flow tables and reports where the user wants them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ..errors import OutputError, UsageError
from ..flow import Flows
from ..rows import Rows
from ..sink.atomic import Part
from ..text import safe

FORMATS = ("csv", "json", "ndjson", "parquet", "arrow", "zeek", "eve")
ROW_FORMATS = ("csv", "json", "ndjson", "parquet")
"""Formats for tables of any columns."""

Writer = Callable[[Any, IO[bytes]], None]


def export(flows: Rows, form: str, output: str, *, writer: Writer | None = None) -> None:
    """Write flows in one of :data:`FORMATS` to a file, other rows in one of :data:`ROW_FORMATS`.

    ``-`` is standard output. ``writer`` writes a form of the caller's own. Raises UsageError before anything
    is written, OutputError when the file cannot be; what was there before is then untouched.
    """
    if writer is None and form != "arrow":
        from ..sink.tables import WRITERS

        writer = WRITERS[form]
    path = Path(output)
    if output == "-":
        _into(flows, writer, output, sys.stdout.buffer)
    elif path.exists() and not stat.S_ISREG(path.stat().st_mode):
        # A pipe or a device takes the bytes as they come.
        if writer is None:
            _arrow(flows, output)
            return
        with path.open("wb") as out:
            _into(flows, writer, output, out)
    else:
        _refuse_own(flows, path)
        with Part(path) as part:
            try:
                if writer is None:
                    _arrow(flows, str(part.part))
                else:
                    with part.part.open("wb") as out:
                        _into(flows, writer, output, out)
            except OSError as error:
                if isinstance(error, OutputError):
                    raise
                raise OutputError(f"{safe(output)}: cannot be written: {error.strerror}") from error
            part.sync()
            part.commit()


def write_text(text: str, path: Path) -> None:
    """Write a text file; it becomes visible only when whole. Raises OutputError."""
    with Part(path) as part:
        try:
            part.part.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{safe(path)}: cannot be written: {error.strerror}") from error
        part.sync()
        part.commit()


def _arrow(flows: Rows, path: str) -> None:
    assert isinstance(flows, Flows), "only the native core writes Arrow files"
    flows.write_arrow(path)


def _into(flows: Rows, writer: Writer | None, output: str, out: IO[bytes]) -> None:
    if writer is None:
        _arrow(flows, output)
        return
    writer(flows, out)
    out.flush()


def _refuse_own(flows: Rows, path: Path) -> None:
    if not path.exists():
        return
    for scan in flows.files:
        if os.path.exists(scan["path"]) and path.samefile(scan["path"]):
            raise UsageError(f"{safe(path)} is one of the captures: the table would take its place")
