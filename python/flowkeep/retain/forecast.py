"""What ladders of cutoffs will leave: days of history, bytes by age, flows kept whole.

A forecast takes traffic to go on as the files that are there: so many bytes a day, with flows of such sizes.
A ladder then fills the disk from the newest day on: whole days first, then days at each cutoff, until there
is no more room.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..units import DAY, parse_seconds, parse_size
from ..units import cutoff as cutoff_text
from . import sizes as curves
from .model import Depth, FileState, Tier
from .plan import age_text, effective
from .policy import looseness

SHORTEST = 1_000_000_000
"""A sample that is shorter is taken to have lasted a second."""


@dataclass(frozen=True)
class Left:
    """What a cutoff leaves of the sample."""

    cutoff: int | None
    rest: str
    bytes: int
    """On disk, ledgers included."""
    flows_whole: int


@dataclass(frozen=True)
class Sample:
    """Traffic that stands for what is to come."""

    files: tuple[FileState, ...]
    span_ns: int
    bytes: int
    """On disk, before anything was trimmed."""
    flows: int
    inflow: int
    """Bytes a day."""

    def left(self, cutoff: int | None, rest: str = "cut", depths: Sequence[Depth] = ()) -> Left:
        """What a cutoff would leave of it."""
        if cutoff is None:
            return Left(None, "cut", self.bytes, self.flows)
        total = whole = 0
        for file in self.files:
            assert file.sizes is not None
            after = curves.after_cut(file, cutoff, rest, depths)
            nothing = after >= file.size and file.ledger is None
            total += file.size if nothing else after + curves.ledger(file)
            whole += curves.left(file.sizes, cutoff, depths)[2]
        return Left(cutoff, rest, total, whole)


@dataclass(frozen=True)
class Step:
    """A stretch of the history that a ladder reaches."""

    cutoff: int | None
    """None: whole."""
    rest: str
    begins: int
    """Age at which it begins,"""
    ends: int
    """and ends."""
    bytes: int
    residue: float
    """Share of the bytes that is left in it."""
    flows_whole: float
    """Share of the flows that is whole."""


@dataclass(frozen=True)
class Reach:
    """How far back a ladder reaches."""

    name: str
    steps: tuple[Step, ...]
    days: float
    bytes: int
    complete: bool
    """The disk had room for every tier of it."""


def sample(files: Sequence[FileState], inflow: int | None = None) -> Sample | None:
    """The files by which is foretold: those that were never cut, if there are any. None: nothing is known."""
    known = [f for f in files if f.sizes is not None and f.size and f.problem is None]
    whole = [f for f in known if f.stage.kind == "whole"]
    used = whole or known
    times = [t for f in used for t in (f.first_ts, f.last_ts) if t is not None]
    if not used or not times:
        return None
    span = max(max(times) - min(times), SHORTEST)
    total = sum(_original(f) for f in used)
    flows = sum(f.sizes.flows for f in used if f.sizes is not None)
    return Sample(tuple(used), span, total, flows, inflow or -(-total * DAY // span))


def _original(file: FileState) -> int:
    """Bytes on disk before the file was ever trimmed."""
    sizes = file.sizes
    assert sizes is not None
    if file.stage.kind == "whole" or not sizes.held:
        return file.size
    return max(file.size * sizes.original_held // sizes.held, file.size)


def parse_ladder(text: str) -> tuple[Tier, ...]:
    """Tiers from a text such as ``1MB:3d 100kB:6d 10kB:30d delete:90d``. Raises UsageError."""
    tiers: list[Tier] = []
    for part in text.replace(",", " ").split():
        what, _, after = part.rpartition(":")
        rest = "cut"
        if found := re.fullmatch(r"(.+?)\+(headers|sample:\d+)", what):
            what, rest = found[1], found[2]
        if not what:
            raise UsageError(f"{part!r} is no tier: write CUTOFF:AGE such as 100kB:6d, or delete:90d")
        age = parse_seconds(after)
        tier = Tier(age, kind="delete") if what == "delete" else Tier(age, parse_size(what), rest)
        if tiers and (tiers[-1].kind == "delete" or age <= (tiers[-1].after or 0)):
            raise UsageError(f"{text!r}: tiers stand in order of age, and nothing comes after delete")
        if tiers and tier.cutoff is not None:
            before = tiers[-1]
            if (tier.cutoff, looseness(rest)) >= (before.cutoff or 0, looseness(before.rest)):
                raise UsageError(f"{text!r}: {part} keeps no less than the tier before it")
        tiers.append(tier)
    if not tiers:
        raise UsageError("a ladder has at least one tier: write CUTOFF:AGE such as 100kB:6d")
    return tuple(tiers)


def ladder_name(tiers: Sequence[Tier]) -> str:
    """A ladder as it is written."""
    parts = []
    for tier in tiers:
        what = (
            tier.kind
            if tier.kind != "cut"
            else cutoff_text(tier.cutoff)
            if tier.cutoff is not None
            else "whole"
        )
        rest = "" if tier.rest == "cut" else f"+{tier.rest}"
        parts.append(f"{what}{rest}:{age_text(tier.after or 0)}".replace(" ", ""))
    return " ".join(parts) or "whole"


def reach(name: str, tiers: Sequence[Tier], of: Sample, disk: int, depths: Sequence[Depth] = ()) -> Reach:
    """How far back a ladder reaches on a disk. Tiers without an age do not count."""
    ladder = effective([t for t in tiers if t.after is not None])
    bounds: list[tuple[int, Tier | None]] = [(0, None), *((t.after or 0, t) for t in ladder)]
    steps: list[Step] = []
    room, complete = disk, True
    for i, (begins, tier) in enumerate(bounds):
        if tier is not None and tier.kind == "delete":
            break
        left = _left(tier, of, depths)
        ends = bounds[i + 1][0] if i + 1 < len(bounds) else None
        residue = left.bytes / of.bytes if of.bytes else 0.0
        a_day = of.inflow * residue
        if a_day <= 0:
            days = None if ends is None else ends - begins
        else:
            most = int(room * DAY / a_day)
            days = most if ends is None else min(ends - begins, most)
            complete = ends is None or most >= ends - begins
        until = begins + (days if days is not None else 0)
        used = min(int(a_day * (until - begins) / DAY), room)
        room -= used
        cutoff = None if tier is None else tier.cutoff
        whole = left.flows_whole / of.flows if of.flows else 1.0
        if until > begins:
            steps.append(
                Step(cutoff, "cut" if tier is None else tier.rest, begins, until, used, residue, whole)
            )
        if not complete:
            break
    return Reach(name, tuple(steps), (steps[-1].ends if steps else 0) / DAY, disk - room, complete)


def _left(tier: Tier | None, of: Sample, depths: Sequence[Depth]) -> Left:
    if tier is None:
        return of.left(None)
    if tier.kind == "flows-only":
        return Left(0, "cut", sum(curves.ledger(file) for file in of.files), 0)
    return of.left(tier.cutoff, tier.rest, depths)


def half(cutoff: int, of: Sample, disk: int) -> tuple[Tier, ...]:
    """The ladder of one cutoff that leaves half of the disk to whole days."""
    return (Tier(max(disk * DAY // (2 * max(of.inflow, 1)), 1), cutoff),)


@dataclass(frozen=True)
class Forecast:
    """The forecast for one data set."""

    name: str
    disk: int
    """Room, in bytes."""
    sample: Sample
    cutoffs: tuple[Left, ...]
    """What each cutoff asked for leaves of the sample,"""
    curve: tuple[Left, ...]
    """and those of the plot."""
    ladders: tuple[Reach, ...]
    ages: tuple[tuple[int, int, int], ...]
    """The archive now: age in days, bytes there, bytes before anything was trimmed."""


@dataclass(frozen=True)
class ForecastReport:
    """All that was foretold."""

    now: int
    forecasts: tuple[Forecast, ...]
    warnings: tuple[str, ...]
    """What was left out."""
    notes: tuple[str, ...] = ()
    """What is to be kept in mind."""
