"""``flowkeep retain forecast``: what ladders of cutoffs would leave, before anything is deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import units
from ..errors import NotACaptureError, UsageError
from ..paths import find
from ..retain.archive import survey
from ..retain.forecast import (
    Forecast,
    ForecastReport,
    Left,
    Sample,
    half,
    ladder_name,
    parse_ladder,
    reach,
    sample,
)
from ..retain.model import DataSet, FileState, Tier
from ..retain.sizes import CUTOFFS as CURVE
from ..text import safe
from .retain_plan import chosen, load, look, room_for

Progress = Callable[[int, int], None]
CUTOFFS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
CLASSIC = "1MB:3d 100kB:6d 10kB:30d"
"""The ladder that is tried when none is given."""


def forecast_archive(
    paths: Sequence[str],
    names: Sequence[str] = (),
    *,
    cutoffs: Sequence[int] = (),
    ladders: Sequence[str] = (),
    disk: int | None = None,
    inflow: int | None = None,
    now: int | None = None,
    progress: Progress | None = None,
) -> ForecastReport:
    """Foretell from the data sets of a policy, or from captures that stand for what is to come.

    ``disk`` is the room in bytes: without it that of the policy's budget, else all of the file system.
    ``inflow`` is bytes a day. Raises UsageError, NotACaptureError, OSError.
    """
    now = time.time_ns() if now is None else now
    tried = [(ladder_name(tiers), tiers) for tiers in map(parse_ladder, ladders)]
    made, warnings, notes = [], [], []
    for dataset, files, odd in _sets(paths, names, now, progress):
        warnings += odd
        of = sample(files, inflow)
        if of is None:
            warnings.append(f"{dataset.name}: nothing can be foretold: there is no capture that can be read")
            continue
        if of.span_ns < units.DAY:
            notes.append(
                f"{dataset.name}: the captures last {units.duration(of.span_ns)}, less than a day: a day "
                "may be another"
            )
        room = disk or _disk(dataset, files)
        made.append(_forecast(dataset, files, of, room, cutoffs, tried, now))
    if not made:
        raise NotACaptureError("; ".join(warnings) or "nothing can be foretold: there are no captures")
    return ForecastReport(now, tuple(made), tuple(warnings), tuple(notes))


def _sets(
    paths: Sequence[str], names: Sequence[str], now: int, progress: Progress | None
) -> list[tuple[DataSet, list[FileState], list[str]]]:
    if any(path.endswith(".toml") for path in paths):
        if len(paths) > 1:
            raise UsageError("a forecast is made from one policy, or from captures")
        policy = load(paths[0])
        found = []
        for dataset in chosen(policy, names):
            looked = look(policy, dataset, now=now, progress=progress)
            problems = [f"{f.path}: left out: {f.problem}" for f in looked.files if f.problem is not None]
            found.append((dataset, looked.files, looked.warnings + problems))
        return found
    if names:
        raise UsageError("--dataset goes with a policy")
    listed = find(paths)
    local = [c.path for c in listed.captures if c.regular and isinstance(c.path, Path)]
    captures = tuple(os.fspath(path.absolute()) for path in local)
    if len(captures) < len(listed.captures):
        raise UsageError("a forecast needs files of this machine: a pipe cannot be looked at twice")
    dataset = DataSet(_place(paths), tuple(map(_literal, captures)), settle=0)
    looked = survey(dataset, now=now, progress=progress)
    problems = [f"{f.path}: left out: {f.problem}" for f in looked.files if f.problem is not None]
    return [(dataset, looked.files, looked.warnings + problems)]


def _place(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _literal(path: str) -> str:
    """A glob that names just this file."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def _disk(dataset: DataSet, files: Sequence[FileState]) -> int:
    there = sum(file.size + file.ledger_size for file in files)
    budget = dataset.budget
    if budget is not None and budget.disk is not None:
        return budget.disk
    room = room_for(dataset)
    if budget is not None and room is not None:
        wanted = budget.free if budget.free is not None else int((budget.free_share or 0) * room.total)
        return max(there + room.free - wanted, 1)
    info = os.statvfs(os.path.dirname(files[0].path))
    return info.f_blocks * info.f_frsize


def _forecast(
    dataset: DataSet,
    files: Sequence[FileState],
    of: Sample,
    disk: int,
    cutoffs: Sequence[int],
    tried: Sequence[tuple[str, Sequence[Tier]]],
    now: int,
) -> Forecast:
    wanted = list(tried)
    own = [tier for tier in dataset.tiers if tier.after is not None]
    if own:
        wanted.insert(0, (f"policy: {ladder_name(own)}", own))
    if not wanted:
        wanted.append((CLASSIC, parse_ladder(CLASSIC)))
        for cutoff in (1_000_000, 100_000, 10_000):
            wanted.append((f"half whole, half {units.cutoff(cutoff)}", half(cutoff, of, disk)))
    ladders = [reach("whole", (), of, disk)]
    ladders += [reach(name, tiers, of, disk, dataset.depths) for name, tiers in wanted]
    left = tuple(of.left(c, "cut", dataset.depths) for c in (cutoffs or CUTOFFS))
    curve = tuple(of.left(c, "cut", dataset.depths) for c in CURVE)
    return Forecast(dataset.name, disk, of, left, curve, tuple(ladders), _ages(files, now))


def _ages(files: Sequence[FileState], now: int) -> tuple[tuple[int, int, int], ...]:
    days: dict[int, list[int]] = {}
    for file in files:
        if file.sizes is None or file.last_ts is None:
            continue
        there = file.size + file.ledger_size
        share = file.sizes.original_held / file.sizes.held if file.sizes.held else 1.0
        own = days.setdefault(max(now - file.last_ts, 0) // units.DAY, [0, 0])
        own[0] += there
        own[1] += max(int(file.size * share), file.size)
    return tuple((day, there, before) for day, (there, before) in sorted(days.items()))


def as_dict(report: ForecastReport) -> dict[str, Any]:
    """A forecast as JSON has it."""
    sets = []
    for one in report.forecasts:
        of = one.sample
        whole = of.left(None)
        sets.append(
            {
                "dataset": one.name,
                "disk": one.disk,
                "inflow": of.inflow,
                "sample": {
                    "files": len(of.files),
                    "span_ns": of.span_ns,
                    "bytes": of.bytes,
                    "flows": of.flows,
                },
                "cutoffs": [_left_dict(left, whole) for left in one.cutoffs],
                "curve": [_left_dict(left, whole) for left in one.curve],
                "ladders": [asdict(ladder) for ladder in one.ladders],
                "ages": [{"day": d, "bytes": there, "bytes_before": b} for d, there, b in one.ages],
            }
        )
    return {
        "now": report.now,
        "datasets": sets,
        "warnings": list(report.warnings),
        "notes": list(report.notes),
    }


def _left_dict(left: Left, whole: Left) -> dict[str, Any]:
    return {
        "cutoff": left.cutoff,
        "bytes": left.bytes,
        "residue": left.bytes / whole.bytes if whole.bytes else 0.0,
        "flows_whole": left.flows_whole,
        "flows_whole_share": left.flows_whole / whole.flows_whole if whole.flows_whole else 1.0,
    }


def write_html(report: ForecastReport, output: str, *, force: bool = False) -> None:
    """Write the report as one page. Raises UsageError when there is a file and not ``force``, OutputError."""
    from ..retain.report_html import page
    from .export import check_target, put

    if output != "-":
        check_target(output, ())
        if Path(output).exists() and not force:
            raise UsageError(f"{safe(output)} is there already: --force replaces it")
    text = page(report)
    put(output, lambda out: out.write(text.encode()))
