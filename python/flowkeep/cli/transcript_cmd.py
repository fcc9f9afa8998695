"""``flowkeep transcript``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import click

from .. import _native
from ..errors import UsageError
from ..ops.one_stream import one_stream
from ..ops.streams import OVERLAPS
from ..ops.transcript import TranscriptPlan, View, as_json, lines, write_raw
from ..paths import find
from . import notes
from .options import SIZE, indexed, knowing, paths, query, read_options, reading, selecting
from .progress import ProgressBar
from .stream import colored

_COLORS = {"client": "\x1b[31m", "server": "\x1b[34m", None: "\x1b[33;1m"}
_PLAIN = "\x1b[0m"
_SIGNS = {"client": "> ", "server": "< ", None: ""}


@click.command()
@paths
@click.option(
    "--view",
    type=click.Choice(["text", "hex", "raw", "json"]),
    default="text",
    show_default=True,
    help="raw: the bytes alone; json: one event a line.",
)
@click.option(
    "--encoding",
    default="utf-8",
    show_default=True,
    metavar="NAME",
    help="Of the text: utf-16-le, latin-1, cp037 (EBCDIC) …",
)
@click.option("--decode", is_flag=True, help="Undo chunks and compression of HTTP/1 bodies.")
@click.option("--from", "begin", type=SIZE, default="0", metavar="BYTE", help="Pass over so many bytes.")
@click.option("--bytes", "size", type=SIZE, metavar="N", help="Show so many bytes.")
@click.option("--as-seen", is_flag=True, help="Segments as they were captured, retransmissions and all.")
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default="first",
    show_default=True,
    metavar="POLICY",
    help="Whose bytes stay where two segments differ, see flowkeep streams.",
)
@click.option("--no-pager", is_flag=True, help="Do not start $PAGER on a terminal.")
@knowing
@selecting
@indexed
@reading
def transcript(
    paths: tuple[str, ...], view: View, encoding: str, decode: bool, begin: int, size: int | None,
    as_seen: bool, overlap: str, no_pager: bool, **given: Any,
) -> int:  # fmt: skip
    """Show what the two ends of a flow said to each other.

    Lines of the client begin with >, those of the server with <. Marks in brackets say what is missing or
    uncertain; they are no data. What a terminal might obey is written as escapes.

    \b
    flowkeep transcript day/ --flow 17
    flowkeep transcript day/ --flow 1:LQU9qZlK+B5F3KDmev6m5PMibrg= --view hex --bytes 4kB
    flowkeep transcript day/ --filter 'tcp port 8080' --decode
    """
    plan = TranscriptPlan(view, encoding, begin, size, decode)
    if as_seen and decode:
        raise UsageError("--decode goes with the stream in order, not with --as-seen")
    if view == "raw" and sys.stdout.isatty():
        raise UsageError("a stream may hold anything: pipe it, or leave --view raw away")
    found = find(paths)
    scans: list[_native.FileScan] = []
    with ProgressBar("rebuilding", quiet=given["quiet"]) as bar:
        stream = one_stream(
            found, query(given, paths), read_options(given), overlap=overlap, as_seen=as_seen, scans=scans,
            progress=bar.update,
        )  # fmt: skip
    with stream:
        if view == "raw":
            write_raw(stream, plan)
        else:
            with _paged(no_pager) as out:
                color = colored(sys.stdout)
                if view == "json":
                    for text in as_json(stream):
                        out.write(text + "\n")
                else:
                    for line in lines(stream, plan):
                        text = _SIGNS[line.direction] + line.text
                        out.write(f"{_COLORS[line.direction]}{text}{_PLAIN}\n" if color else text + "\n")
    notes.filtered(scans)
    return int(notes.oddities(scans) | notes.skipped(found.skipped))


@contextmanager
def _paged(no_pager: bool) -> Iterator[IO[str]]:
    """Standard output, through $PAGER (less) on a terminal."""
    command = shlex.split(os.environ.get("FLOWKEEP_PAGER") or os.environ.get("PAGER") or "less")
    program = shutil.which(command[0]) if command else None
    if no_pager or program is None or command == ["cat"] or not sys.stdout.isatty():
        yield sys.stdout
        return
    # As git does: colours pass, and what fits the screen stays there without a pager.
    env = {"LESS": "FRX", **os.environ}
    pager = subprocess.Popen(
        [program, *command[1:]], stdin=subprocess.PIPE, env=env, encoding="utf-8", errors="backslashreplace"
    )
    assert pager.stdin is not None
    try:
        with suppress(BrokenPipeError):  # the reader has seen enough
            yield pager.stdin
    finally:
        with suppress(BrokenPipeError):
            pager.stdin.close()
        pager.wait()
