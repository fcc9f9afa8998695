"""The three streams of the process: whether they are open, take colour, how wide they are."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from ..text import safe

WIDE = 10_000
"""Columns of what is no terminal: nothing is shortened for a file or a pipe."""


def open_streams() -> None:
    """Give numbers to streams that were never open.

    Else the next file that is opened takes the number, and messages would land in a capture. What is put
    there can not be used in the wrong direction, so that data for a closed stream are still an error.
    """
    for fd, name, flags, mode in (
        (0, "stdin", os.O_WRONLY, "r"),
        (1, "stdout", os.O_RDONLY, "w"),
        (2, "stderr", os.O_WRONLY, "w"),
    ):
        if getattr(sys, name) is None:
            try:
                os.fstat(fd)
            except OSError:
                os.open(os.devnull, flags)  # the lowest free number is this one
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def complain(text: str) -> None:
    """One line on stderr, harmless for a terminal."""
    talk(f"flowkeep: {safe(text)}\n")


def talk(text: str) -> None:
    """Text on stderr. That nobody can read it changes neither the work nor its exit status."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere; else Python fails once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def colored(stream: TextIO) -> bool:
    """Whether colour is wanted: on a terminal that has it, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width(stream: TextIO) -> int:
    """Columns of a terminal (COLUMNS wins), or :data:`WIDE`."""
    if not stream.isatty():
        return WIDE
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and 0 < int(given) < WIDE:
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return shutil.get_terminal_size().columns
