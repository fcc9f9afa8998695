"""Archives in folders: captures that share flows, an age apart, and policies for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests import wire
from tests.fault import captures
from tests.fault.captures import LEDGER, PART
from tests.wire import SECOND, START_NS, Conversation, Packet, TcpConversation, transport

DAY = 86_400 * SECOND
POLICY = """
journal = "{folder}/journal.jsonl"
inventory = "{folder}/inventory.sqlite"
[dataset.nsm]
include = ["{folder}/nsm/*.pcap"]
settle = "0s"
{more}
[[dataset.nsm.tier]]
after = "3d"
cutoff = "20kB"
[[dataset.nsm.tier]]
after = "6d"
cutoff = "5kB"
[[dataset.nsm.tier]]
after = "30d"
cutoff = "1kB"
rest = "headers"
[[dataset.nsm.tier]]
after = "60d"
flows-only = true
[[dataset.nsm.tier]]
after = "90d"
delete = true
"""
"""A ladder with all its kinds of rungs."""


def day(n: int, packets: int = 60) -> list[Packet]:
    """The traffic of a day: a download that goes on for days, one of that day, a name looked up."""
    start = START_NS + n * DAY
    long = Conversation("10.0.0.1:5000", "10.0.0.2:6000", start_ns=start, step_ns=SECOND)
    for k in range(packets):
        way = "s" if k % 3 else "c"
        long.put(way, transport.udp(*long.ports(way), bytes([n % 251]) * 1000))  # type: ignore[arg-type]
    own = TcpConversation(
        f"10.1.0.{n % 250}:40000", "10.0.0.2:443", start_ns=start + 7 * SECOND, step_ns=SECOND // 10
    )
    own.handshake()
    for k in range(packets):
        own.send("s", bytes([k % 251]) * 1400)
    own.close()
    name = wire.udp_dialogue(f"10.1.0.{n % 250}:40001", "10.0.0.53:53", start_ns=start + 6 * SECOND)
    return wire.merged(long.packets, own.packets, name)


def write_day(folder: Path, n: int, packets: int = 60) -> Path:
    """The capture of a day, as the sensor leaves it."""
    path = folder / "nsm" / f"{n:03}.pcap"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wire.pcap(day(n, packets)))
    when = START_NS + n * DAY + 70 * SECOND
    os.utime(path, ns=(when, when))
    return path


def write_policy(folder: Path, more: str = "", text: str = POLICY) -> Path:
    """The policy, beside the archive."""
    path = folder / "policy.toml"
    path.write_text(text.format(folder=folder, more=more))
    return path


def at(days: float) -> int:
    """So many days after the first packet."""
    return START_NS + int(days * DAY) + 100 * SECOND


def journal(folder: Path) -> list[dict[str, Any]]:
    """The records, as they stand there."""
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def content(folder: Path) -> dict[str, Any]:
    """What an archive holds: captures, and ledgers as rows; the kitchen is left out."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "nsm").iterdir()):
        data = path.read_bytes()
        found[path.name] = captures.rows(data) if path.name.endswith(LEDGER) else data
    return found


def parts(folder: Path) -> list[str]:
    """What is half made."""
    return [path.name for path in (folder / "nsm").iterdir() if path.name.endswith(PART)]
