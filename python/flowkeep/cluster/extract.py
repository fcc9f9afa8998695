"""``flowkeep extract`` on many machines."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _native
from ..errors import UsageError
from ..flow import DETAILS, IDENTIFIED, ReadOptions
from ..ops import extract as ops
from ..ops.export import check_target
from ..ops.extract import ExtractPlan, ExtractReport
from ..ops.meter import Progress
from ..ops.reading import check_filter
from ..select.query import FlowQuery
from .connect import is_local
from .flows import listed
from .fold import Piece, joined
from .places import Where
from .run import Steps, Task, run
from .spool import Spool, digest, opened, work

if TYPE_CHECKING:
    from distributed import Client

_WORD = 8


def _take(
    piece: Piece, native: dict[str, Any], spool: Spool, carry: tuple[str, ...], wanted: str, form: str, out:
    str,
    last: bool,
) -> tuple[_native.FileScan, int, int]:  # fmt: skip
    """On a worker: the packets of the wanted flows of a capture, in a file of the spool."""
    behind = joined(spool, carry)
    whole = behind.copy()
    whole.merge(joined(spool, tuple(piece.part(n) for n in range(piece.parts))))
    if last:
        whole.end()
    begins, names = whole.begins(), spool.path(wanted).read_bytes()
    chosen = {names[at : at + _WORD] for at in range(0, len(names), _WORD)}
    ids = [n for n in range(len(begins) // _WORD) if begins[_WORD * n : _WORD * (n + 1)] in chosen]
    ledger = piece.capture.ledger
    found: list[Any] = []

    def write(part: str) -> None:
        extractor = _native.Extractor(whole.flows(), ids, part, carry=behind, **native)
        beside = None if ledger is None else os.fspath(ledger)
        scan = extractor.file(os.fspath(piece.capture.path), form=form, ledger=beside, last=last)  # type: ignore[arg-type]
        packets, size, _ = extractor.finish()
        found.append((scan, packets, size))

    spool.put(out, write)
    return found[0]  # type: ignore[no-any-return]


def extract(
    client: Client,
    where: Where,
    query: FlowQuery,
    plan: ExtractPlan,
    options: ReadOptions | None = None,
    *,
    spool: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Take flows out of captures, as :func:`flowkeep.ops.extract.extract` does.

    Raises what that raises, and ClusterError.
    """
    options = replace(options or ReadOptions(), index=False)
    if plan.split or plan.compression != "none":
        raise UsageError(
            "a cluster writes one capture, not compressed: leave --split and --compress away, or --cluster"
        )
    if query.mentions(DETAILS + IDENTIFIED):
        raise UsageError(
            "the condition asks for details or services, which only a pass over all packets of a flow "
            "knows: leave --cluster away"
        )
    found = where.found
    check_target(plan.output, found.captures, capture=True, force=plan.force)
    forms, empty = ops.choose_forms(found.captures, plan.form)
    steps = Steps(2 * found.bytes, progress)
    with opened(spool, work("extract", where.found, options), local=is_local(client)) as folder:
        folded = listed(client, where, options, folder, steps)
        flows = folded.flows()
        choice = query.choose(flows)
        begins = folded.whole().begins()
        wanted = b"".join(begins[_WORD * n : _WORD * (n + 1)] for n in choice.ids)
        name = f"{digest(folded.name, wanted.hex())}.flows"
        folder.put(name, lambda part: _save(part, wanted))
        report = ExtractReport(
            plan.output, len(choice.ids), len(flows), skipped=list(found.skipped), unmatched=choice.unmatched
        )
        tasks = [
            Task(
                f"take-{piece.number}", _take,
                (piece, folded.native, folder, folded.carry(piece.number), name, forms[piece.number],
                 f"{name}.{piece.number}.{forms[piece.number]}", piece is folded.pieces[-1]),
                piece.capture.size, where.workers[piece.number],
            )
            for piece in folded.pieces
        ]  # fmt: skip
        parts: dict[int, tuple[_native.FileScan, int, int]] = {}
        for done in run(client, tasks, steps):
            if done.error is not None:
                raise done.error
            parts[done.task.args[0].number] = done.value
        for k in range(len(folded.pieces)):
            scan, packets, size = parts[k]
            report.scans.append(scan)
            report.packets += packets
            report.bytes += size
        check_filter(report.scans)
        with ops.made(plan.output) as target:
            link, nanoseconds = empty or (None, False)
            nothing = _native.Extractor(flows.native, [], os.fspath(target), **folded.native)
            nothing.finish(empty_link=link, nanoseconds=nanoseconds)
            joined_files = [folder.path(task.args[6]) for task in tasks]
            report.out_bytes = _join(
                joined_files, target, header=0 if empty is None else target.stat().st_size
            )
    return report


def _save(part: str, data: bytes) -> None:
    with open(part, "wb") as out:
        out.write(data)


def _join(parts: list[Path], target: Path, header: int) -> int:
    """Append captures to what stands at ``target``, each without its header of so many bytes; gives the size
    then."""
    with open(target, "ab" if header else "wb") as out:
        for path in parts:
            with open(path, "rb") as part:
                part.seek(header)
                shutil.copyfileobj(part, out, 1 << 22)
        return out.tell()
