"""``flowkeep trim`` on many machines."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..cut import CutPolicy
from ..errors import UsageError
from ..flow import ReadOptions
from ..ops import trim as ops
from ..ops.meter import Progress
from ..ops.reading import check_filter
from ..ops.trim import FileResult, TrimPlan, TrimReport
from ..paths import STANDARD
from .connect import is_local
from .fold import Piece, fold, joined
from .places import Where
from .run import Steps, Task, run
from .spool import Spool, opened

if TYPE_CHECKING:
    from distributed import Client


def _cut(
    piece: Piece, target: Path | None, policy: CutPolicy, plan: TrimPlan, options: ReadOptions,
    spool: Spool, carry: tuple[str, ...], last: bool, several: bool,
) -> FileResult:  # fmt: skip
    """On a worker: trim a capture."""
    behind = joined(spool, carry)
    return ops.trim_behind(piece.capture, target, policy, plan, options, behind, last=last, several=several)


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
    with opened(spool, local=is_local(client)) as folder:
        folded = fold(client, where, options, folder, steps, cutting=True)
        for problem in folded.problems:
            if problem is not None and not several:
                raise problem
        read = [piece for piece in folded.pieces if folded.scans[piece.number] is not None]
        tasks = [
            Task(
                f"cut-{piece.number}", _cut,
                (piece, targets[piece.number], policy, plan, options, folder, folded.carry(piece.number),
                 piece is read[-1], several),
                piece.capture.size, where.workers[piece.number],
            )
            for piece in read
        ]  # fmt: skip
        results: dict[int, FileResult] = {}
        for done in run(client, tasks, steps):
            if done.error is not None and not several:
                raise done.error
            piece = done.task.args[0]
            results[piece.number] = ops.left_alone(piece.capture, done.error) if done.error else done.value
    for piece in folded.pieces:
        problem = folded.problems[piece.number]
        report.files.append(
            results[piece.number] if problem is None else ops.left_alone(piece.capture, problem)
        )
    check_filter(f.trim for f in report.files if f.trim is not None)
    return report
