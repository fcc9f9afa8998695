"""Which packets make a flow: keys, sessions, fragments, the client, the counters.

The reference reading of the rules, packet after packet in one dictionary:

* A flow is a session of a bidirectional key: the two (address, port) ends and the protocol.
* Silence longer than the idle limit ends a session of anything but TCP. Measured from the packet
  of the flow before it in capture order; later fragments neither ask nor answer.
* A TCP SYN without ACK begins a new session after a FIN or RST; or if its sequence number is not
  that of the last SYN from the same end and lies outside the window (see `_fits`).
* A later fragment belongs to the flow of the nearest first fragment before it of the same
  datagram; if there is none, of the next one after it; if there is none either (within bounds),
  to a flow of orphans of the same addresses and protocol. It is counted when this is known: in
  the second case right after the first fragment, in the third when the wait is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.wire import Record

from .packet import TCP, WITH_PORTS, End, Facts, parse

NEAR_NS = 30_000_000_000
BEFORE_PACKETS, AFTER_PACKETS, AFTER_BYTES = 1 << 20, 1 << 13, 16 << 20
# fmt: off
SERVICE_PORTS = {
    1080, 1194, 1433, 1521, 1701, 1723, 1883, 2049, 3128, 3268, 3306, 3389, 3478, 4500, 4789, 5060,
    5061, 5222, 5353, 5355, 5432, 5672, 5900, 5985, 6379, 6443, 8000, 8008, 8080, 8081, 8443, 8883,
    8888, 9000, 9042, 9092, 9200, 9418, 11211, 27017,
}
# fmt: on


@dataclass
class Side:
    """What one end of a flow has sent."""

    packets: int = 0
    bytes: int = 0  # captured
    wire: int = 0  # original
    payload: int = 0
    seen: set[str] = field(default_factory=set)  # TCP: flags, "data", "syn-ack"
    syn: int | None = None  # sequence number of the last SYN
    wscale: int | None = None  # of that SYN
    end: int | None = None  # sequence number after the last segment
    window: int = 0
    ack: int | None = None


@dataclass
class Flow:
    """One session."""

    first: int  # number of its first packet
    head: Facts  # its first packet in capture order that is no later fragment
    orphan: bool
    tail_ts: int
    first_ts: int
    last_ts: int
    sides: dict[End, Side]
    syn_from: End | None = None
    syn_ack_from: End | None = None
    closed: bool = False

    def count(self, p: Step) -> None:
        """Count a packet."""
        self.first = min(self.first, p.number)
        self.first_ts, self.last_ts = min(self.first_ts, p.ts), max(self.last_ts, p.ts)
        side = self.sides[p.sender(self)]
        side.packets += 1
        side.bytes += p.caplen
        side.wire += p.wirelen
        side.payload += p.facts.payload
        if p.facts.offset and not self.orphan:
            return
        self.tail_ts = p.ts
        f = p.facts
        if f.proto != TCP or f.offset:
            return
        side.seen |= set(f.flags) | ({"data"} if f.payload else set())
        side.end = (f.seq + f.payload + ("S" in f.flags) + ("F" in f.flags)) % 2**32
        side.window = f.window
        if "A" in f.flags:
            side.ack = f.ack
        if "S" in f.flags:
            side.syn, side.wscale = f.seq, f.wscale
            if "A" in f.flags:
                side.seen.add("syn-ack")
                self.syn_ack_from = self.syn_ack_from or f.src
            else:
                self.syn_from = self.syn_from or f.src
        self.closed |= "F" in f.flags or "R" in f.flags

    def other(self, end: End) -> End:
        """The end that is not this one (or is, where a host talks to itself)."""
        return next((e for e in self.sides if e != end), end)

    def peer(self, end: End) -> Side:
        """What the other end sent; nothing where a host talks to itself, since all is that end's."""
        other = self.other(end)
        return Side() if other == end else self.sides[other]

    def client(self) -> tuple[End, bool]:
        """The client's end, and whether that is a guess."""
        if self.syn_from is not None:
            return self.syn_from, False
        if self.syn_ack_from is not None:
            return self.other(self.syn_ack_from), False
        starter = self.head.src
        if self.head.proto not in WITH_PORTS:
            return starter, True
        for serves in (lambda port: port < 1024, lambda port: port in SERVICE_PORTS):
            servers = [end for end in self.sides if serves(end[1])]
            if len(self.sides) == 2 and len(servers) == 1:
                return self.other(servers[0]), True
        return starter, True

    def state(self) -> str:
        """One word for how far the session came."""
        client_end, _ = self.client()
        client, server = self.sides[client_end], self.peer(client_end)
        if self.head.proto != TCP:
            return "two-way" if client.packets and server.packets else "one-way"
        if "R" in client.seen | server.seen:
            refused = "S" in client.seen and "R" in server.seen
            refused = refused and not server.seen & {"S", "data", "F"}
            return "rejected" if refused else "reset"
        fins = ("F" in client.seen) + ("F" in server.seen)
        if fins:
            return "closed" if fins == 2 else "half-closed"
        if "S" not in client.seen | server.seen:
            return "midstream"
        return "open" if server.packets else "attempt"


@dataclass(frozen=True)
class Step:
    """One packet with its number in the traffic."""

    number: int
    ts: int
    caplen: int
    wirelen: int
    facts: Facts
    before: int = 0  # captured bytes of all packets before it

    def sender(self, flow: Flow) -> End:
        """The end of the flow that sent it: by address alone where it has no ports."""
        if self.facts.src in flow.sides:
            return self.facts.src
        first, *_ = flow.sides
        src, dst = self.facts.src[0], self.facts.dst[0]
        if src == dst:
            return min(flow.sides, key=lambda end: (end[0], end[1]))
        return next((end for end in flow.sides if end[0] == src), first)


Counted = Callable[[Flow, Step], None]


class Tracker:
    """Feeds packets in capture order; ``counted`` is told when a packet is counted to a flow."""

    def __init__(
        self,
        *,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        key_vlan: bool = False,
        counted: Counted | None = None,
    ) -> None:
        self.idle_ns, self.tcp_idle_ns, self.key_vlan = idle_ns, tcp_idle_ns, key_vlan
        self.counted = counted
        self.flows: list[Flow] = []
        self.current: dict[object, Flow] = {}
        self.firsts: dict[object, tuple[Step, Flow]] = {}
        self.waiting: list[Step] = []
        self.missed: set[int] = set()  # of those waiting, the numbers of packets that wait in vain

    def feed(self, p: Step) -> None:
        """The next packet."""
        f = p.facts
        self._orphan([w for w in self.waiting if _overdue(w, p)])
        if f.reason != "none":
            return
        if not f.offset:
            flow = self._place(p, orphan=False)
            if f.frag_id is not None:
                mine = [w for w in self.waiting if self._datagram(w) == self._datagram(p)]
                for early in mine:
                    if early.number in self.missed:
                        continue
                    if abs(early.ts - p.ts) <= NEAR_NS:
                        self.waiting.remove(early)
                        self._count(flow, early)
                    else:  # the next one after it is too far away, and no other counts
                        self.missed.add(early.number)
                self.firsts[self._datagram(p)] = (p, flow)
            return
        first, flow_or_none = self.firsts.get(self._datagram(p), (None, None))
        if first is not None and flow_or_none is not None:
            near = abs(p.ts - first.ts) <= NEAR_NS and p.number - first.number <= BEFORE_PACKETS
            if near:
                self._count(flow_or_none, p)
                return
        self.waiting.append(p)

    def finish(self) -> list[Flow]:
        """The traffic ends; gives the flows in order of their first packets."""
        self._orphan(list(self.waiting))
        return sorted(self.flows, key=lambda flow: flow.first)

    def _orphan(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.waiting.remove(step)
            self._place(step, orphan=True)

    def _place(self, p: Step, *, orphan: bool) -> Flow:
        f = p.facts
        vlan = f.vlan if self.key_vlan else ()
        key = (frozenset((f.src, f.dst)), f.proto, len(f.src[0]), vlan, orphan)
        flow = self.current.get(key)
        if flow is None or not self._same_session(flow, p):
            sides = {end: Side() for end in (f.src, f.dst)}
            flow = Flow(p.number, f, orphan, p.ts, p.ts, p.ts, sides)
            self.flows.append(flow)
            self.current[key] = flow
        self._count(flow, p)
        return flow

    def _same_session(self, flow: Flow, p: Step) -> bool:
        f = p.facts
        limit = self.tcp_idle_ns if f.proto == TCP else self.idle_ns
        if limit and p.ts - flow.tail_ts > limit:
            return False
        if f.proto != TCP or f.offset or "S" not in f.flags or "A" in f.flags:
            return True
        return not flow.closed and _fits(flow.sides[f.src], flow.peer(f.src), f.seq)

    def _count(self, flow: Flow, p: Step) -> None:
        flow.count(p)
        if self.counted is not None:
            self.counted(flow, p)

    def _datagram(self, p: Step) -> object:
        f = p.facts
        # In IPv6 only the next header of the first fragment counts (RFC 8200 section 4.5).
        proto = f.proto if len(f.src[0]) == 4 else None
        return f.src[0], f.dst[0], proto, f.frag_id, f.vlan if self.key_vlan else ()


def _fits(own: Side, peer: Side, seq: int) -> bool:
    """Whether a SYN with this sequence number may still be of an open connection."""
    if seq == own.syn:
        return True
    expected = own.end if own.end is not None else peer.ack
    if expected is None:
        return True
    window = 65_535
    if peer.end is not None:
        scaled = own.wscale is not None and peer.wscale is not None
        window = peer.window << (min(peer.wscale or 0, 14) if scaled else 0)
    distance = (seq - expected) % 2**32
    return min(distance, 2**32 - distance) <= window


def _overdue(waiting: Step, now: Step) -> bool:
    return now.number - waiting.number > AFTER_PACKETS or now.before - waiting.before > AFTER_BYTES


def steps(records: Iterable[Record], *, outer: bool = False) -> list[Step]:
    """The packets of a capture, parsed and numbered."""
    found, total = [], 0
    for number, r in enumerate(records):
        facts = parse(r.data, r.wirelen, r.link, outer=outer)
        found.append(Step(number, r.ts_ns, len(r.data), r.wirelen, facts, total))
        total += len(r.data)
    return found
