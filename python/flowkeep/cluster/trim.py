"""``flowkeep trim`` on many machines."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cut import CutPolicy
from ..errors import UsageError
from ..flow import ReadOptions
from ..ops import trim as ops
from ..ops.meter import Progress
from ..ops.reading import check_filter
from ..ops.trim import FileResult, TrimPlan, TrimReport
from ..paths import STANDARD
from ..places import Place, place
from .connect import is_local
from .fold import Piece, fold, joined
from .places import Where
from .run import Steps, Task, run
from .spool import Spool, digest, opened, work

if TYPE_CHECKING:
    from distributed import Client


def _cut(
    piece: Piece, target: Path | None, policy: CutPolicy, plan: TrimPlan, options: ReadOptions,
    spool: Spool, carry: tuple[str, ...], last: bool, several: bool,
) -> FileResult:  # fmt: skip
    """On a worker: trim a capture."""
    behind = joined(spool, carry)
    note = f"{carry[0]}.{digest(policy.as_dict(), plan)}.done"
    if plan.in_place and not plan.dry_run and spool.has(note):
        # Whoever did it may have been lost before it could say so.
        done = _told(spool.get_json(note))
        if done.trim is not None and _sha256(piece.capture.path) == done.trim["digest_out"]:
            return done

    def ready(result: FileResult) -> None:
        if plan.in_place:
            spool.put_json(note, asdict(result))

    return ops.trim_behind(
        piece.capture,
        target,
        policy,
        plan,
        options,
        behind,
        last=last,
        several=several,
        ready=ready,
        beside=spool.path(piece.ledger) if spool.has(piece.ledger) else None,
    )


def _told(note: dict[str, Any]) -> FileResult:
    output, ledger = (note[name] and place(note[name]) for name in ("output", "ledger"))
    return FileResult(place(note["path"]), output, ledger, note["trim"], note["problem"])


def _sha256(path: Place) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def trim(
    client: Client,
    where: Where,
    policy: CutPolicy,
    plan: TrimPlan,
    options: ReadOptions | None = None,
    *,
    spool: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> TrimReport:
    """Trim a data set, as :func:`flowkeep.ops.trim.trim` does: each file by a worker that has it.

    Raises what that raises, and ClusterError.
    """
    options = options or ReadOptions()
    if policy.tail or policy.identifies or policy.compat:
        what = "--tail" if policy.tail else "--compat" if policy.compat else "a depth by service"
        raise UsageError(f"{what} looks at all packets of a flow at once: leave --cluster away for that")
    if options.filter is not None and plan.in_place:
        raise UsageError(ops.IN_PLACE_FILTER)
    if plan.output == STANDARD:
        raise UsageError("a cluster writes files: name a folder with --output DIR")
    found = where.found
    targets = ops.targets(found, plan, local=not any(where.workers))
    several = len(found.captures) > 1
    options = replace(options, jobs=options.jobs or 1)
    report = TrimReport(policy, skipped=list(found.skipped), dry_run=plan.dry_run, filter=options.filter)
    steps = Steps(2 * found.bytes, progress)
    with opened(
        spool, work("trim", where.found, policy.as_dict(), plan, options), local=is_local(client)
    ) as folder:
        folded = fold(client, where, options, folder, steps, cutting=True)
        for problem in folded.problems:
            if problem is not None and not several:
                raise problem
        read = [piece for piece in folded.pieces if folded.scans[piece.number] is not None]
        tasks = [
            Task(
                f"cut-{piece.number}", _cut,
                (piece, targets[piece.number], policy, plan, options, folder, folded.carry(piece.number),
                 piece.number + 1 == len(folded.pieces), several),
                piece.capture.size, where.workers[piece.number],
            )
            for piece in read
        ]  # fmt: skip
        results: dict[int, FileResult] = {}
        for done in run(client, tasks, steps):
            if done.error is not None and not several:
                raise done.task.args[0].named(done.error)
            piece = done.task.args[0]
            left = done.error and ops.left_alone(where.found.captures[piece.number], piece.named(done.error))
            results[piece.number] = left or piece.named(done.value)
    for piece in folded.pieces:
        problem = folded.problems[piece.number]
        report.files.append(
            results[piece.number]
            if problem is None
            else ops.left_alone(where.found.captures[piece.number], problem)
        )
    check_filter(f.trim for f in report.files if f.trim is not None)
    return report
