"""The use case behind ``flowkeep trim``: cut the long tail of long flows from captures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from .. import _native
from ..cut import CutPolicy
from ..errors import (
    BusyError,
    DamagedError,
    FlowkeepError,
    LedgerError,
    NotACaptureError,
    OutputError,
    UsageError,
)
from ..flow import ReadOptions
from ..paths import LEDGER, STANDARD, Capture, Found, ledger_path
from ..places import Place, Url, same_file
from ..sink.anywhere import begin, state
from ..sink.atomic import being_written
from ..text import safe
from .damage import damage
from .meter import Meter, Progress
from .reading import check_filter

Compression = Literal["same", "none", "gzip", "zstd", "lz4", "xz"]

IN_PLACE_FILTER = (
    "--in-place with --filter would destroy the packets that do not match: write the result "
    "elsewhere with --output DIR"
)
_CAPTURE_NAME = re.compile(r"\.(pcap|pcapng|cap)(\.(gz|zst|lz4|xz))?$", re.IGNORECASE)


@dataclass(frozen=True)
class TrimPlan:
    """Where the results go, and what goes with them. Exactly one of the first three is set."""

    output: Place | None = None
    """Folder for the results; ``-``: standard output, for one capture."""
    in_place: bool = False
    dry_run: bool = False
    """Decide about every packet and write nothing."""
    ledger: bool = False
    """Write ledgers; always so in place."""
    salvage: bool = False
    """In place: also replace damaged files, by what could be read of them."""
    compression: Compression = "same"

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.output is not None and self.in_place:
            raise UsageError("a capture is trimmed into a folder (--output DIR) or --in-place, not both")
        if self.output is None and not self.in_place and not self.dry_run:
            raise UsageError("say where the result goes: --output DIR, --in-place, or --dry-run to only look")
        if self.in_place and self.compression != "same":
            raise UsageError("in place a file keeps its compression: --compress goes with --output")


@dataclass(frozen=True)
class FileResult:
    """What was done to one capture."""

    path: Place
    output: Place | None
    """Where the result is; None when nothing was written."""
    ledger: Place | None
    trim: _native.FileTrim | None
    """Counts; None when the file was not read."""
    problem: str | None = None
    """Why it was left alone, or what is damaged."""


@dataclass
class TrimReport:
    """What was done to a data set. packets in = kept + cut + dropped, bytes likewise."""

    policy: CutPolicy
    files: list[FileResult] = field(default_factory=list)
    skipped: list[tuple[Place, str]] = field(default_factory=list)
    dry_run: bool = False
    filter: str | None = None
    """Packets that do not match it are dropped."""

    def total(self, name: str) -> int:
        """The sum of a count of :class:`_native.FileTrim` over all files."""
        return sum(cast(dict[str, int], f.trim)[name] for f in self.files if f.trim is not None)

    @property
    def clean(self) -> bool:
        """Whether no file was damaged, left alone or passed over."""
        return not self.skipped and all(f.problem is None for f in self.files)

    def as_dict(self) -> dict[str, Any]:
        """The report as it is written to JSON."""
        names = (
            "packets", "packets_kept", "packets_cut", "packets_dropped", "packets_shortened",
            "bytes", "bytes_kept", "bytes_cut", "bytes_dropped", "size", "out_bytes", "flows", "flows_cut",
        )  # fmt: skip
        return {
            "flowkeep": _native.version(),
            "policy": self.policy.as_dict(),
            "filter": self.filter,
            "dry_run": self.dry_run,
            "totals": {name: self.total(name) for name in names},
            "files": [
                {
                    **(f.trim or {}),
                    "path": os.fspath(f.path),
                    "output": f.output and os.fspath(f.output),
                    "ledger_written": f.ledger and os.fspath(f.ledger),
                    "problem": f.problem,
                }
                for f in self.files
            ],
            "skipped": [{"path": os.fspath(path), "reason": why} for path, why in self.skipped],
        }


def targets(found: Found, plan: TrimPlan, *, local: bool = True) -> list[Place | None]:
    """Where each result goes. Not ``local``: the captures lie on other machines.

    Raises UsageError for what would destroy or confuse."""
    if plan.in_place:
        for capture in found.captures:
            if not capture.regular:
                raise UsageError(
                    f"{safe(capture.path)} is a pipe: --in-place works on files only, use --output"
                )
            refuse_replacing(capture.path)
        return [capture.path.resolve() if local else capture.path for capture in found.captures]
    if plan.output is None:
        return [None] * len(found.captures)
    if plan.output == STANDARD:
        if len(found.captures) != 1:
            raise UsageError(
                f"standard output takes one capture, {len(found.captures)} are given: use --output DIR"
            )
        return [STANDARD]
    folder = plan.output.resolve()
    if isinstance(folder, Url):
        from ..places.writing import refuse_read_only

        refuse_read_only(folder / "capture")
    for root in found.roots:
        if folder == root.resolve() or root.resolve() in folder.parents:
            raise UsageError(
                f"the output folder {safe(plan.output)} is inside the input {safe(root)}: "
                "the next run would read its own results; choose a folder outside, or --in-place"
            )
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"--output {safe(plan.output)} is a file; it must be a folder (use - for standard output)"
        )
    if not folder.exists() and _CAPTURE_NAME.search(folder.name):
        raise UsageError(
            f"--output {safe(plan.output)} is to be a folder and is named like a capture: name a folder, "
            "such as --output trimmed/, or write to standard output with --output - > FILE"
        )
    taken: dict[Place, Place] = {}
    inputs = {state(c.path)[0]: c.path for c in found.captures if c.regular and local}
    for capture in found.captures:
        target = folder / capture.relative
        if target in taken:
            raise UsageError(
                f"{safe(capture.path)} and {safe(taken[target])} would both become {safe(target)}: "
                "trim them separately"
            )
        taken[target] = capture.path
        if not local:
            continue
        if capture.regular and same_file(target, capture.path):
            raise UsageError(
                f"{safe(capture.path)} would be written over itself: choose another folder, or --in-place"
            )
        own = inputs.get(state(target)[0]) if target.exists() else None
        if own is not None:
            raise UsageError(
                f"the result of {safe(capture.path)} would take the place of {safe(own)}, which is "
                "to be read, too: choose another folder"
            )
    return list(taken)


def refuse_replacing(path: Place) -> None:
    """Raise UsageError where a file cannot be put in the place of another in one step."""
    if isinstance(path, Url):
        from ..places.writing import replaces

        if not replaces(path):
            raise UsageError(
                f"{safe(path)}: {path.scheme}:// does not replace a file in one step, so that a crash could "
                "lose it: write the result elsewhere with --output DIR"
            )


class _Run:
    """One call of :func:`trim`."""

    def __init__(
        self, policy: CutPolicy, plan: TrimPlan, options: ReadOptions, carry: _native.Summary | None = None
    ) -> None:
        self.policy, self.plan, self.options = policy, plan, options
        self.only = False
        self.beside: Callable[[Capture], Place | None] = lambda capture: capture.ledger
        self.ready: Callable[[FileResult], None] = lambda result: None
        self.ledgers = (plan.ledger or plan.in_place) and not plan.dry_run
        self.trimmer = _native.Trimmer(
            policy.cutoff,
            count=policy.count,
            per_direction=policy.per_direction,
            control=policy.control,
            rest=policy.rest.partition(":")[0],  # type: ignore[arg-type]
            sample=policy.sample,
            tail=policy.tail,
            compat=policy.compat,
            ledger=self.ledgers,
            carry=carry,
            **policy.native(),
            **options.native(),
        )

    def attempt(
        self, capture: Capture, target: Place | None, last: bool, several: bool, progress: Progress | None
    ) -> FileResult:
        """Trim a capture; of ``several`` one may be left alone."""
        try:
            return self.file(capture, target, last, progress)
        except (FlowkeepError, OSError) as error:
            if not several or isinstance(error, BrokenPipeError):
                raise
            return left_alone(capture, error)

    def file(
        self, capture: Capture, target: Place | None, last: bool, progress: Progress | None
    ) -> FileResult:
        """Trim one capture."""
        if target is None or target == STANDARD or self.plan.dry_run:
            done = self._native(capture, None if self.plan.dry_run else target, None, last, progress)
            return FileResult(
                capture.path, target if not self.plan.dry_run else None, None, done, damage(done)
            )
        if self.plan.in_place and being_written(capture.path):
            raise BusyError(f"{safe(capture.path)}: another process is writing it; it was left alone")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{safe(target.parent)}: the folder cannot be made: {error.strerror}"
            ) from error
        before = state(capture.path) if capture.regular else None
        with ExitStack() as stack:
            part = stack.enter_context(begin(target))
            ledger = stack.enter_context(begin(ledger_path(target))) if self.ledgers else None
            done = self._native(capture, part.part, None if ledger is None else ledger.part, last, progress)
            if self.only:
                check_filter([done])
            problem = damage(done)
            if self.plan.in_place and problem and not self.plan.salvage:
                raise DamagedError(
                    f"{problem}; the file was left untouched (--salvage replaces it by what is whole)"
                )
            part.sync(capture.path if capture.regular else None)
            if ledger is not None:
                ledger.sync()
            if before is not None and (
                state(capture.path) != before or (self.plan.in_place and being_written(capture.path))
            ):
                raise BusyError(
                    f"{safe(capture.path)}: another process wrote it meanwhile; it was left alone"
                )
            result = FileResult(capture.path, target, None if ledger is None else ledger.path, done, problem)
            self.ready(result)
            if ledger is not None:
                ledger.commit()
            part.commit()
        return result

    def _policy(self) -> str:
        """The policy for the ledger, with the filter: packets that do not match are in no row of it."""
        policy = self.policy.as_json()
        if self.options.filter is None:
            return policy
        return json.dumps(json.loads(policy) | {"filter": self.options.filter})

    def _native(
        self, capture: Capture, out: Place | None, ledger: Place | None, last: bool, progress: Progress | None
    ) -> _native.FileTrim:
        beside = self.beside(capture)
        return self.trimmer.file(
            os.fspath(capture.path),
            None if out is None else os.fspath(out),
            ledger_in=None if beside is None else os.fspath(beside),
            ledger_out=None if ledger is None else os.fspath(ledger),
            compression=self.plan.compression,
            digest=self.ledgers,
            last=last,
            policy=self._policy(),
            progress=progress,
        )


def left_alone(capture: Capture, error: Exception) -> FileResult:
    """A capture that stays as it is, and why. Raises the error when it is one of the whole work."""
    if isinstance(error, BusyError | DamagedError | NotACaptureError):
        return FileResult(capture.path, None, None, None, str(error))
    if isinstance(error, FlowkeepError) or not isinstance(error, OSError):
        raise error
    return FileResult(capture.path, None, None, None, f"{safe(capture.path)}: {error.strerror}")


def trim_behind(
    capture: Capture,
    target: Place | None,
    policy: CutPolicy,
    plan: TrimPlan,
    options: ReadOptions,
    carry: _native.Summary,
    *,
    last: bool,
    several: bool,
    beside: Place | None,
    ready: Callable[[FileResult], None],
) -> FileResult:
    """Trim one capture of a data set whose earlier captures have come to ``carry``, as :func:`trim` does.

    ``beside`` is its ledger. ``ready`` is told the result before it becomes visible. Raises
    also what :func:`trim` leaves a capture alone for.
    """
    run = _Run(policy, plan, options, carry)
    run.only = not several
    run.beside, run.ready = lambda _: beside, ready
    return run.file(capture, target, last, None)


def in_order(behind: Sequence[Place]) -> list[Place]:
    """The ledgers of captures that came before, in time order. Raises UsageError, LedgerError."""
    known: list[tuple[int, Place]] = []
    for path in behind:
        ledger = path if path.name.endswith(LEDGER) else ledger_path(path)
        if not ledger.is_file():
            raise UsageError(
                f"{safe(path)} has no ledger beside it: trim it first, or trim it in the same call"
            )
        [(about, why)] = _native.ledger_metadata([os.fspath(ledger)])
        if about is None:
            raise LedgerError(f"{safe(ledger)}: the ledger is broken: {why}")
        # A capture without packets carries nothing on.
        known.append((int(about.get("first_ts") or 0), ledger))
    return [ledger for _, ledger in sorted(known, key=lambda each: (each[0], os.fspath(each[1])))]


def trim(
    found: Found,
    policy: CutPolicy,
    plan: TrimPlan,
    options: ReadOptions | None = None,
    *,
    behind: Sequence[Place] = (),
    progress: Progress | None = None,
) -> TrimReport:
    """Trim a data set.

    ``behind``: captures that came before, or their ledgers; of these only the ledgers are read, and flows
    go on from what they say.

    A file that is damaged (in place), being written, or cannot be read is left alone and named in the
    report. Raises UsageError before anything is written, OutputError when a result cannot be
    written: no original is touched then.
    """
    if policy.compat:
        # TrimPCAP reads its files in the order of the command line.
        found = replace(found, captures=sorted(found.captures, key=lambda c: c.number))
    options = options or ReadOptions()
    if options.filter is not None and plan.in_place:
        raise UsageError(IN_PLACE_FILTER)
    into = targets(found, plan)
    run = _Run(policy, plan, options)
    passes = 2 if policy.tail or policy.identifies else 1
    ledgers = in_order(behind)
    if ledgers and policy.tail:
        raise UsageError("--tail reads everything twice: it does not go with --behind")
    meter = Meter(found.bytes * passes if found.bytes >= 0 else -1, progress)
    if passes == 2:
        for ledger in ledgers:
            run.trimmer.carry(os.fspath(ledger), measuring=True)
        for capture in found.captures:
            if not capture.regular:
                why = "--tail reads" if policy.tail else "depths by service read"
                raise UsageError(f"{safe(capture.path)} is a pipe: {why} everything twice")
            beside = capture.ledger
            run.trimmer.measure(
                os.fspath(capture.path),
                ledger_in=None if beside is None else os.fspath(beside),
                progress=meter.file(capture.size),
            )
    report = TrimReport(policy, skipped=list(found.skipped), dry_run=plan.dry_run, filter=options.filter)
    for ledger in ledgers:
        run.trimmer.carry(os.fspath(ledger))
    several = len(found.captures) > 1
    run.only = not several
    for i, (capture, target) in enumerate(zip(found.captures, into, strict=True)):
        last = i + 1 == len(found.captures)
        report.files.append(run.attempt(capture, target, last, several, meter.file(capture.size)))
    check_filter(f.trim for f in report.files if f.trim is not None)
    return report
