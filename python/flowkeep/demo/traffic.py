"""The traffic of the demo capture: a small office network with a few large transfers.

Time goes in slots of a second. Each slot begins some short conversations, whose packets may
reach into later slots, and moves every elephant on by its share; what falls into the slot is
then written in order of time. So memory stays small however large the capture is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from . import frames, payloads
from .frames import ACK, FIN, PSH, RST, SYN, Host, host

START_NS = 1_704_103_200_000_000_000  # 2024-01-01 10:00 UTC
SECOND = 1_000_000_000
SLOT_BYTES = 800_000
BACKGROUND = 150_000  # bytes of short conversations a slot
MSS = 1460

Timed = tuple[int, int, bytes]  # time in ns, interface, frame
Script = list[tuple[bool, bytes]]  # from the client, what it says
Wrap = Callable[[Host, Host, bytes], bytes]  # sender, receiver, IP packet -> frame

CLIENTS = [host(f"192.0.2.{n}", n) for n in range(10, 60)]
CLIENTS6 = [host(f"2001:db8:1::{n:x}", n) for n in range(10, 60)]
SERVERS = [host(f"198.51.100.{n}", 0x100 + n) for n in range(10, 40)]
SERVERS6 = [host(f"2001:db8:2::{n:x}", 0x100 + n) for n in range(10, 40)]
RESOLVER, SWITCH = host("203.0.113.53", 0x301), host("203.0.113.1", 0x302)
TUNNEL = host("203.0.113.7", 0x307), host("203.0.113.8", 0x308)
NAMES = [f"{n}.example.com" for n in ("www", "mail", "files", "video", "api", "static", "news")]


def _tagged(tags: bytes) -> Wrap:
    return lambda src, dst, packet: frames.ether(src, dst, packet, tags)


def _in_vxlan(src: Host, dst: Host, packet: bytes) -> bytes:
    inner = frames.ether(src, dst, packet)
    here, there = TUNNEL if src < dst else TUNNEL[::-1]
    return frames.ether(here, there, frames.vxlan(here, there, inner, 5001))


def _in_gre(src: Host, dst: Host, packet: bytes) -> bytes:
    here, there = TUNNEL if src < dst else TUNNEL[::-1]
    return frames.ether(here, there, frames.gre(here, there, packet))


WRAPS: list[Wrap] = [
    *[_tagged(b"")] * 12,
    *[_tagged(frames.vlan(20))] * 4,
    _tagged(frames.vlan(100, 0x88A8) + frames.vlan(30)),
    _in_vxlan,
    _in_gre,
]


class Connection:
    """A TCP connection that keeps its sequence numbers."""

    def __init__(
        self, rng: random.Random, client: Host, server: Host, ports: tuple[int, int], wrap: Wrap
    ) -> None:
        """Begin with random sequence numbers; ``wrap`` puts a segment into its frame."""
        self.ends = (client, server)
        self.ports = (ports, ports[::-1])
        self.wrap = wrap
        self.next = [rng.getrandbits(32), rng.getrandbits(32)]

    def segment(self, side: int, flags: int, payload: bytes = b"") -> bytes:
        """A frame from a side (0 client, 1 server) at its next sequence number."""
        ack = self.next[1 - side] if flags & ACK else 0
        frame = self.at(side, self.next[side], ack, flags, payload)
        self.next[side] += len(payload) + (1 if flags & (SYN | FIN) else 0)
        return frame

    def at(self, side: int, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
        """A frame with any sequence number."""
        src, dst = self.ends[side], self.ends[1 - side]
        packet = frames.tcp(src, dst, self.ports[side], seq, ack, flags, payload)
        return self.wrap(src, dst, packet)

    def opening(self) -> list[bytes]:
        """The handshake."""
        return [self.segment(0, SYN), self.segment(1, SYN | ACK), self.segment(0, ACK)]

    def closing(self) -> list[bytes]:
        """Both sides end."""
        return [self.segment(0, FIN | ACK), self.segment(1, FIN | ACK), self.segment(0, ACK)]


def _spread(rng: random.Random, start: int, sent: list[bytes]) -> list[Timed]:
    """Frames a plausible round trip apart."""
    step = rng.randrange(200_000, 9_000_000)
    return [(start + n * step + rng.randrange(100_000), 0, data) for n, data in enumerate(sent)]


def _talk(
    rng: random.Random, start: int, ends: tuple[Host, Host], ports: tuple[int, int],
    script: Script, wrap: Wrap,
) -> list[Timed]:  # fmt: skip
    """A TCP connection with a script; now and then a segment is sent twice."""
    c = Connection(rng, *ends, ports, wrap)
    sent = c.opening()
    for from_client, data in script:
        side = 0 if from_client else 1
        for at in range(0, len(data), MSS):
            sent.append(c.segment(side, PSH | ACK, data[at : at + MSS]))
            if rng.random() < 0.01:
                sent.append(sent[-1])
        sent.append(c.segment(1 - side, ACK))
    sent += [c.segment(0, RST | ACK)] if rng.random() < 0.05 else c.closing()
    return _spread(rng, start, sent)


def _exchange(
    rng: random.Random, start: int, ends: tuple[Host, Host], ports: tuple[int, int],
    script: Script, wrap: Wrap,
) -> list[Timed]:  # fmt: skip
    """A UDP exchange."""
    sent = []
    for from_client, data in script:
        src, dst = ends if from_client else ends[::-1]
        way = ports if from_client else ports[::-1]
        sent.append(wrap(src, dst, frames.udp(src, dst, way, data)))
    return _spread(rng, start, sent)


def _short(rng: random.Random, start: int) -> list[Timed]:
    """One short conversation of some kind."""
    six = rng.random() < 0.25
    client = rng.choice(CLIENTS6 if six else CLIENTS)
    server = rng.choice(SERVERS6 if six else SERVERS)
    ends, port, wrap = (client, server), rng.randrange(32768, 60999), rng.choice(WRAPS)
    name = rng.choice(NAMES)
    kind = rng.choices(
        ("dns", "tls", "http", "quic", "ntp", "ping", "smtp", "ssh", "arp", "reuse"),
        (40, 22, 10, 6, 8, 6, 2, 1, 5, 1),
    )[0]
    if kind == "dns":
        number, address = rng.getrandbits(16), rng.choice(SERVERS).ip
        script = [(True, payloads.dns(number, name)), (False, payloads.dns(number, name, address))]
        pair = (rng.choice(CLIENTS), RESOLVER)
        return _exchange(rng, start, pair, (port, 53), script, wrap)
    if kind == "tls":
        script = [(True, payloads.client_hello(rng, name)), (False, payloads.server_hello(rng))]
        for _ in range(rng.randrange(1, 4)):
            script.append((True, payloads.tls_data(rng, rng.randrange(100, 900))))
            script.append((False, payloads.tls_data(rng, rng.randrange(200, 9000))))
        return _talk(rng, start, ends, (port, 443), script, wrap)
    if kind == "http":
        body = rng.randbytes(rng.randrange(300, 12000)).hex().encode()
        script = [(True, payloads.http_request(name, "/")), (False, payloads.http_response(body))]
        return _talk(rng, start, ends, (port, rng.choice((80, 80, 8080))), script, wrap)
    if kind == "quic":
        script = [(True, payloads.quic_initial(rng)), (False, payloads.quic_initial(rng))]
        script += [
            (rng.random() < 0.2, payloads.quic_data(rng, rng.randrange(40, 1250)))
            for _ in range(rng.randrange(4, 20))
        ]
        return _exchange(rng, start, ends, (port, 443), script, wrap)
    if kind == "ntp":
        script = [(True, payloads.ntp(rng, reply=False)), (False, payloads.ntp(rng, reply=True))]
        return _exchange(rng, start, ends, (123, 123), script, wrap)
    if kind == "ping":
        sent = []
        for n in range(rng.randrange(1, 5)):
            sent.append(wrap(client, server, frames.ping(client, server, n, reply=False)))
            sent.append(wrap(server, client, frames.ping(server, client, n, reply=True)))
        return _spread(rng, start, sent)
    if kind == "arp":
        asks, told = rng.sample(CLIENTS, 2)
        pair_ = [frames.arp(asks, told, reply=False), frames.arp(told, asks, reply=True)]
        return _spread(rng, start, pair_)
    if kind == "reuse":  # two connections one after another on the same ports
        page = [(True, payloads.http_request(name, "/a")), (False, payloads.http_response(b"ok"))]
        first = _talk(rng, start, ends, (port, 80), page, wrap)
        second = _talk(rng, first[-1][0] + SECOND // 4, ends, (port, 80), page, wrap)
        return first + second
    script = payloads.smtp(rng) if kind == "smtp" else payloads.ssh(rng)
    return _talk(rng, start, ends, (port, 25 if kind == "smtp" else 22), script, wrap)


def _scan(rng: random.Random, start: int) -> list[Timed]:
    """One host tries many ports of another; closed ones answer with a reset."""
    scanner, target = CLIENTS[-1], SERVERS[-1]
    sent = []
    for port in rng.sample(range(1, 10000), 300):
        c = Connection(rng, scanner, target, (54321, port), WRAPS[0])
        sent.append(c.segment(0, SYN))
        if rng.random() < 0.7:
            sent.append(c.at(1, 0, c.next[0], RST | ACK))
    return [(start + n * 1_500_000, 0, data) for n, data in enumerate(sent)]


def _download(rng: random.Random, c: Connection, sender: int, seed: bytes) -> Iterator[bytes]:
    """An elephant on TCP: for ever full segments, an ACK for every second one."""
    yield from c.opening()
    if c.ports[0][1] == 443:
        yield c.segment(0, PSH | ACK, payloads.client_hello(rng, "files.example.com"))
        yield c.segment(0, ACK)
    while True:
        for n in range(400):
            at = rng.randrange(len(seed) - MSS)
            sent = c.segment(sender, ACK, seed[at : at + MSS])
            yield sent
            if n % 2:
                yield c.segment(1 - sender, ACK)
        yield sent  # a retransmission


def _video(ends: tuple[Host, Host], port: int, rng: random.Random, seed: bytes) -> Iterator[bytes]:
    """An elephant on UDP, shaped like QUIC."""
    client, server = ends
    yield frames.ether(client, server, frames.udp(client, server, (port, 443), seed[:1200]))
    while True:
        for _ in range(20):
            at = rng.randrange(len(seed) - 1350)
            data = b"\x41" + seed[at : at + 1349]
            yield frames.ether(server, client, frames.udp(server, client, (443, port), data))
        data = b"\x42" + seed[:39]
        yield frames.ether(client, server, frames.udp(client, server, (port, 443), data))


def _elephants(rng: random.Random) -> list[tuple[float, Iterator[bytes], Connection | None]]:
    """Share of the elephants' bytes, frames, and the connection to be closed at the end."""
    seed = rng.randbytes(1 << 18)
    plans = [
        (0.34, CLIENTS[0], SERVERS[0], 443, 1, WRAPS[0]),
        (0.22, CLIENTS6[1], SERVERS6[1], 443, 0, WRAPS[0]),
        (0.16, CLIENTS[2], SERVERS[2], 445, 0, WRAPS[12]),
        (0.10, CLIENTS[3], SERVERS[3], 873, 1, _in_vxlan),
        (0.06, CLIENTS[4], SERVERS[4], 22, 1, _in_gre),
    ]
    found: list[tuple[float, Iterator[bytes], Connection | None]] = []
    for n, (share, client, server, port, sender, wrap) in enumerate(plans):
        c = Connection(rng, client, server, (61000 + n, port), wrap)
        found.append((share, _download(rng, c, sender, seed), c))
    found.append((0.12, _video((CLIENTS[5], SERVERS[5]), 61010, rng, seed), None))
    return found


def packets(size: int, seed: int) -> Iterator[list[Timed]]:
    """The traffic, one slot after another, in order of time; about ``size`` bytes of file."""
    rng = random.Random(seed)
    elephants = _elephants(rng)
    slots = max(4, size // SLOT_BYTES)
    per_slot = size // slots
    background = min(BACKGROUND, per_slot // 5)
    waiting: list[Timed] = []
    for slot in range(slots):
        start = START_NS + slot * SECOND
        fresh: list[Timed] = []
        if slot % 30 == 0:
            fresh.append((start, 1, frames.lldp(SWITCH, b"switch.example.com")))
        if slot % 120 == 2:
            fresh += _scan(rng, start)
        budget = background
        while budget > 0:
            more = _short(rng, start + rng.randrange(SECOND))
            budget -= sum(len(data) + 32 for _, _, data in more)
            fresh += more
        for n, (share, stream, _) in enumerate(elephants):
            room = int((per_slot - background) * share)
            sent: list[bytes] = []
            while room > 0:
                data = next(stream)
                room -= len(data) + 34
                sent.append(data)
            step = SECOND // len(sent) if sent else SECOND
            fresh += [(start + i * step + n, n % 2, data) for i, data in enumerate(sent)]
        waiting = sorted(waiting + fresh)
        end = start + SECOND
        yield [p for p in waiting if p[0] < end]
        waiting = [p for p in waiting if p[0] >= end]
    end = START_NS + slots * SECOND
    for n, (_, _, c) in enumerate(elephants):
        if c is not None:
            closing = enumerate(c.closing())
            waiting += [(end + i * 1_000_000 + n, n % 2, data) for i, data in closing]
    yield sorted(waiting)
