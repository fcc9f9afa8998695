"""What is done to one file of an archive: each step leaves the old state or the new one, whatever stops it.

A file is touched only when it is still the one that was planned about: same device, inode, size and time of
change, a regular file that nobody writes. It is looked at again directly before the result takes its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _native
from ..cut import CutPolicy
from ..depths import Depth as CutDepth
from ..depths import Lock as CutLock
from ..errors import BusyError, DamagedError, LedgerError, OutputError
from ..paths import LEDGER, index_path, ledger_path
from ..sink.atomic import Part, being_written, part_path, sync_folder
from ..text import safe
from .model import Compress, Cut, Delete, FileState, FlowsOnly

WHOLE = (1 << 64) - 1
"""The cutoff that cuts nothing."""
ANALYSES = {"flows": ".flows.parquet", "streams:sha256": ".streams.parquet", "services": ".services.parquet"}
"""What an analysis is called beside its capture."""


@dataclass(frozen=True)
class Done:
    """What a step did."""

    digest_before: str | None
    """SHA-256 of the capture, hex; None: there was none."""
    digest_after: str | None
    """None: there is none any more."""
    bytes_before: int
    """Capture and ledger."""
    bytes_after: int
    ledger: str | None = None
    """SHA-256 of the ledger that stands there now."""
    untouched: str = ""
    """Why nothing was done, though nothing failed."""


def identity(path: Path) -> tuple[int, int, int, int]:
    """Device, inode, size and time of change. Raises BusyError for what is no regular file, OSError."""
    info = os.lstat(path)
    if not stat.S_ISREG(info.st_mode):
        raise BusyError(f"{safe(path)}: it is no regular file any more; it was left alone")
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def sha256(path: Path) -> str:
    """The digest of a file, hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def planned(file: FileState) -> tuple[int, int, int, int]:
    """The identity that a plan was made about."""
    return file.device, file.inode, file.size, file.mtime_ns


def check(file: FileState) -> None:
    """Raise BusyError when a file is not what was planned about, or is being written; OSError."""
    path = Path(file.path)
    if identity(path) != planned(file):
        raise BusyError(f"{safe(path)}: it was changed since the plan was made; it was left alone")
    if being_written(path):
        raise BusyError(f"{safe(path)}: another process is writing it; it was left alone")


def policy_of(action: Cut | FlowsOnly | Compress, locks: Sequence[CutLock]) -> CutPolicy:
    """The policy of a step, as the native core takes it."""
    if isinstance(action, Cut):
        depths = tuple(CutDepth(d.cutoff, d.select, d.service) for d in action.depths)
        return CutPolicy(action.cutoff, rest=action.rest, depths=depths, locks=tuple(locks))
    if isinstance(action, FlowsOnly):
        return CutPolicy(0, control="drop", locks=tuple(locks))
    return CutPolicy(WHOLE)


class Cutter:
    """Cuts files one after another as one data set, as long as they are cut by the same policy."""

    def __init__(self, policy: CutPolicy, compress: str | None, jobs: int, behind: Sequence[Path]) -> None:
        """``behind``: ledgers of the files before, in time order; flows go on from what they say."""
        self.policy, self.compress, self.behind = policy, compress, list(behind)
        self.jobs = jobs
        self._native: _native.Trimmer | None = None

    def _trimmer(self, path: Path, beside: Path | None, progress: Any) -> _native.Trimmer:
        if self._native is None or self.policy.identifies:
            # Depths by service read a file twice, and the first pass comes before any cutting.
            made = _native.Trimmer(
                self.policy.cutoff,
                control=self.policy.control,
                rest=self.policy.rest.partition(":")[0],  # type: ignore[arg-type]
                sample=self.policy.sample,
                ledger=True,
                jobs=self.jobs,
                **self.policy.native(),
            )
            if self.policy.identifies:
                for ledger in self.behind:
                    made.carry(os.fspath(ledger), measuring=True)
                made.measure(
                    os.fspath(path),
                    ledger_in=None if beside is None else os.fspath(beside),
                    progress=progress,
                )
            for ledger in self.behind:
                made.carry(os.fspath(ledger))
            self._native = made
        return self._native

    def pass_by(self, ledger: Path) -> None:
        """A file in between stays as it is: flows go on from its ledger."""
        self.behind.append(ledger)
        if self._native is not None:
            self._native.carry(os.fspath(ledger))

    def run(
        self, path: Path, beside: Path | None, out: Path | None, ledger: Path, policy: str, progress: Any
    ) -> _native.FileTrim:
        """Cut one file into ``out`` (None: nowhere) and write its ledger."""
        trimmer = self._trimmer(path, beside, progress)
        done = trimmer.file(
            os.fspath(path),
            None if out is None else os.fspath(out),
            ledger_in=None if beside is None else os.fspath(beside),
            ledger_out=os.fspath(ledger),
            compression=self.compress or "same",  # type: ignore[arg-type]
            digest=True,
            last=False,
            policy=policy,
            progress=progress,
        )
        self.behind.append(ledger_path(path))
        return done


def rewrite(
    file: FileState, action: Cut | Compress | FlowsOnly, cutter: Cutter, progress: Any = None
) -> Done:
    """Put the cut (or compressed) capture in the place of the old one, its ledger first.

    For ``flows-only`` the ledger takes its place, and the capture goes. Raises BusyError, DamagedError,
    LedgerError, OutputError, OSError; then the file is as it was.
    """
    path = Path(file.path)
    check(file)
    beside = ledger_path(path) if os.path.lexists(ledger_path(path)) else None
    gone = isinstance(action, FlowsOnly)
    with ExitStack() as stack:
        part = None if gone else stack.enter_context(Part(path))
        ledger = stack.enter_context(Part(ledger_path(path)))
        policy = cutter.policy.as_json() if not isinstance(action, Compress) else policy_before(beside)
        done = cutter.run(path, beside, None if part is None else part.part, ledger.part, policy, progress)
        if done["damage"] is not None:
            raise DamagedError(
                f"{safe(path)}: it is damaged at byte {done['damage']['offset']:,}: "
                f"{done['damage']['detail']}; it was left alone"
            )
        if done["ledger"] == "misfit":
            raise LedgerError(
                f"{safe(path)}: the ledger beside it is not its own ({done['ledger_note']}); both were left "
                "alone. Move the ledger away to cut the capture without it"
            )
        if part is not None:
            part.sync(path)
        ledger.sync()
        check(file)
        after = ledger.part.stat().st_size
        digest = sha256(ledger.part)
        ledger.commit()
        if part is not None:
            after += part.part.stat().st_size
            part.commit()
        else:
            os.unlink(path)
        with suppress(FileNotFoundError):
            os.unlink(index_path(path))
        sync_folder(path.parent)
    kept = None if gone else done["digest_out"]
    return Done(done["digest_in"], kept, file.size + file.ledger_size, after, digest)


def policy_before(beside: Path | None) -> str:
    """The policy that a ledger names: compressing changes nothing about it."""
    if beside is not None:
        [(about, why)] = _native.ledger_metadata([os.fspath(beside)])
        if about is None:
            raise LedgerError(f"{safe(beside)}: the ledger is broken: {why}; it was left alone")
        return about.get("policy", "")
    return json.dumps({"cutoff": None})


def sides(path: Path) -> list[Path]:
    """What flowkeep puts beside a capture, in the order in which it goes."""
    names = [path.with_name(path.name + ending) for ending in ANALYSES.values()]
    return [index_path(path), *names, ledger_path(path)]


def delete(file: FileState, digest: str | None) -> Done:
    """Remove a capture and what flowkeep has put beside it. Raises BusyError, OSError."""
    path = Path(file.path)
    if file.inode:
        check(file)
        os.unlink(path)
    finish_delete(path)
    return Done(digest, None, file.size + file.ledger_size, 0)


def finish_delete(path: Path) -> None:
    """Remove what is left beside a capture that is gone."""
    for place in (*sides(path), part_path(path), part_path(ledger_path(path))):
        with suppress(FileNotFoundError):
            os.unlink(place)
    sync_folder(path.parent)


def known_digest(file: FileState) -> str | None:
    """The digest of a file as its ledger has it, by its size; None where that does not tell."""
    [(about, _)] = _native.ledger_metadata([file.path + LEDGER]) if file.ledger else [(None, None)]
    if about is None or str(file.size) not in (about.get("size_out"), about.get("size_in")):
        return None
    return about["digest_out"] if about.get("size_out") == str(file.size) else about["digest_in"]


def settle(path: Path) -> None:
    """Remove what a stopped run left half-made beside a file, unless somebody is making it now."""
    for place in (path, ledger_path(path)):
        if os.path.lexists(part_path(place)):
            with suppress(BusyError, OutputError), Part(place):
                pass


Step = Cut | FlowsOnly | Compress | Delete
