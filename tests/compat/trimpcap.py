"""TrimPCAP 1.3 from its observed behaviour, with the two libraries it stands on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

import dpkt
from repoze.lru import LRUCache

from tests.wire.read import Record

SLL, NULL, LOOP, RAW = 113, 0, 108, 12
ETHERNET = (1, 6)


class TrimPcap:
    """Decides about one packet after another, for all files of a call."""

    def __init__(self, limit: int, entries: int = 10_000) -> None:
        self.limit = limit
        self.counters = LRUCache(entries)

    def keeps(self, link: int, data: bytes) -> bool:
        """Whether the next packet is kept."""
        key = _key(_network(link, data))
        total = self.counters.get(key, 0) + len(data)
        self.counters.put(key, total)
        return total < self.limit

    def kept(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records that are kept."""
        return (r for r in records if self.keeps(r.link, r.data))


def _network(link: int, data: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if link in ETHERNET:
                frame = dpkt.ethernet.Ethernet(data)
                return frame.data if frame.type == dpkt.ethernet.ETH_TYPE_IP else None
            if link == SLL:
                return dpkt.sll.SLL(data).data
            if link in (NULL, LOOP):
                return dpkt.loopback.Loopback(data).data
            if link == RAW:
                return dpkt.ip.IP(data)
        except (dpkt.UnpackError, IndexError):
            pass
    return None


def _key(packet: object) -> str | None:
    if isinstance(packet, dpkt.ip6.IP6):
        return f"{packet.p} {' '.join(sorted((packet.src.hex(), packet.dst.hex())))}"
    if not isinstance(packet, dpkt.ip.IP):
        return None
    ends = [packet.src.hex(), packet.dst.hex()]
    if isinstance(packet.data, dpkt.tcp.TCP | dpkt.udp.UDP):
        ends = [f"{ends[0]}:{packet.data.sport}", f"{ends[1]}:{packet.data.dport}"]
    return f"{packet.p} {' '.join(sorted(ends))}"
