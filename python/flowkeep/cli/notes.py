"""What is said on stderr about files that were damaged, skipped or odd."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from .. import _native
from ..ops.trim import damage
from ..text import safe


def note(text: str) -> None:
    """One line on stderr."""
    click.echo(f"flowkeep: {text}", err=True)


def skipped(files: Iterable[tuple[Path | str, str]]) -> bool:
    """Name files that were passed over; whether there were any."""
    any_skipped = False
    for path, why in files:
        note(f"{safe(path)}: skipped: {safe(why)}")
        any_skipped = True
    return any_skipped


def oddities(files: Iterable[_native.FileScan]) -> bool:
    """Name damage and what was not understood; whether there was damage."""
    damaged = False
    for scan in files:
        path = safe(scan["path"])
        problem = damage(scan)
        if problem:
            note(problem + "; everything before it was used")
            damaged = True
        if scan["unknown_link_types"]:
            names = ", ".join(scan["unknown_link_types"])
            note(f"{path}: link type {names} is not read: its packets belong to no flow")
        if scan["untracked"]:
            note(f"{path}: {scan['untracked']} packets belong to flows beyond --max-flows: kept, not listed")
        if scan["ledger"] == "misfit":
            why = safe(scan["ledger_note"] or "")
            note(f"{path}: the ledger beside it does not fit and was not used: {why}")
        if scan["index"] == "misfit":
            note(f"{path}: the index beside it was not used: {safe(scan['index_note'] or '')}")
    return damaged
