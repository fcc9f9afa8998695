"""What is kept of each flow: the reference reading of the cut rule.

A packet is kept if its flow's running total up to and including it (kept or cut, everything
counts) is at most the cutoff. Past it SYN, FIN and RST are kept (``control="keep"``), so is what
lies in the last ``tail`` bytes; the rest is cut, kept as headers, or every K-th packet of the
flow is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tests.wire import Record

from .flow import Flow, Step, Tracker, steps


@dataclass(frozen=True)
class Policy:
    """The options of ``flowkeep trim``."""

    cutoff: int
    count: Literal["frame", "wire", "payload"] = "frame"
    per_direction: bool = False
    control: Literal["keep", "drop"] = "keep"
    rest: Literal["cut", "headers", "sample"] = "cut"
    sample: int = 0
    tail: int = 0

    def size(self, p: Step) -> int:
        """What a packet counts."""
        return {"frame": p.caplen, "wire": p.wirelen, "payload": p.facts.payload}[self.count]


def trim(
    records: Sequence[Record],
    policy: Policy,
    *,
    outer: bool = False,
    key_vlan: bool = False,
    idle_ns: int = 60_000_000_000,
    splits: Sequence[int] = (),
    allowed: Callable[[Flow], int | None] | None = None,
) -> list[int | None]:
    """For each packet the number of its bytes that are kept, None if it is cut.

    ``splits`` are the numbers of packets that begin a file. A fragment that still waits for its
    first one when its file ends is kept, because the file cannot be held back. ``allowed`` gives a flow a cutoff of
    its own, None: it is not cut.
    """
    shares: dict[int, list[tuple[Flow, Step]]] = {}
    waited: list[int] = []
    at = 0

    def note(flow: Flow, p: Step) -> None:
        shares.setdefault(id(flow), []).append((flow, p))
        if any(p.number < start <= at for start in splits):
            waited.append(p.number)

    tracker = Tracker(idle_ns=idle_ns, key_vlan=key_vlan, counted=note)
    packets = steps(records, outer=outer)
    for p in packets:
        at = p.number
        tracker.feed(p)
    at = len(packets)
    tracker.finish()  # and keeps the flows, whose ids must stay theirs
    kept: list[int | None] = [p.caplen for p in packets]
    for share in shares.values():
        own = policy
        if allowed is not None:
            cutoff = allowed(share[0][0])
            own = replace(policy, cutoff=1 << 62 if cutoff is None else cutoff)
        for p, fate in _fates(share, own):
            kept[p.number] = fate
    for number in waited:
        kept[number] = packets[number].caplen
    return kept


def _fates(share: list[tuple[Flow, Step]], policy: Policy) -> list[tuple[Step, int | None]]:
    """The fate of each packet of one flow, in the order in which they were counted."""
    fates: list[tuple[Step, int | None]] = []
    for nth, (flow, p) in enumerate(share, start=1):
        peers = [q for _, q in share]
        if policy.per_direction:
            peers = [q for q in peers if q.sender(flow) == p.sender(flow)]
        total = sum(policy.size(q) for q in peers)
        running = sum(policy.size(q) for q in peers[: peers.index(p) + 1])
        control = policy.control == "keep" and bool(set("SFR") & set(p.facts.flags))
        in_tail = policy.tail > 0 and total - (running - policy.size(p)) <= policy.tail
        if running <= policy.cutoff or control or in_tail:
            fate: int | None = p.caplen
        elif policy.rest == "headers":
            fate = min(p.facts.header_len, p.caplen)
        elif policy.rest == "sample" and nth % policy.sample == 0:
            fate = p.caplen
        else:
            fate = None
        fates.append((p, fate))
    return fates
