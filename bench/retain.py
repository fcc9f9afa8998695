"""How long ``flowkeep retain plan`` takes for an archive of many files, first and again.

::

    python bench/retain.py 100000 /var/tmp/archive

Makes that many trimmed captures with ledgers (about 25 kB each) unless they are there. Prints seconds of
processor time (user and system) of the whole command, interpreter start included, with and without a budget.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import flowkeep as fk
from flowkeep import _native

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import wire

DAY = 86_400_000_000_000
A_FOLDER = 500
POLICY = """
inventory = "inventory.sqlite"
[dataset.many]
include = "{place}/**/*.pcap"
[[dataset.many.tier]]
after = "3d"
cutoff = "1MB"
[[dataset.many.tier]]
after = "6d"
cutoff = "100kB"
[[dataset.many.tier]]
after = "30d"
cutoff = "1kB"
"""
BUDGET = '[dataset.many.budget]\ndisk = "{room}"\nheadroom = 0\n'


def make(place: Path, files: int) -> None:
    """Files of which each has a few flows, one file every ten minutes until now."""
    seed = place / "seed"
    seed.mkdir(parents=True)
    flows = [
        wire.tcp_session(f"10.0.0.{n}:40000", "10.1.0.1:443", [("s", bytes(600 * n))]) for n in range(1, 5)
    ]
    (seed / "x.pcap").write_bytes(wire.pcap(wire.merged(*flows)))
    fk.open(seed / "x.pcap").trim("20kB", in_place=True)
    capture, ledger = (seed / "x.pcap").read_bytes(), (seed / "x.pcap.ledger.arrow").read_bytes()
    metadata, why = _native.ledger_metadata([str(seed / "x.pcap.ledger.arrow")])[0]
    assert metadata is not None, why
    times = [metadata["first_ts"].encode(), metadata["curve"].split(" ")[3].encode()]
    now = time.time_ns()
    for n in range(files):
        folder = place / f"{n // A_FOLDER:04}"
        if n % A_FOLDER == 0:
            folder.mkdir(exist_ok=True)
        at = now - (files - n) * DAY // 144
        own = ledger
        for known in times:
            own = own.replace(known, str(at).encode())  # as many digits
        for name, data in ((f"{n:06}.pcap", capture), (f"{n:06}.pcap.ledger.arrow", own)):
            (folder / name).write_bytes(data)
            os.utime(folder / name, ns=(now, at))
    for path in seed.iterdir():
        path.unlink()
    seed.rmdir()


def measure(policy: Path, what: str) -> None:
    """Run the command and print what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flowkeep", "retain", "plan", policy],
        capture_output=True,
        text=True,
        check=True,
    )
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    last = done.stdout.rstrip().splitlines()[-1]
    print(f"{what:28} {user:6.2f} user {system:6.2f} sys {wall:6.2f} wall  {last}", flush=True)


def main() -> None:
    """Make and measure."""
    files, place = int(sys.argv[1]), Path(sys.argv[2]).absolute()
    if not place.exists():
        make(place, files)
    policy = place.with_name(place.name + ".toml")
    plain = POLICY.format(place=place)
    for text, what in (
        (plain, "tiers"),
        (plain + BUDGET.format(room="100GB"), "budget that has room"),
        (plain + BUDGET.format(room=f"{files * 20}kB"), "budget that asks"),
    ):
        policy.write_text(text)
        place.with_name("inventory.sqlite").unlink(missing_ok=True)
        measure(policy, f"{what}, first time")
        measure(policy, f"{what}, again")


if __name__ == "__main__":
    main()
