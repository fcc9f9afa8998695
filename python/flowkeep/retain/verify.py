"""Checks an archive against its journal: the chain of records, and every file they speak of."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .. import _native
from ..errors import DamagedError
from ..paths import ledger_path
from ..text import safe
from . import journal as journals
from . import steps

State = Literal["fits", "gone", "changed", "missing", "open"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Verified:
    """What was found about a file that the journal names."""

    path: str
    state: State
    """``fits``; ``gone`` as the journal says; ``changed``; ``missing`` though the journal says it stays;
    ``open``: an action was begun, and its end is not written down."""
    why: str = ""
    record: int = -1
    """The last record about it."""


@dataclass
class VerifyReport:
    """What was found."""

    journal: Path
    records: int = 0
    files: list[Verified] = field(default_factory=list)
    broken: str | None = None
    """Where the chain of the journal breaks, and why. Files are then checked up to there."""
    last: str = journals.START
    """Digest of the last record: who keeps it elsewhere can tell later whether the journal was cut off."""

    @property
    def clean(self) -> bool:
        """Whether all is as the journal says."""
        return self.broken is None and all(f.state in ("fits", "gone") for f in self.files)

    def count(self, state: State) -> int:
        """Files in a state."""
        return sum(file.state == state for file in self.files)


def verify(path: Path, *, digests: bool = True, progress: Progress | None = None) -> VerifyReport:
    """Check a journal and the files it names. Without ``digests`` captures are told by size alone.

    Raises OSError when there is no journal.
    """
    report = VerifyReport(path)
    last: dict[str, journals.Record] = {}
    try:
        for record in journals.read(path):
            report.records, report.last = report.records + 1, record["hash"]
            if record["kind"] in ("intent", "done") and isinstance(record.get("path"), str):
                last[record["path"]] = record
            elif record["kind"] in ("abandoned", "failed") and isinstance(record.get("path"), str):
                before = last.get(record["path"])
                if before is not None and before["kind"] == "intent":
                    # Nothing became of it: what was said before holds.
                    last[record["path"]] = {**before, "kind": "nothing"}
    except DamagedError as error:
        report.broken = str(error)
    known: dict[str, journals.Record] = {}
    if any(record["kind"] == "nothing" for record in last.values()) and report.broken is None:
        for record in journals.read(path):
            if record["kind"] == "done":
                known[record["path"]] = record
    total = len(last)
    for at, (name, record) in enumerate(sorted(last.items())):
        if progress is not None:
            progress(at, total)
        if record["kind"] == "nothing":
            if name not in known:
                continue
            record = known[name]
        report.files.append(_file(name, record, digests))
    return report


def _file(name: str, record: journals.Record, digests: bool) -> Verified:
    path = Path(name)
    number = record["n"]
    there = os.path.lexists(path)
    if record["kind"] == "intent":
        return Verified(name, "open", f"{record['action']['name']} was begun and did not end", number)
    wanted = record.get("digest_after")
    if wanted is None:
        if there:
            return Verified(name, "changed", "the journal says that it is gone, and a file is there", number)
        return _ledger(name, path, record) if record.get("ledger") else Verified(name, "gone", "", number)
    if not there:
        return Verified(name, "missing", "no record says that it was removed", number)
    found = _ledger(name, path, record)
    if found.state != "fits":
        return found
    try:
        size = path.stat().st_size
        [(about, _)] = _native.ledger_metadata([os.fspath(ledger_path(path))])
        if about is not None and about.get("size_out") != str(size):
            why = f"{size:,} bytes are there, {about.get('size_out')} were left"
            return Verified(name, "changed", why, number)
        digest = steps.sha256(path) if digests else wanted
    except OSError as error:
        return Verified(name, "changed", f"it cannot be read: {error.strerror}", number)
    if digest != wanted:
        return Verified(name, "changed", f"its SHA-256 is {digest}, the journal has {wanted}", number)
    return Verified(name, "fits", "", number)


def _ledger(name: str, path: Path, record: journals.Record) -> Verified:
    ledger = ledger_path(path)
    try:
        digest = steps.sha256(ledger)
    except OSError as error:
        return Verified(name, "missing", f"its ledger {safe(ledger)}: {error.strerror}", record["n"])
    if digest != record["ledger"]:
        return Verified(name, "changed", "its ledger was changed", record["n"])
    return Verified(name, "fits", "", record["n"])
