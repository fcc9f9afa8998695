"""How far back the cache remembers, beside a plain ring of packets in as much memory.

    python bench/lookback.py                        # a week; prints, and writes docs/lookback.svg
    python bench/lookback.py --flows 1000 --no-plot # only that it runs

Made is a week of traffic of a small network. What it follows is published: at the border of a
laboratory 12 % of the
connections were larger than 20 kB and carried 96 % of the bytes, and cutting all at 20 kB left 2 % of
the traffic (Kornexl and others, "Building a time
machine", IMC 2005); 91 to 94 % of connections have no more than 10 kB (Maier and others, SIGCOMM 2008).
Sizes of the large ones have a Pareto
tail. There are days and nights, weekends, questions to name servers, beacons every few minutes, and
packets that nobody answers.

A flow can be read back when all of its packets within its first 10 kB are held. Look-back is the
longest time such that of all flows that
began within it, 95 % can be read back.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import struct
import sys
import tempfile
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import flowkeep as fk

WEEK = 7 * 86_400
START = 1_700_000_000 // 86_400 * 86_400
FIRST = 10_000
SHARE = 0.95
MTU = 1460
PLOT = Path(__file__).parents[1] / "docs" / "lookback.svg"


@dataclass
class Flow:
    """When it begins, and its packets: seconds since, from the server?, payload."""

    begin: float
    udp: bool
    packets: list[tuple[float, bool, int]]


def busy(second: float) -> float:
    """Traffic by the time of the week, at most 1. The week begins and ends on a Wednesday at 16:00."""
    day, hour = divmod(second / 3600 + 16, 24)
    work = 0.15 + 0.85 * max(0.0, math.sin((hour - 6) / 14 * math.pi)) if 6 < hour < 20 else 0.15
    return work * (0.3 if day % 7 in (3, 4) else 1.0)


def transfer(rng: random.Random, size: int) -> list[tuple[float, bool, int]]:
    """A TCP connection in which the server sends so many bytes."""
    packets = [(0.0, False, -1), (0.02, True, -2), (0.04, False, 0), (0.05, False, min(500, size + 80))]
    rate = 10 ** rng.uniform(5, 6.8)  # bytes a second
    at, left = 0.08, size
    n = 0
    while left > 0:
        part = min(MTU, left)
        packets.append((at, True, part))
        left -= part
        at += part / rate
        n += 1
        if n % (2 if size < 10**7 else 20) == 0:
            packets.append((at, False, 0))
    packets += [(at + 0.01, False, -3), (at + 0.03, True, -3)]
    return packets


def make(flows: int, seed: int = 7) -> list[Flow]:
    """The flows of a week, by their begin."""
    rng, made = random.Random(seed), []
    while len(made) < flows * 0.95:
        begin = rng.uniform(0, WEEK)
        if rng.random() > busy(begin):
            continue
        kind = rng.random()
        if kind < 0.42:  # a name is asked for
            packets = [(0.0, False, rng.randint(28, 50)), (0.02, True, rng.randint(60, 300))]
            made.append(Flow(begin, True, packets))
        elif kind < 0.50:  # nobody answers
            made.append(Flow(begin, rng.random() < 0.5, [(0.0, False, -1)]))
        elif kind < 0.88:
            made.append(Flow(begin, False, transfer(rng, int(min(rng.lognormvariate(7.6, 0.8), 20_000)))))
        else:
            made.append(Flow(begin, False, transfer(rng, int(min(20_000 / rng.random() ** (1 / 0.65), 4e8)))))
    every = WEEK / (flows * 0.05 / 3)
    for host in range(3):  # beacons
        begin = host * every / 3
        while begin < WEEK:
            made.append(Flow(begin + rng.uniform(0, 2), False, transfer(rng, 300)))
            begin += every
    made.sort(key=lambda flow: flow.begin)
    return made


def frame(number: int, index: int, flow: Flow, from_server: bool, payload: int) -> bytes:
    """A packet; its Ethernet addresses are the numbers of flow and packet."""
    client, server = 0x0A000000 | number >> 14, 0xC0000200 | number % 200
    ports = (20_000 + (number & 0x3FFF), 53 if flow.udp else 443)
    flags = {-1: 0x02, -2: 0x12, -3: 0x11}.get(payload, 0x18 if payload else 0x10)
    size = max(payload, 0)
    head = 8 if flow.udp else 20
    ip = struct.pack(
        ">HHHHBBHII", 0x4500, 20 + head + size, 0, 0, 64, 17 if flow.udp else 6, 0,
        *((server, client) if from_server else (client, server)),
    )  # fmt: skip
    source, target = ports[::-1] if from_server else ports
    if flow.udp:
        transport = struct.pack(">HHHH", source, target, 8 + size, 0)
    else:
        transport = struct.pack(">HHIIBBHHH", source, target, index * MTU, 0, 0x50, flags, 65_535, 0, 0)
    return struct.pack(">HIHI2s", 0x0200, number, 0x0200, index, b"\x08\x00") + ip + transport + bytes(size)


def packets_of(flows: list[Flow]) -> list[tuple[float, int, int]]:
    """Time, flow and place in the flow of every packet, in the order of time."""
    everything = [
        (flow.begin + at, number, index)
        for number, flow in enumerate(flows)
        for index, (at, _, _) in enumerate(flow.packets)
    ]
    everything.sort()
    return everything


def length(flow: Flow, payload: int) -> int:
    """Of a frame."""
    return 14 + 20 + (8 if flow.udp else 20) + max(payload, 0)


def beginning(flow: Flow) -> int:
    """Packets within its first 10 kB."""
    totals = accumulate(length(flow, payload) for _, _, payload in flow.packets)
    return max(1, sum(total <= FIRST for total in totals))


def look_back(flows: list[Flow], readable: list[bool], now: float) -> float:
    """Seconds."""
    good, best = 0, 0.0
    for n, number in enumerate(reversed(range(len(flows))), 1):
        good += readable[number]
        if good >= SHARE * n:
            best = now - flows[number].begin
    return best


def in_ring(flows: list[Flow], order: list[tuple[float, int, int]], memory: int) -> list[bool]:
    """Whose beginning a ring of packets holds: 16 bytes and the frame each."""
    used, first = 0, len(order)
    while first and used <= memory:
        first -= 1
        _, number, index = order[first]
        used += 16 + length(flows[number], flows[number].packets[index][2])
    oldest = order[first][0]
    return [flow.begin > oldest for flow in flows]


def write(path: Path, flows: list[Flow], order: list[tuple[float, int, int]]) -> None:
    """A capture of these packets."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for at, number, index in order:
            flow = flows[number]
            _, from_server, payload = flow.packets[index]
            data = frame(number, index, flow, from_server, payload)
            seconds = int(at)
            file.write(struct.pack("<IIII", START + seconds, int((at - seconds) * 1e9), len(data), len(data)))
            file.write(data)


def in_cache(flows: list[Flow], cache: fk.Cache) -> list[bool]:
    """Whose beginning the cache holds."""
    held = [0] * len(flows)
    capture = b"".join(cache.read(format="pcap"))
    at = 24
    while at < len(capture):
        size = struct.unpack_from("<I", capture, at + 8)[0]
        number = struct.unpack_from(">I", capture, at + 18)[0]
        index = struct.unpack_from(">I", capture, at + 24)[0]
        # Packets of a flow come in their order, so its beginning is as long as they follow one another.
        held[number] += index == held[number]
        at += 16 + size
    return [n >= beginning(flow) for n, flow in zip(held, flows, strict=True)]


def plot(
    flows: list[Flow], sets: dict[str, list[bool]], backs: dict[str, float], path: Path, about: str
) -> None:
    """Share of readable flows by how long ago they began."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "flowkeep"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4))
    begins = [flow.begin for flow in flows]
    for name, readable in sets.items():
        ages, shares = [], []
        for hour in range(0, 168, 2):
            low, high = (bisect_left(begins, WEEK - h * 3600) for h in (hour + 2, hour))
            if high > low:
                ages.append((hour + 1) / 24)
                shares.append(100 * sum(readable[low:high]) / (high - low))
        axes.plot(ages, shares, label=f"{name}: {backs[name] / 3600:.1f} h")
    axes.set_xlabel("days since a flow began")
    axes.set_ylabel("flows whose first 10 kB can be read, %")
    axes.set_title(about, fontsize=10)
    axes.set_ylim(0, 102)
    axes.legend(title="look-back of 95 % of flows")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Run as a program; the status is 1 when the cache does not reach twenty times as far."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--flows", type=int, default=20_000)
    parser.add_argument("--memory", type=int, default=0, help="bytes; 0: in proportion to the flows")
    parser.add_argument("--curve")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--no-plot", action="store_true")
    parser.add_argument("--output", type=Path, default=PLOT)
    options = parser.parse_args()
    flows = make(options.flows, options.seed)
    order = packets_of(flows)
    memory = options.memory or max(options.flows * 2600, 1 << 21)
    large = [flow for flow in flows if sum(length(flow, p) for _, _, p in flow.packets) > FIRST]
    total = sum(length(flows[number], flows[number].packets[index][2]) for _, number, index in order)
    big = sum(length(flow, p) for flow in large for _, _, p in flow.packets)
    print(
        f"{len(flows):,} flows, {len(order):,} packets, {total / 1e6:,.0f} MB in a week, "
        f"{memory / 1e6:.0f} MB of memory"
    )
    print(f"flows of more than 10 kB: {len(large) / len(flows):.1%}, with {big / total:.1%} of the bytes")
    cache, fed, ratios = fk.Cache(memory, curve=options.curve), 0, []
    sets: dict[str, list[bool]] = {}
    backs: dict[str, float] = {}
    for day in (4, 5, 6, 7):  # the same hour of four days, the last ones of the week
        now = day * 86_400.0
        upto = bisect_left(order, (now, 0, 0))
        known = flows[: bisect_left(flows, now, key=lambda flow: flow.begin)]
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            write(Path(folder) / "days.pcap", flows, order[fed:upto])
            cache.native.replay(str(Path(folder) / "days.pcap"), jobs=1)
        fed = upto
        sets = {"cache": in_cache(known, cache), "ring of packets": in_ring(known, order[:upto], memory)}
        backs = {name: look_back(known, readable, now) for name, readable in sets.items()}
        ratios.append(backs["cache"] / max(backs["ring of packets"], 1.0))
        said = ", ".join(f"{name} {seconds / 3600:.1f} h" for name, seconds in backs.items())
        print(f"day {day}: {said}: {ratios[-1]:.1f} times as far")
    ratio = statistics.median(ratios)
    print(f"median: {ratio:.1f} times as far; {cache!r}")
    if not options.no_plot:
        about = (
            f"{memory / 1e6:.0f} MB of memory, {total / 1e9:.1f} GB of traffic in a week, "
            f"{len(flows):,} flows"
        )
        plot(known, sets, backs, options.output, about)
    return 0 if ratio >= 20 else 1


if __name__ == "__main__":
    sys.exit(main())
