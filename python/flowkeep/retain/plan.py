"""What is to become of each file: a pure function of the files, their ledgers, the policy and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .. import units
from ..text import safe
from . import sizes as curves
from .budget import LARGEST, ONE, Solver, ages_at, level
from .model import (
    Action,
    Budget,
    Compress,
    Cut,
    DataSet,
    Decision,
    Delete,
    FileState,
    FlowsOnly,
    Keep,
    Plan,
    Tier,
)
from .policy import looseness

MINUTE = 60_000_000_000
FUTURE = 5 * MINUTE
"""So far may clocks be apart."""
CENTURY = 946_684_800_000_000_000
"""Before the year 2000 no clock was set."""
NEWEST = 20
"""Files by which is told how large the next one will be."""


@dataclass(frozen=True)
class Room:
    """A file system at a moment."""

    free: int
    """Bytes that this user may still write."""
    total: int


def age_text(ns: int) -> str:
    """An age in the two units that read best: ``3d``, ``1d 19h``, ``45min``."""
    minutes = ns // MINUTE
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days}d {hours}h" if hours and days < 100 else f"{days}d"
    if hours:
        return f"{hours}h {rest}min" if rest else f"{hours}h"
    return f"{rest}min" if rest else f"{ns // 1_000_000_000}s"


def plan(
    dataset: DataSet,
    files: Sequence[FileState],
    now: int,
    *,
    policy_digest: str = "",
    room: Room | None = None,
    warnings: Sequence[str] = (),
) -> Plan:
    """Decide about every file of a data set.

    ``room`` is needed for a budget of ``free`` space. The result depends on the arguments alone.
    """
    return _Planner(dataset, files, now, room).plan(policy_digest, warnings)


def effective(tiers: Sequence[Tier]) -> list[Tier]:
    """Tiers with what they take over from those before them: cutoff, rest and compression."""
    found: list[Tier] = []
    for tier in tiers:
        if found and tier.kind == "cut":
            before = found[-1]
            compress = tier.compress or before.compress
            if tier.cutoff is None:
                tier = replace(tier, cutoff=before.cutoff, rest=before.rest)
            tier = replace(tier, compress=compress)
        found.append(tier)
    return found


class _Planner:
    def __init__(self, dataset: DataSet, files: Sequence[FileState], now: int, room: Room | None) -> None:
        self.dataset, self.now, self.room = dataset, now, room
        self.tiers = effective(dataset.tiers)
        self.warnings: list[str] = []
        times = {id(file): self._times(file) for file in files}
        self.files = sorted(files, key=lambda file: (times[id(file)][0], file.path))
        self.ages = [max(now - times[id(file)][1], 0) for file in self.files]
        self.before = [file.size + file.ledger_size for file in self.files]
        self.fixed = [file.problem is not None or file.growing for file in self.files]
        self.plain_depths = tuple(replace(depth, line=0) for depth in dataset.depths)

    def _times(self, file: FileState) -> tuple[int, int]:
        """Times by which a file is put in order and by which it ages."""
        changed = min(file.mtime_ns, self.now)
        last = file.last_ts if file.last_ts is not None else None
        if last is None:
            last = changed if file.first_ts is None else max(file.first_ts, changed)
        if last > self.now + FUTURE:
            if file.problem is None:
                self.warnings.append(
                    f"{safe(file.path)}: its last packet is of {units.time(last, digits=0)}, which is yet to "
                    "come; its age is taken from when the file was changed"
                )
            last = changed
        elif last < CENTURY < changed:
            if file.problem is None:
                self.warnings.append(
                    f"{safe(file.path)}: its last packet is of {units.time(last, digits=0)}: a clock was not "
                    "set; its age is taken from when the file was changed"
                )
            last = changed
        first = file.first_ts
        if first is None or first > last or first < CENTURY < last:
            first = last
        return first, last

    def _size(self, i: int, tier: Tier) -> int:
        """Bytes of a file, ledger included, when it has got to a tier."""
        file = self.files[i]
        if self.fixed[i]:
            return self.before[i]
        if tier.kind == "cut":
            if tier.cutoff is None or file.stage.kind == "flows-only" or not self._cuts(file, tier):
                return self.before[i]
            cut = curves.after_cut(file, tier.cutoff, tier.rest, self.dataset.depths)
            return min(cut + curves.ledger(file), self.before[i])
        if self._locked(file):
            return min(curves.after_cut(file, 0) + curves.ledger(file), self.before[i])
        return 0 if tier.kind == "delete" else min(curves.ledger(file), self.before[i])

    def _cuts(self, file: FileState, tier: Tier) -> bool:
        """Whether a tier would take something from a file."""
        stage = file.stage
        assert tier.cutoff is not None
        if stage.kind == "flows-only":
            return False
        if stage.kind == "whole" or stage.cutoff is None or stage.cutoff > tier.cutoff:
            sizes = file.sizes
            if sizes is None:
                return True
            # What holds nothing beyond the cutoff is not written anew.
            held, _, whole = curves.left(sizes, tier.cutoff, self.dataset.depths)
            return held < sizes.held or whole < sizes.flows
        if stage.cutoff < tier.cutoff:
            return False
        return looseness(stage.rest) > looseness(tier.rest) or stage.depths != self.plain_depths

    def _locked(self, file: FileState) -> bool:
        return file.sizes is not None and bool(file.sizes.classes) and file.sizes.classes[-1][0] > 0

    def allowed(self, budget: Budget) -> int:
        """Bytes that the data set may have now."""
        if budget.disk is not None:
            most = budget.disk
        else:
            assert self.room is not None, "a budget of free space needs the room there is"
            wanted = (
                budget.free if budget.free is not None else int((budget.free_share or 0) * self.room.total)
            )
            most = sum(self.before) + self.room.free - wanted
        headroom = budget.headroom
        if headroom is None:
            newest = [file.size for file in self.files[-NEWEST:]]
            headroom = min(2 * max(newest, default=0), max(most, 0) // 4)
        return max(most - headroom, 0)

    def plan(self, digest: str, warnings: Sequence[str]) -> Plan:
        factor, allowed, fits = LARGEST, None, True
        budget = self.dataset.budget
        levels = self._levels(factor)
        after = [self._after(i, n) for i, n in enumerate(levels)]
        pressed: dict[int, Action] = {}
        if budget is not None:
            allowed = self.allowed(budget)
            if sum(after) > allowed:
                factor = self._solve(allowed)
                levels = self._levels(factor)
                after = [self._after(i, n) for i, n in enumerate(levels)]
                if sum(after) > allowed:
                    pressed, fits = self._press(levels, after, allowed, budget)
        decisions = [self._decide(i, n, after[i], factor, pressed.get(i)) for i, n in enumerate(levels)]
        return Plan(
            self.now,
            digest,
            self.dataset.name,
            tuple(decisions),
            sum(self.before),
            sum(d.bytes_after_estimate for d in decisions),
            (*warnings, *self._problems(), *self.warnings),
            allowed,
            None if factor >= LARGEST else factor / ONE,
            fits,
        )

    def _problems(self) -> list[str]:
        return [f"{safe(f.path)}: left alone: {safe(f.problem)}" for f in self.files if f.problem is not None]

    def _levels(self, factor: int) -> list[int]:
        limits = ages_at(self.tiers, factor)
        return [-1 if fixed else level(limits, age) for fixed, age in zip(self.fixed, self.ages, strict=True)]

    def _after(self, i: int, n: int) -> int:
        return self.before[i] if n < 0 else self._size(i, self.tiers[n])

    def _solve(self, allowed: int) -> int:
        table = []
        for i in range(len(self.files)):
            row = [self.before[i]]
            for tier in self.tiers:
                row.append(min(self._size(i, tier), row[-1]))
            table.append(row)
        return Solver(self.tiers, self.ages, table).solve(allowed).factor

    def _press(
        self, levels: list[int], after: list[int], allowed: int, budget: Budget
    ) -> tuple[dict[int, Action], bool]:
        """Not even the last tier fits: all flows keep their first bytes, then the oldest files go."""
        found: dict[int, Action] = {}
        total = sum(after)
        captures = [i for i, file in enumerate(self.files) if file.size and file.problem is None]
        newest = captures[-1] if captures else -1
        steps: list[tuple[Tier, Action]] = [
            (Tier(None, budget.emergency), Cut(budget.emergency, emergency=True))
        ]
        if any(tier.kind == "flows-only" for tier in self.tiers):
            steps.append((Tier(None, kind="flows-only"), FlowsOnly()))
        steps.append((Tier(None, kind="delete"), Delete(emergency=True)))
        for tier, action in steps:
            for i, file in enumerate(self.files):
                if total <= allowed:
                    return found, True
                if self.fixed[i] or (tier.kind != "cut" and i == newest):
                    continue
                if tier.kind == "cut":
                    if not file.size or not self._cuts(file, tier):
                        continue
                    size = min(curves.after_cut(file, budget.emergency) + curves.ledger(file), after[i])
                else:
                    size = self._size(i, tier)
                if size < after[i]:
                    total += size - after[i]
                    after[i], found[i] = size, action
                    if tier.kind != "cut" and self._locked(file):
                        found[i] = Cut(0, emergency=True)
        return found, total <= allowed

    def _decide(self, i: int, n: int, after: int, factor: int, pressed: Action | None) -> Decision:
        file = self.files[i]

        def decided(action: Action, reason: str) -> Decision:
            return Decision(file, action, reason, self.before[i], after)

        if file.problem is not None:
            return decided(Keep(), file.problem)
        if file.growing:
            return decided(Keep(), "it is still being written, or was a moment ago")
        if pressed is not None:
            return decided(pressed, self._pressed_reason(pressed))
        age = self.ages[i]
        if n < 0:
            first = self.tiers[0].after if self.tiers else None
            if first is None:
                return decided(Keep(), "the budget has room for it")
            return decided(Keep(), f"{age_text(age)} old: the first tier begins at {age_text(first)}")
        tier, name = self.tiers[n], self._tier_name(n, factor)
        if tier.kind == "delete" or (tier.kind == "flows-only" and file.stage.kind != "flows-only"):
            if self._locked(file):
                if file.stage.cutoff == 0:
                    return decided(Keep(), f"its locked flows stay ({name})")
                return decided(Cut(0), f"{age_text(age)} old: {name}; its locked flows stay")
            action: Action = Delete() if tier.kind == "delete" else FlowsOnly()
            return decided(action, f"{age_text(age)} old: {name}")
        if tier.kind == "flows-only" or file.stage.kind == "flows-only":
            return decided(Keep(), f"only its ledger is left ({name})")
        compress = tier.compress if tier.compress and file.stage.compression is None else None
        if tier.cutoff is not None and self._cuts(file, tier):
            cut = Cut(tier.cutoff, tier.rest, self.plain_depths, compress)
            return decided(cut, f"{age_text(age)} old: {name}")
        if compress:
            return decided(Compress(compress), f"{age_text(age)} old: {name}")
        return decided(Keep(), f"at its tier: {name}")

    def _pressed_reason(self, action: Action) -> str:
        if isinstance(action, Cut):
            if action.cutoff == 0:
                return "budget: the last tier does not fit; its locked flows stay"
            return "budget: not even the last tier fits; every flow keeps its first bytes before a file goes"
        if isinstance(action, FlowsOnly):
            return (
                "budget: not even the first bytes of every flow fit; the oldest captures go, their flows stay"
            )
        return "budget: not even the first bytes of every flow fit; the oldest files go"

    def _tier_name(self, n: int, factor: int) -> str:
        tier = self.tiers[n]
        if tier.kind != "cut":
            what = "only the ledger is kept" if tier.kind == "flows-only" else "nothing is kept"
        else:
            parts = []
            if tier.cutoff is not None:
                parts.append(units.cutoff(tier.cutoff) + ("" if tier.rest == "cut" else f", {tier.rest}"))
            if tier.compress:
                parts.append(tier.compress)
            what = " and ".join(parts)
        at = ages_at(self.tiers, factor)[n]
        line = f" (line {tier.line})" if tier.line else ""
        if tier.after is None:
            return f"{what} from {age_text(at)} on, for the budget{line}"
        if at < tier.after:
            return f"{what} from {age_text(at)} on instead of {age_text(tier.after)}, for the budget{line}"
        return f"{what} from {age_text(tier.after)} on{line}"
