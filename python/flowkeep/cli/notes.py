"""What is said on stderr about files that were damaged, skipped or odd."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from .. import _native, units
from ..ops.damage import damage
from ..select.tuples import Wanted
from ..text import safe
from .stream import complain


def skipped(files: Iterable[tuple[str | os.PathLike[str], str]]) -> bool:
    """Name files that were passed over; whether there were any."""
    any_skipped = False
    for path, why in files:
        complain(f"{safe(path)}: skipped: {safe(why)}")
        any_skipped = True
    return any_skipped


def filtered(files: Sequence[_native.FileScan]) -> None:
    """Say how many packets the filter has taken out, if any."""
    out = sum(scan["packets_filtered"] for scan in files)
    if out:
        left = sum(scan["packets"] for scan in files)
        verb = "does" if out == 1 else "do"
        complain(f"{out:,} of {units.count(out + left, 'packet')} {verb} not match the filter")


_LINES = 8


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def listed(lists: Sequence[Wanted], unmatched: Mapping[str, Sequence[int]]) -> None:
    """Say what was found in lists of flows, and what of it in the captures."""
    for wanted in lists:
        vain = unmatched.get(wanted.source, ())
        named = _count(len(wanted.lines), "different flow")
        text = f"{wanted.source}: {named} named in {_count(wanted.read, 'line')}"
        if wanted.skipped:
            text += f" ({units.count(wanted.skipped, 'line')} skipped: too long, or no text)"
        if vain:
            some = ", ".join(map(str, vain[:_LINES])) + (" ..." if len(vain) > _LINES else "")
            text += f"; {len(vain):,} of them match no flow, first named on line {some}"
        complain(text)


def oddities(files: Iterable[_native.FileScan]) -> bool:
    """Name damage and what was not understood; whether there was damage."""
    damaged = False
    for scan in files:
        path = safe(scan["path"])
        problem = damage(scan)
        if problem:
            complain(problem + "; everything before it was used")
            damaged = True
        if scan["unknown_link_types"]:
            names = ", ".join(scan["unknown_link_types"])
            complain(f"{path}: link type {names} is not read: its packets belong to no flow")
        for link, refusal in scan["filter_refused"].items():
            why = safe(refusal["reason"])
            complain(
                f"{path}: the filter makes no sense for {link}: "
                f"none of {units.count(refusal['packets'], 'packet')} match: {why}"
            )
        if scan["untracked"]:
            verb = "belongs" if scan["untracked"] == 1 else "belong"
            complain(
                f"{path}: {units.count(scan['untracked'], 'packet')} {verb} to flows beyond --max-flows: "
                "kept, not listed"
            )
        if scan["ledger"] == "misfit":
            why = safe(scan["ledger_note"] or "")
            complain(f"{path}: the ledger beside it does not fit and was not used: {why}")
        if scan["index"] == "misfit":
            complain(f"{path}: the index beside it was not used: {safe(scan['index_note'] or '')}")
    return damaged
