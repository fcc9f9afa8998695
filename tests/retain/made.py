"""Files of an archive, made up: their flows are a list of sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flowkeep.retain import sizes as curves
from flowkeep.retain.model import Cut, Decision, Delete, FileState, FlowsOnly, Plan, Sizes, Stage

DAY = 86_400_000_000_000
NOW = 20_000 * DAY
PACKET = 100


def sizes(flows: Sequence[int]) -> Sizes:
    """What a file with flows of so many bytes holds, in packets of 100 bytes."""
    points = []
    for cutoff in curves.CUTOFFS:
        kept = [min(n, cutoff // PACKET * PACKET) for n in flows]
        points.append((sum(kept), sum(kept) // PACKET, sum(n <= cutoff for n in flows)))
    held = sum(flows)
    return Sizes(held // PACKET, held, len(flows), held // PACKET, held, curves.pack(points))


def file(n: int, age: float, flows: Sequence[int] = (5_000_000, 2000, 500), **given: object) -> FileState:
    """A whole capture of this age in days."""
    at = NOW - int(age * DAY)
    held = sum(flows)
    plain = FileState(
        f"/nsm/{n:05}.pcap", 1, n + 1, 24 + held + 16 * (held // PACKET), at, at - 60_000_000_000, at,
        sizes=sizes(flows),
    )  # fmt: skip
    return replace(plain, **given)  # type: ignore[arg-type]


def done(decision: Decision) -> FileState | None:
    """The file after somebody has done what was decided, just as estimated; None: it is gone."""
    state, action = decision.file, decision.action
    if isinstance(action, Delete):
        return None
    if isinstance(action, FlowsOnly):
        return replace(
            state, size=0, ledger="there", ledger_size=decision.bytes_after_estimate,
            stage=Stage("flows-only"), sizes=replace(state.sizes, packets=0, held=0, curve=b""),  # type: ignore[arg-type, type-var]
        )  # fmt: skip
    if isinstance(action, Cut):
        assert state.sizes is not None
        held, packets, _ = curves.left(state.sizes, action.cutoff, action.depths)
        points = [p for p in curves.points(state.sizes.curve) if p[0] <= held]
        ledger = curves.ledger(state)
        return replace(
            state, size=decision.bytes_after_estimate - ledger, ledger="there", ledger_size=ledger,
            stage=Stage("cut", action.cutoff, action.rest, action.depths, action.compress),
            sizes=replace(state.sizes, held=held, packets=packets, curve=curves.pack(points)),
        )  # fmt: skip
    return state


def carried_out(plan: Plan) -> list[FileState]:
    """The archive after a plan."""
    return [state for state in map(done, plan.decisions) if state is not None]
