"""What was done about an archive, and what was found when it was checked, for people and as JSON."""

from __future__ import annotations

import os
from typing import Any

from .. import units
from ..ops.retain_apply import ApplyReport
from ..retain.apply import Applied, Outcome, described
from ..retain.verify import VerifyReport
from ..text import safe
from . import grid
from .render import _console, _text

_LAYOUT = grid.Layout(
    right=("before", "after"), going=("before",),
    short={"file": grid.TEXT, "why": grid.Short(grid.middle, 60, 20)},
)  # fmt: skip


def _row(outcome: Outcome, base: str) -> list[str]:
    file, done = outcome.decision.file, outcome.done
    after = units.size(done.bytes_after) if done is not None else "-"
    return [
        safe(os.path.relpath(file.path, base)), outcome.decision.action.name, outcome.state,
        units.size(outcome.decision.bytes_before), after, safe(outcome.why),
    ]  # fmt: skip


def _applied(done: Applied, *, color: bool, width: int) -> str:
    out = _console(color, width)
    shown = [o for o in done.outcomes if o.state != "kept" or o.why]
    base = os.path.commonpath([os.path.dirname(o.decision.file.path) for o in shown]) if shown else ""
    out.print(f"{done.plan.dataset}: {units.count(len(done.plan.decisions), 'file')}", markup=False)
    if shown:
        out.print(f"in {safe(base)}", markup=False)
        rows = [_row(outcome, base) for outcome in shown]
        note = grid.show(out, ("file", "action", "outcome", "before", "after", "why"), rows, _LAYOUT)
        if note:
            out.print(note, markup=False)
    said = ", ".join(f"{n:,} {s}" for s in ("done", "left", "failed", "kept") if (n := done.count(s)))
    end = "; stopped before the end" if done.stopped else ""
    out.print(f"{said or 'nothing to do'}; {units.size(done.freed)} won{end}", markup=False)
    return _text(out)


def applied_text(report: ApplyReport, *, color: bool, width: int) -> str:
    """What was done, as tables."""
    return "\n".join(_applied(done, color=color, width=width) for done in report.applied)


def applied_dict(report: ApplyReport) -> dict[str, Any]:
    """What was done, as JSON has it."""
    return {
        "recovered": report.recovered,
        "warnings": report.warnings,
        "datasets": [
            {
                "dataset": done.plan.dataset,
                "policy": done.plan.policy_digest,
                "now": done.plan.now,
                "freed": done.freed,
                "stopped": done.stopped,
                "warnings": [*done.plan.warnings, *done.warnings],
                "files": [
                    {
                        "path": o.decision.file.path,
                        "action": described(o.decision.action),
                        "outcome": o.state,
                        "why": o.why,
                        "bytes_before": o.decision.bytes_before,
                        "bytes_after": None if o.done is None else o.done.bytes_after,
                        "digest_before": None if o.done is None else o.done.digest_before,
                        "digest_after": None if o.done is None else o.done.digest_after,
                    }
                    for o in done.outcomes
                ],
            }
            for done in report.applied
        ],
    }


def verified_text(report: VerifyReport) -> str:
    """What was found, in words: every file that is not as the journal says."""
    lines = [
        f"{safe(f.path)}: {f.state}: {safe(f.why)} (record {f.record})"
        for f in report.files
        if f.state not in ("fits", "gone")
    ]
    chain = "whole" if report.broken is None else "BROKEN"
    lines.append(f"{safe(report.journal)}: {units.count(report.records, 'record')}, chain {chain}")
    counts = {state: report.count(state) for state in ("fits", "gone", "changed", "missing", "open")}
    lines.append(", ".join(f"{n:,} {state}" for state, n in counts.items() if n) or "no files")
    lines.append(f"last record {report.last}")
    return "\n".join(lines) + "\n"


def verified_dict(report: VerifyReport) -> dict[str, Any]:
    """What was found, as JSON has it."""
    return {
        "journal": str(report.journal),
        "records": report.records,
        "last": report.last,
        "broken": report.broken,
        "clean": report.clean,
        "files": [{"path": f.path, "state": f.state, "why": f.why, "record": f.record} for f in report.files],
    }
