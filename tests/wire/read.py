"""Plain capture readers, written apart from flowkeep, to look at what flowkeep wrote.

They trust their input: a damaged capture raises.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Record:
    """One packet as it stands in a capture; ``iface`` counts over all sections."""

    ts_ns: int
    data: bytes
    wirelen: int
    link: int
    iface: int = 0
    comment: str | None = None


@dataclass
class Capture:
    """A capture taken apart: its packets, and for pcapng all other blocks in order."""

    format: str
    records: list[Record] = field(default_factory=list)
    others: list[tuple[int, bytes]] = field(default_factory=list)


def read(data: bytes) -> Capture:
    """Read either format, told by content."""
    return read_pcapng(data) if data[:4] == b"\n\r\r\n" else read_pcap(data)


def read_pcap(data: bytes) -> Capture:
    """Read a pcap file of any dialect."""
    order = "<" if data[3] == 0xA1 else ">"
    magic, *_, snaplen, link = struct.unpack(order + "IHHiIII", data[:24])
    link &= 0xFFFF
    extra = 8 if magic in (0xA1B2CD34, 0xA1E2CB12) else 0
    unit = 1 if magic in (0xA1B23C4D, 0xA1E2CB12) else 1000
    names = {0xA1B2C3D4: "pcap", 0xA1B23C4D: "pcap-ns"}
    capture = Capture(names.get(magic, "pcap-modified"))
    capture.others.append((snaplen, data[:24]))
    at = 24
    while at < len(data):
        seconds, rest, caplen, wirelen = struct.unpack(order + "IIII", data[at : at + 16])
        at += 16 + extra
        packet = data[at : at + caplen]
        if len(packet) < caplen:
            raise ValueError(f"the record at byte {at} is cut short")
        time = seconds * 1_000_000_000 + rest * unit
        capture.records.append(Record(time, packet, wirelen, link))
        at += caplen
    return capture


def read_pcapng(data: bytes) -> Capture:
    """Read a pcapng file with any number of sections."""
    capture = Capture("pcapng")
    order, base, at, last = "<", 0, 0, 0
    interfaces: list[tuple[int, int, int, int]] = []  # link, snap length, ticks a second, offset
    while at < len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            base = len(interfaces)
        kind, size = struct.unpack(order + "II", data[at : at + 8])
        body = data[at + 8 : at + size - 4]
        if len(body) != size - 12 or data[at + 4 : at + 8] != data[at + size - 4 : at + size]:
            raise ValueError(f"the block at byte {at} is not whole")
        at += size
        if kind == 1:
            interfaces.append(_interface(order, body))
        if kind not in (2, 3, 6):
            capture.others.append((kind, body))
            continue
        comment = None
        if kind == 3:
            link, snaplen, _, _ = interfaces[base]
            (wirelen,) = struct.unpack(order + "I", body[:4])
            iface, start, caplen = base, 4, min(wirelen, snaplen or wirelen)
        else:
            number, high, low, caplen, wirelen = struct.unpack(order + "IIIII", body[:20])
            if kind == 2:
                (number,) = struct.unpack(order + "H", body[:2])
            iface, start = base + number, 20
            link, _, per_second, offset = interfaces[iface]
            ticks = high << 32 | low
            last = offset * 1_000_000_000 + ticks * 1_000_000_000 // per_second
            options = dict(_options(order, body[20 + caplen + -caplen % 4 :]))
            comment = options[1].decode() if 1 in options else None
        packet = body[start : start + caplen]
        capture.records.append(Record(last, packet, wirelen, link, iface, comment))
    return capture


def _interface(order: str, body: bytes) -> tuple[int, int, int, int]:
    link, _, snaplen = struct.unpack(order + "HHI", body[:8])
    options = dict(_options(order, body[8:]))
    power = options.get(9, b"\x06")[0]
    per_second = 2 ** (power & 0x7F) if power & 0x80 else 10**power
    offset = struct.unpack(order + "q", options[14])[0] if 14 in options else 0
    return link, snaplen, per_second, offset


def _options(order: str, data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 4 <= len(data):
        code, size = struct.unpack(order + "HH", data[at : at + 4])
        if code == 0:
            break
        found.append((code, data[at + 4 : at + 4 + size]))
        at += 4 + size + -size % 4
    return found
