"""Reads lists of wanted flows from files, within bounds."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from ..errors import UsageError
from ..text import safe
from .tuples import Wanted, find_tuples

MAX_LINE = 1 << 20
"""Bytes of a line; longer ones are skipped and counted."""
UNDERSTOOD = (
    "Zeek's conn.log, Suricata's EVE and fast.log, Snort alerts, iptables, CSV with a header (nfdump and "
    "others), what flowkeep flows writes, tshark's conversations, text such as "
    "10.0.0.1:40000 -> 192.0.2.1:443, and Community IDs"
)


def read_list(path: str | os.PathLike[str]) -> Wanted:
    """The tuples and Community IDs in a file, plain or gzip; ``-`` is standard input.

    Raises OSError, and UsageError when there are none or too many.
    """
    name = os.fspath(path)
    shown = "standard input" if name == "-" else safe(name)
    try:
        if name == "-":
            wanted = _found(sys.stdin.buffer, shown)
        else:
            with Path(name).open("rb") as file:
                wanted = _found(file, shown)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{shown}: the gzip file is broken: {safe(str(error))}") from None
    if not wanted.lines:
        skipped = f" ({wanted.skipped:,} skipped as too long or no text)" if wanted.skipped else ""
        raise UsageError(
            f"{shown}: no addresses with ports and no Community IDs in {wanted.read:,} lines{skipped}; "
            f"understood are {UNDERSTOOD}"
        )
    return wanted


def _found(file: IO[bytes], source: str) -> Wanted:
    head = cast(BufferedReader, file).peek(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UsageError("this is UTF-16; save it as UTF-8")
    text = gzip.GzipFile(fileobj=file) if head[:2] == b"\x1f\x8b" else file
    return find_tuples(_lines(cast(IO[bytes], text)), source)


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Lines; of one that is too long a zero byte, which is no text."""
    while True:
        line = file.readline(MAX_LINE + 1)
        if not line:
            return
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE)
            yield "\0"
        else:
            yield line.decode("utf-8", "replace")
