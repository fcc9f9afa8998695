"""Carries out a plan: one action after another, oldest file first, each written down before and after.

Whatever stops it, the archive is whole: a file is in its old state or in its new one, and the journal tells
which actions were begun. :meth:`Applier.recover` finds out how such an action ended.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from .. import _native
from ..depths import Lock as CutLock
from ..errors import FlowkeepError
from ..paths import LEDGER, ledger_path
from ..text import safe
from . import steps
from .classes import networks
from .journal import Journal, Record
from .model import Action, Compress, Cut, DataSet, Decision, Delete, FileState, FlowsOnly, Keep, Limits, Plan

CARRIED = 2_000_000
"""Rows of earlier ledgers from which the flows of a file go on that is cut for the first time."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
Progress = Callable[[int, int], None]
Analyse = Callable[[Path, str], None]
"""Writes an analysis (``flows`` …) beside a capture."""


@dataclass(frozen=True)
class Outcome:
    """What became of a decision."""

    decision: Decision
    state: Literal["kept", "done", "left", "failed"]
    """``left``: the file was not what was planned about, and was left alone."""
    why: str = ""
    done: steps.Done | None = None
    full: bool = False
    """It failed for want of room."""


@dataclass
class Applied:
    """What became of a plan."""

    plan: Plan
    outcomes: list[Outcome] = field(default_factory=list)
    stopped: bool = False
    """It was told to stop before its end."""
    warnings: list[str] = field(default_factory=list)

    @property
    def freed(self) -> int:
        """Bytes won."""
        return sum(o.done.bytes_before - o.done.bytes_after for o in self.outcomes if o.done is not None)

    def count(self, state: str) -> int:
        """Files with this outcome."""
        return sum(outcome.state == state for outcome in self.outcomes)

    @property
    def clean(self) -> bool:
        """Whether nothing failed and nothing is odd."""
        return not self.warnings and not self.count("failed") and not self.count("left")


class Applier:
    """Works on an archive whose journal it has."""

    def __init__(
        self,
        journal: Journal,
        *,
        limits: Limits | None = None,
        analyse: Analyse | None = None,
        stop: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``stop`` is asked between actions."""
        self.journal, self.limits = journal, limits or Limits()
        self.analyse, self.stop, self.sleep = analyse, stop, sleep
        self._cutter: steps.Cutter | None = None
        self._key: tuple[str, str | None] | None = None
        self._behind: list[tuple[Path, int]] = []

    def apply(
        self, dataset: DataSet, plan: Plan, locks: Sequence[CutLock] = (), *, progress: Progress | None = None
    ) -> Applied:
        """Carry out a plan. Raises OutputError when the journal cannot be written; no more is done then."""
        applied = Applied(plan)
        self._cutter, self._key, self._behind = None, None, []
        total = sum(d.file.size for d in plan.decisions if not isinstance(d.action, Keep))
        worked = 0
        for decision in plan.decisions:
            if self.stop():
                applied.stopped = True
                break
            if isinstance(decision.action, Keep):
                outcome = Outcome(decision, "kept")
            else:
                start, before = time.monotonic(), worked
                told = None if progress is None else (lambda n, _, b=before: progress(b + n, total))
                outcome = self._one(dataset, plan, decision, locks, told)
                worked += decision.file.size
                self._hold_back(decision.file.size, time.monotonic() - start)
            applied.outcomes.append(outcome)
            self._remember(outcome)
        self._cutter, self._key = None, None
        if applied.freed > 0 and not applied.stopped:
            self._again(dataset, plan, applied, locks)
        return applied

    def _again(self, dataset: DataSet, plan: Plan, applied: Applied, locks: Sequence[CutLock]) -> None:
        """Results for which there was no room may find some now."""
        for at, outcome in enumerate(applied.outcomes):
            if outcome.state == "failed" and outcome.full and not self.stop():
                self._behind = []
                for before in applied.outcomes[:at]:
                    self._remember(before)
                applied.outcomes[at] = self._one(dataset, plan, outcome.decision, locks, None)
                self._cutter, self._key = None, None

    def _hold_back(self, size: int, took: float) -> None:
        if self.limits.rate:
            self.sleep(max(size / self.limits.rate - took, 0))

    def _one(
        self, dataset: DataSet, plan: Plan, decision: Decision, locks: Sequence[CutLock], progress: Any
    ) -> Outcome:
        file, path = decision.file, Path(decision.file.path)
        intent: Record | None = None
        try:
            if file.inode:
                steps.check(file)
            action, reason = self._spared(decision, locks)
            if isinstance(action, Keep):
                return Outcome(decision, "kept", reason)
            digest = None
            if isinstance(action, Delete) and file.inode:
                digest = steps.known_digest(file) or (None if action.emergency else steps.sha256(path))
            if isinstance(action, Cut | FlowsOnly) and file.stage.kind == "whole":
                for what in dataset.keep:
                    if self.analyse is not None:
                        self.analyse(path, what)
            intent = self.journal.append(
                "intent", dataset=dataset.name, path=file.path, action=described(action), reason=reason,
                identity=list(steps.planned(file)), digest_before=digest, policy=plan.policy_digest,
            )  # fmt: skip
            if isinstance(action, Delete):
                done = steps.delete(file, digest)
            else:
                done = steps.rewrite(file, action, self._cutter_for(file, action, locks), progress)
        except (FlowkeepError, OSError) as error:
            self._cutter, self._key = None, None
            if intent is None and self._journal_failed(error):
                raise
            why = (
                str(error) if isinstance(error, FlowkeepError) else f"{safe(path)}: {error.strerror or error}"
            )
            if intent is not None:
                self.journal.append("failed", intent=intent["n"], path=file.path, why=why)
            left = isinstance(error, FileNotFoundError) or type(error).__name__ == "BusyError"
            full = getattr(error, "errno", None) in _FULL or any(os.strerror(n) in why for n in _FULL)
            return Outcome(decision, "left" if left else "failed", why, full=full)
        except BaseException:
            # Told to stop in the middle: the file is as it was, or the step was over already.
            self._cutter = None
            if intent is not None:
                self._resolve(intent)
            raise
        self.journal.append("done", intent=intent["n"], path=file.path, **told_of(done))
        return Outcome(decision, "done", reason, done)

    def _journal_failed(self, error: BaseException) -> bool:
        return type(error).__name__ == "OutputError" and str(self.journal.path) in str(error)

    def _spared(self, decision: Decision, locks: Sequence[CutLock]) -> tuple[Action, str]:
        """What is done in place of a removal when the file has locked flows."""
        file, action = decision.file, decision.action
        if not isinstance(action, Delete | FlowsOnly) or not locks or not has_locked(file, locks):
            return action, decision.reason
        if file.inode == 0 or (file.stage.kind == "cut" and file.stage.cutoff == 0):
            return Keep(), f"its locked flows stay ({decision.reason})"
        return Cut(0), f"its locked flows stay, all others go ({decision.reason})"

    def _cutter_for(
        self, file: FileState, action: Cut | FlowsOnly | Compress, locks: Sequence[CutLock]
    ) -> steps.Cutter:
        policy = steps.policy_of(action, locks)
        compress = getattr(action, "compress", None)
        jobs = self.limits.jobs
        if os.path.lexists(file.path + LEDGER):
            # Its ledger says what its sessions had come to before it.
            return steps.Cutter(policy, compress, jobs, ())
        key = (policy.as_json(), compress)
        if self._cutter is None or self._key != key:
            self._cutter, self._key = steps.Cutter(policy, compress, jobs, self._ledgers()), key
        return self._cutter

    def _ledgers(self) -> list[Path]:
        """Of the files before, as many as flows are carried from."""
        found, rows = list[Path](), 0
        for path, flows in reversed(self._behind):
            rows += flows
            if rows > CARRIED and found:
                break
            found.append(path)
        return found[::-1]

    def _remember(self, outcome: Outcome) -> None:
        """Flows of later files go on from this one's ledger."""
        file = outcome.decision.file
        ledger = ledger_path(Path(file.path))
        if not os.path.lexists(ledger):
            return
        flows = file.sizes.flows if file.sizes is not None else file.ledger_size // 200
        self._behind.append((ledger, flows))
        cutter = self._cutter
        if cutter is not None and (not cutter.behind or cutter.behind[-1] != ledger):
            try:
                cutter.pass_by(ledger)
            except (FlowkeepError, OSError):
                self._cutter, self._key = None, None

    def recover(self) -> list[str]:
        """Find out how actions ended that a stopped process had begun, and tidy up; in words."""
        return [self._resolve(intent) for intent in self.journal.open_intents]

    def _resolve(self, intent: Record) -> str:
        path, name = Path(intent["path"]), intent["action"]["name"]
        there = os.path.lexists(path)
        try:
            same = there and list(steps.identity(path)) == intent["identity"]
        except FlowkeepError:
            same = False
        steps.settle(path)
        fields: dict[str, Any] = {"intent": intent["n"], "path": intent["path"], "recovered": True}
        if same:
            self.journal.append("abandoned", **fields, why="the file is as it was")
            return f"{safe(path)}: {name} had been begun; the file is as it was"
        done = self._outcome(path, name, intent, there)
        if done is None:
            why = "the file is neither as it was nor what was to become of it: another process has changed it"
            self.journal.append("failed", **fields, why=why)
            return f"{safe(path)}: {name} had been begun; {why}"
        self.journal.append("done", **fields, **told_of(done))
        return f"{safe(path)}: {name} had been done"

    def _outcome(self, path: Path, name: str, intent: Record, there: bool) -> steps.Done | None:
        """What an action had done when it was stopped; None: it cannot be told."""
        ledger = ledger_path(path)
        if name == "delete":
            if there:
                return None
            steps.finish_delete(path)
            return steps.Done(intent.get("digest_before"), None, intent["identity"][2], 0)
        [(about, _)] = _native.ledger_metadata([os.fspath(ledger)])
        if about is None or there == (name == "flows-only"):
            return None
        own = ledger.stat().st_size
        digest = steps.sha256(path) if there else None
        if there and digest != about["digest_out"]:
            return None
        size = path.stat().st_size if there else 0
        return steps.Done(about["digest_in"], digest, intent["identity"][2], size + own, steps.sha256(ledger))


def told_of(done: steps.Done) -> dict[str, Any]:
    """What a journal says of a step."""
    return {
        "digest_before": done.digest_before, "digest_after": done.digest_after,
        "bytes_before": done.bytes_before, "bytes_after": done.bytes_after, "ledger": done.ledger,
    }  # fmt: skip


def described(action: Action) -> dict[str, Any]:
    """An action as a journal names it."""
    fields: dict[str, Any] = {"name": action.name}
    for name in ("cutoff", "rest", "compress", "emergency"):
        value = getattr(action, name, None)
        if value not in (None, False):
            fields[name] = value
    if depths := getattr(action, "depths", ()):
        fields["depths"] = [{"cutoff": d.cutoff, "select": d.select, "service": d.service} for d in depths]
    return fields


def has_locked(file: FileState, locks: Sequence[CutLock]) -> bool:
    """Whether a file holds packets of locked flows. Raises FlowkeepError, OSError."""
    import polars as pl

    from ..select.libpcap import compile_for_flows

    if file.ledger is not None:
        table = _native.ledger_flows(file.ledger)
    else:
        scanner = _native.Scanner()
        scanner.file(file.path)
        table = scanner.flows()
    for lock in locks:
        if lock.filter is not None:
            program, tags = compile_for_flows(lock.filter)
            if any(table.matching(program, tags=tags)):
                return True
        if lock.hosts and any(table.inside(networks(sorted(lock.hosts)))):
            return True
        if lock.community_ids:
            frame = pl.DataFrame(table)
            if frame["community_id"].is_in(list(lock.community_ids)).any():
                return True
    return False


def hurried(plan: Plan) -> bool:
    """Whether a budget presses: then quiet hours do not hold it up."""
    return plan.hasten is not None or any(getattr(d.action, "emergency", False) for d in plan.decisions)


def only_removals(plan: Plan) -> Plan:
    """The plan without what rewrites files."""
    spared = [
        d if isinstance(d.action, Keep | Delete) else replace(d, action=Keep(), reason="quiet hours")
        for d in plan.decisions
    ]
    return replace(plan, decisions=tuple(spared))
