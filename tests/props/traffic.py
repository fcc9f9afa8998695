"""Generated traffic: conversations of all kinds between few hosts, so that they meet."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import strategies as st

from tests import wire
from tests.model import Policy
from tests.wire import MILLISECOND, SECOND, START_NS, Packet, samples

HOSTS4, HOSTS6 = ("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")
PORTS = (40000, 40001, 53, 443)
IPV4_TUNNELS = sorted(name for name, (_, version, _) in samples.TUNNELS.items() if version == 4)

starts = st.integers(0, 400).map(lambda n: START_NS + n * SECOND // 2)
steps = st.sampled_from([1, MILLISECOND, SECOND, 25 * SECOND, 61 * SECOND])
scripts = st.lists(st.tuples(st.sampled_from("cs"), st.integers(0, 900).map(lambda n: b"x" * n)), max_size=5)
wraps = st.one_of(
    st.none(),
    st.sampled_from(IPV4_TUNNELS).map(lambda name: samples.TUNNELS[name][2]),
    st.sampled_from([7, 8]).map(lambda vid: lambda p: wire.vlan(p, vid)),
)


@st.composite
def ends(draw: st.DrawFn, *, only4: bool = False) -> tuple[str, str]:
    hosts = draw(st.sampled_from([HOSTS4] if only4 else [HOSTS4, HOSTS6]))
    pair = draw(st.permutations(hosts)) if draw(st.booleans()) else hosts[:1] * 2
    shape = "[{}]:{}" if ":" in hosts[0] else "{}:{}"
    ports = draw(st.permutations(PORTS))  # never twice the same end
    client, server = (shape.format(host, port) for host, port in zip(pair, ports, strict=False))
    return client, server


@st.composite
def tcp(draw: st.DrawFn) -> list[Packet]:
    wrap = draw(wraps)
    packets = wire.tcp_session(
        *draw(ends(only4=wrap is not None)),
        draw(scripts),  # type: ignore[arg-type]
        mss=draw(st.sampled_from([200, 1460])),
        syn=draw(st.booleans()),
        end=draw(st.sampled_from(["fin", "rst", "none"])),  # type: ignore[arg-type]
        isn=(draw(st.sampled_from([1000, 1500, 70_000, 2**32 - 100])), 9000),
        window=draw(st.sampled_from([0, 500, 65535])),
        scale=draw(st.sampled_from([None, 0, 7, 200])),
        start_ns=draw(starts),
        step_ns=draw(steps),
        wrap=wrap,
    )
    return packets[draw(st.integers(0, 3)) :]


@st.composite
def udp(draw: st.DrawFn) -> list[Packet]:
    wrap = draw(wraps)
    both, script = draw(ends(only4=wrap is not None)), draw(scripts)
    return wire.udp_dialogue(*both, script, start_ns=draw(starts), step_ns=draw(steps), wrap=wrap)  # type: ignore[arg-type]


@st.composite
def fragments(draw: st.DrawFn) -> list[Packet]:
    """A datagram in up to four fragments, some lost, in any order."""
    version, size, ident = (
        draw(st.sampled_from([4, 6])),
        draw(st.sampled_from([400, 800])),
        draw(st.integers(1, 2)),
    )
    body = wire.udp(draw(st.sampled_from(PORTS)), 9, bytes(draw(st.integers(500, 1500))))
    cut = wire.ip4_fragments if version == 4 else wire.ip6_fragments
    pieces = cut(*(HOSTS4 if version == 4 else HOSTS6), body, size=size, ident=ident)
    frames = [wire.ether(p) for p in pieces]  # VLAN tags: see the test of fragments in two VLANs
    chosen = draw(st.lists(st.sampled_from(frames), unique_by=id, max_size=4))
    start, step = draw(starts), draw(steps)
    return [Packet(start + n * step, bytes(frame)) for n, frame in enumerate(chosen)]


@st.composite
def others(draw: st.DrawFn) -> list[Packet]:
    frame = draw(
        st.sampled_from(
            [
                wire.ether(wire.arp("10.0.0.1", "10.0.0.2")),
                wire.stp(),
                wire.ether(wire.ip4(*HOSTS4, wire.ping())),
                wire.ether(wire.ip4(*reversed(HOSTS4), wire.ping(reply=True))),
                *(wire.ether(wire.ip4(*HOSTS4, segment)) for segment in samples.TRANSPORTS.values()),
            ]
        )
    )
    start, step = draw(starts), draw(steps)
    return [Packet(start + n * step, bytes(frame)) for n in range(draw(st.integers(1, 4)))]


@st.composite
def traffic(draw: st.DrawFn) -> list[Packet]:
    """Conversations mixed by time, some packets snapped or with bytes changed."""
    packets = wire.merged(*draw(st.lists(st.one_of(tcp(), udp(), fragments(), others()), max_size=8)))
    for at in draw(st.lists(st.integers(0, 60), max_size=4)):
        if at < len(packets):
            packets[at] = packets[at].snapped(draw(st.integers(0, 90)))
    for at in draw(st.lists(st.integers(0, 60), max_size=4)):
        if at < len(packets) and packets[at].data:
            old, data = packets[at], bytearray(packets[at].data)
            data[draw(st.integers(0, min(len(data), 120) - 1))] = draw(st.integers(0, 255))
            packets[at] = Packet(old.ts_ns, bytes(data), old.wirelen)
    return packets


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    rest = draw(st.sampled_from(["cut", "headers", "sample"]))
    return Policy(
        draw(st.one_of(st.integers(0, 300), st.integers(0, 6000))),
        count=draw(st.sampled_from(["frame", "wire", "payload"])),  # type: ignore[arg-type]
        per_direction=draw(st.booleans()),
        control=draw(st.sampled_from(["keep", "drop"])),  # type: ignore[arg-type]
        rest=rest,  # type: ignore[arg-type]
        sample=draw(st.integers(1, 4)) if rest == "sample" else 0,
        tail=draw(st.integers(0, 2000)) if rest == "cut" else 0,
    )


def files(packets: list[Packet], cuts: list[float], folder: Path) -> list[Path]:
    """The packets in files of a folder, in order; ``cuts``: where they are split, as shares of all."""
    folder.mkdir(exist_ok=True)
    at = [0, *sorted(int(cut * len(packets)) for cut in cuts), len(packets)]
    paths = []
    for n, (a, b) in enumerate(itertools.pairwise(at)):
        path = folder / f"{n}.pcap"
        path.write_bytes(wire.pcap(packets[a:b]))
        paths.append(path)
    return paths
