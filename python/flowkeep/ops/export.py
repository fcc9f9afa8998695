"""Writes flow tables and reports where the user wants them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from .. import _native
from ..errors import NotACaptureError, OutputError, UsageError
from ..flow import Flows
from ..paths import INDEX, LEDGER, Capture, ledger_path
from ..places import Place, Url, place, same_file
from ..rows import Rows
from ..sink.anywhere import begin
from ..sink.stream import naming, standard_output
from ..text import safe

FORMATS = ("csv", "json", "ndjson", "parquet", "arrow", "zeek", "eve")
ROW_FORMATS = ("csv", "json", "ndjson", "parquet")
"""Formats for tables of any columns."""

_ENDINGS = {
    ".csv": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}

Writer = Callable[[Any, IO[bytes]], None]

_ASCII = str.maketrans({"─": "-", "━": "-", "█": "#", "▏": "|", "…": "~"})


_CAPTURE = tuple(
    bytes.fromhex(m)
    for m in ("0a0d0d0a", "a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1")
)
"""First bytes of pcapng and pcap, also where the rest is broken."""
_INDEX = b"FKINDEX\n"


def choose_format(form: str | None, output: str, offered: Sequence[str]) -> str:
    """The format that is asked for, else that of the ending of a file's name, else ``table``.

    Raises UsageError for an ending of a format that is not offered.
    """
    if form is not None:
        return form
    ending = place(output).suffix.lower()
    meant = _ENDINGS.get(ending, "table")
    if meant not in ("table", *offered):
        raise UsageError(
            f"{safe(output)} is named like {meant}, which is not written here: name it .csv, .json or "
            ".ndjson, or give --format"
        )
    return meant


def check_target(
    output: str | Place, captures: Iterable[Capture], *, capture: bool = False, force: bool = False
) -> None:
    """Look at a place for a table, a report or, ``capture``, a capture before the work begins.

    Raises UsageError when it is one of the captures or a ledger of one, and when it is any other
    capture (unless ``force``), ledger or index; OutputError when there is no folder for it.
    """
    path = place(output)
    if os.fspath(path) == "-":
        return
    if isinstance(path, Url):
        from ..places.writing import refuse_read_only

        refuse_read_only(path)
    _refuse_own(path, (c.path for c in captures if c.regular))
    if path.is_dir():
        raise UsageError(f"{safe(path)} is a folder: name a file in it")
    _refuse_evidence(path, capture=capture, force=force)
    folder = path.resolve().parent
    if isinstance(folder, Url):
        return  # most stores have no folders, only names
    if not folder.is_dir():
        raise OutputError(
            f"{safe(path)}: cannot be written: there is no folder {safe(folder)}; make it first"
        )


def export(flows: Rows, form: str, output: str, *, writer: Writer | None = None) -> None:
    """Write flows in one of :data:`FORMATS` to a file, other rows in one of :data:`ROW_FORMATS`.

    ``-`` is standard output. ``writer`` writes a form of the caller's own. Raises UsageError before anything
    is written, OutputError when the file cannot be; what was there before is then untouched.
    """
    if writer is None and form != "arrow":
        from ..sink.tables import WRITERS

        writer = WRITERS[form]
    if output == "-":
        with standard_output() as out:
            if writer is None:
                _arrow(flows, output)
            else:
                writer(flows, out)
        return
    _refuse_own(place(output), (place(scan["path"]) for scan in flows.files))

    def write(target: Place) -> None:
        if writer is None:
            _arrow(flows, os.fspath(target))
            return
        with target.open("wb") as out:
            writer(flows, out)

    _put(place(output), write)


def put(output: str, write: Callable[[IO[bytes]], object]) -> None:
    """Have something written to a file, whole or not at all, or, ``-``, to standard output.

    Raises OutputError, BrokenPipeError.
    """
    if output == "-":
        with standard_output() as out:
            write(out)
        return

    def into(path: Place) -> None:
        with path.open("wb") as out:
            write(out)

    _put(place(output), into)


def write_text(text: str, path: Place) -> None:
    """Write a text file; it becomes visible only when whole. Raises OutputError."""

    def into(target: Place) -> None:
        with target.open("wb") as out:
            out.write(text.encode(errors="backslashreplace"))

    _put(path, into)


def print_text(text: str) -> None:
    """Write text to standard output, in its encoding. Raises OutputError, BrokenPipeError."""
    with standard_output() as out:
        out.write(encoded(text))


def encoded(text: str) -> bytes:
    """Text in the encoding of standard output; lines and bars become ASCII where it has none."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace")


def _put(path: Place, write: Callable[[Place], object]) -> None:
    """Have a file written: whole or not at all; a pipe or a device takes the bytes as they come."""
    with naming(os.fspath(path)):
        # A link stays one. /dev/stdout is a link, too, and must not be replaced.
        target = path.resolve()
        if isinstance(path, Path) and path.exists() and not stat.S_ISREG(path.stat().st_mode):
            write(path)
            return
        # Again, for it may have come there since the work began.
        _refuse_evidence(path)
        with begin(target) as part:
            write(part.part)
            part.sync()
            part.commit()


def _arrow(flows: Rows, path: str) -> None:
    assert isinstance(flows, Flows), "only the native core writes Arrow files"
    flows.write_arrow(path)


def _refuse_evidence(path: Place, *, capture: bool = False, force: bool = False) -> None:
    """Raise UsageError where a file stands that nothing may silently take the place of."""
    # A pipe or a device is written to, not replaced, and must not be read.
    if not path.is_file():
        return
    try:
        what = _evidence(path)
    except OSError as error:
        what = f"there and cannot be looked into ({error.strerror}): it may be a capture"
    if what is None or (force and what == "a capture"):
        return
    way = "choose another name, or remove it first"
    if capture and what == "a capture":
        way += ", or replace it with --force"
    raise UsageError(f"{safe(path)} is {what}: the output would take its place; {way}")


def _evidence(path: Place) -> str | None:
    """What of worth a file is. Raises OSError."""
    names = (path.name, path.resolve().name)
    if any(name.endswith(LEDGER) for name in names):
        return "a ledger"
    with path.open("rb") as file:
        head = file.read(8)
    if head == _INDEX or any(name.endswith(INDEX) for name in names):
        return "an index"
    if head.startswith(_CAPTURE):
        return "a capture"
    try:
        _native.probe(os.fspath(path))
    except NotACaptureError:
        return None
    return "a capture"


def _refuse_own(path: Place, captures: Iterable[Place]) -> None:
    for capture in captures:
        for own, what in ((capture, "captures"), (ledger_path(capture), "ledgers of the captures")):
            if same_file(path, own):
                raise UsageError(f"{safe(path)} is one of the {what}: the output would take its place")
