"""A sensor of 30 days on a small disk: it writes day and night, and the archive is kept within its budget all the time.

The time is synthetic, the disk is real: a file system as large as the budget, which refuses any byte beyond it. The sensor
writes each file in pieces; in between the archive is planned and worked on, as the daemon does.
"""

from __future__ import annotations

import os
from pathlib import Path

import flowkeep as fk
from flowkeep.ops.retain_apply import Keeper, verify
from flowkeep.retain.model import Delete
from flowkeep.retain.policy import read_policy

from tests import wire
from tests.fault import captures
from tests.fault.captures import LEDGER, PART
from tests.retain.mounts import small
from tests.wire import SECOND, START_NS, Conversation, Packet, TcpConversation, transport

DAYS, A_DAY, PIECES = 30, 4, 2
DAY = 86_400 * SECOND
KIB = 1400
POLICY = """
journal = "{base}/journal.jsonl"
inventory = "{base}/inventory.sqlite"
[dataset.sensor]
include = ["{disk}/*.pcap"]
settle = "0s"
[dataset.sensor.budget]
disk = "{budget}"
emergency = "2kB"
[[dataset.sensor.tier]]
after = "3d"
cutoff = "20kB"
[[dataset.sensor.tier]]
after = "6d"
cutoff = "5kB"
"""


def traffic(n: int) -> list[Packet]:
    """File ``n`` of the sensor: a flow that goes on for weeks, downloads, names looked up; more by day than by night."""
    start = START_NS + n * DAY // A_DAY
    long = Conversation("10.0.0.1:5000", "10.0.0.2:6000", start_ns=start, step_ns=20 * SECOND)
    for _ in range(20):
        long.put("s", transport.udp(*long.ports("s"), bytes([n % 251]) * 1000))
    parts = [long.packets]
    for k in range(2 + n % A_DAY):
        client = f"10.{n % 200}.{k}.7:{40000 + n}"
        own = TcpConversation(client, "10.0.0.2:443", start_ns=start + (k + 1) * SECOND, step_ns=SECOND // 10)
        own.handshake()
        own.send("c", b"hello %d %d" % (n, k))
        for m in range(10 + 10 * (n % 3)):
            own.send("s", bytes([m % 251]) * 1400)
        own.close()
        parts.append(own.packets)
        parts.append(wire.udp_dialogue(client, "10.0.0.53:53", start_ns=start + (k + 1) * SECOND))
    return wire.merged(*parts)


class Sensor:
    """Writes files, and looks at the disk whenever it may."""

    def __init__(self, disk: Path, base: Path) -> None:
        self.disk, self.base = disk, base
        self.now = START_NS
        self.most = 0
        base.joinpath("policy.toml").write_text(POLICY.format(base=base, disk=disk, budget=KIB * 1024))
        self.keeper = Keeper(read_policy(base / "policy.toml"), clock=self.clock)
        self.deleted: list[str] = []
        self.failures: list[str] = []

    def clock(self) -> int:
        """Asked for before every record of the journal, between any two steps: a moment to look at the disk."""
        self.look()
        return self.now

    def look(self) -> None:
        used = sum(e.stat().st_size for e in os.scandir(self.disk) if not e.name.endswith(PART))
        self.most = max(self.most, used)
        assert used <= KIB * 1024, "the archive outgrew its budget"

    def work(self) -> None:
        """A round of the daemon."""
        [dataset] = self.keeper.policy.datasets
        plan = self.keeper.plan(dataset)
        applied = self.keeper.apply(dataset, plan)
        self.failures += [o.why for o in applied.outcomes if o.state == "failed"]
        for outcome in applied.outcomes:
            if outcome.state == "done" and isinstance(outcome.decision.action, Delete):
                self.deleted.append(Path(outcome.decision.file.path).name)
        self.look()

    def write(self, n: int) -> None:
        """A file in pieces. ENOSPC would end the test: the sensor never finds the disk full."""
        data = wire.pcap(traffic(n))
        with (self.disk / f"{n:04}.pcap").open("wb", buffering=0) as file:
            for k in range(PIECES):
                piece = data[len(data) * k // PIECES : len(data) * (k + 1) // PIECES]
                assert file.write(piece) == len(piece)
                self.now = START_NS + n * DAY // A_DAY + (k + 1) * DAY // A_DAY // PIECES
                self.look()
                if k + 1 < PIECES:
                    self.work()
        os.utime(self.disk / f"{n:04}.pcap", ns=(self.now, self.now))


def starts(packets: list[Packet], n: int) -> dict[str, bytes]:
    """The first packet of each flow that begins in file ``n``."""
    first: dict[str, bytes] = {}
    for packet in packets:
        ends = sorted([packet.data[26:30] + packet.data[34:36], packet.data[30:34] + packet.data[36:38]])
        key = repr((packet.data[23], ends))
        goes_on = (6000).to_bytes(2, "big") in (packet.data[34:36], packet.data[36:38])
        if n == 0 or not goes_on:
            first.setdefault(key, packet.data)
    return first


def test_thirty_days_within_a_disk(tmp_path: Path) -> None:
    with small(tmp_path / "disk", KIB + 128) as disk:
        sensor = Sensor(disk, tmp_path)
        written = 0
        try:
            for n in range(DAYS * A_DAY):
                sensor.write(n)
                written += (disk / f"{n:04}.pcap").stat().st_size
                sensor.work()
                here = sorted(p.name for p in disk.glob("*.pcap"))
                assert here[-1] == f"{n:04}.pcap", "the newest is there"
                # No file is lost out of order: what is there is the newest part of all.
                first = int(here[0].split(".")[0])
                assert here == [f"{k:04}.pcap" for k in range(first, n + 1)]
                if n % 10 == 9:
                    for name in here:
                        k = int(name.split(".")[0])
                        there = {r.data for r in wire.read((disk / name).read_bytes()).records}
                        missing = [key for key, data in starts(traffic(k), k).items() if data not in there]
                        assert not missing, f"{name} lacks the start of {missing}"
        finally:
            sensor.keeper.close()
        assert sensor.failures == []
        assert sensor.deleted == sorted(sensor.deleted)
        assert written > 3 * KIB * 1024, "there was more than three times what fits"
        assert sensor.most > KIB * 1024 * 0.6, "the budget is used"
        assert verify(tmp_path / "policy.toml").clean
        days = (sensor.now - fk.open(disk).flows().to_dicts()[0]["first_ts"]) / DAY
        print(
            f"{written:,} bytes in {KIB * 1024:,}; {days:.1f} days of history; {len(sensor.deleted)} files deleted"
        )
        for path in disk.glob("*.pcap"):
            ledger = path.with_name(path.name + LEDGER)
            if ledger.exists():
                rows = captures.rows(ledger.read_bytes())
                total = sum(len(p.data) for p in traffic(int(path.name.split(".")[0])))
                assert sum(r["client_bytes"] + r["server_bytes"] for r in rows) == total
