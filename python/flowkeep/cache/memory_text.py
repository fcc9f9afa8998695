"""How much memory is meant: ``64MiB``, or a share of the machine's such as ``1%``."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from ..errors import UsageError
from ..text import safe
from ..units import parse_size

LEAST = 1_000_000
"""Bytes below which there is no room for the tables of a store."""
DEFAULT_SHARE = Fraction(1, 100)
DEFAULT_LEAST = 40_000_000
"""One per cent of a small machine remembers too little."""

_SHARE = re.compile(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*", re.ASCII)
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory() -> int:
    """Bytes of RAM that this process may count on: those of the machine, or of its container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _LIMITS:
        with suppress(OSError, ValueError):
            total = min(total, int(path.read_text()))
    return total


def default_memory(machine: int | None = None) -> int:
    """One per cent of the RAM, at least 40 MB."""
    machine = machine_memory() if machine is None else machine
    return max(int(machine * DEFAULT_SHARE), DEFAULT_LEAST)


def parse_memory(text: str, *, machine: int | None = None) -> int:
    """Bytes of a size (``64MiB``) or of a share of the RAM (``1%``, ``2.5%``).

    Raises UsageError, also for more than there is.
    """
    machine = machine_memory() if machine is None else machine
    share = _SHARE.fullmatch(text)
    if share:
        value = int(machine * Fraction(share[1]) / 100)
    else:
        try:
            value = parse_size(text)
        except UsageError:
            raise UsageError(
                f"{safe(text)!r} is no amount of memory: write bytes such as 500MB or 64MiB, or a share of "
                "the machine's such as 1%"
            ) from None
    if not LEAST <= value <= machine:
        raise UsageError(
            f"{safe(text)} is {value:,} bytes of memory: at least {LEAST:,} are needed, and this machine "
            f"has {machine:,}"
        )
    return value
