"""Round trips and retransmissions of real captures beside those of tshark.

Round trips must agree to the digit that tshark prints. Retransmissions are defined differently (docs/guide/details.md),
so what is compared is the sum of all segments that are not in order, and some flows may differ.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from tests.oracle.conftest import DAMAGED_ON_PURPOSE, sample

CUT = {"test2.rewrite_efcs"}
"""The last bytes of the TCP header are missing: flowkeep does not read such a header, tshark what is there."""
LARGEST = 4_000_000
FILES = 120
FIELDS = (
    "tcp.stream", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport",
    "tcp.analysis.initial_rtt", "tcp.analysis.retransmission", "tcp.analysis.out_of_order",
)  # fmt: skip
Tuple = frozenset[tuple[str, str]]


def streams(path: Path) -> dict[Tuple, list[dict[str, Any]]]:
    """tshark's TCP streams by their two ends, without those inside tunnels."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "tcp and not icmp and not icmpv6", "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    found: dict[str, dict[str, Any]] = {}
    ends: dict[str, Tuple] = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        stream, src4, src6, sport, dst4, dst6, dport, rtt, again, late = line.split("\t")
        if "," in stream + src4 + src6 + sport:
            continue
        ends[stream] = frozenset([(src4 or src6, sport), (dst4 or dst6, dport)])
        entry = found.setdefault(stream, {"rtt": None, "again": 0})
        entry["again"] += bool(again) + bool(late)
        if rtt:
            entry["rtt"] = rtt
    by_ends: dict[Tuple, list[dict[str, Any]]] = defaultdict(list)
    for stream, entry in found.items():
        by_ends[ends[stream]].append(entry)
    return by_ends


def flows(path: Path) -> dict[Tuple, list[dict[str, Any]]]:
    by_ends: dict[Tuple, list[dict[str, Any]]] = defaultdict(list)
    for row in fk.open(path).flows(details=True).to_dicts():
        if row["proto"] == "tcp" and row["tunnel"] is None:
            client = (row["client_ip"], str(row["client_port"]))
            by_ends[frozenset([client, (row["server_ip"], str(row["server_port"]))])].append(row)
    return by_ends


def pairs(captures: Path) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Flow and stream of all 5-tuples that both take for one connection."""
    paths = [p for p in sample(fk.open(captures).paths, captures) if DAMAGED_ON_PURPOSE not in p.parts]
    found = []
    for path in [p for p in paths if p.stat().st_size < LARGEST][:FILES]:
        theirs, ours = streams(path), flows(path)
        for ends, rows in ours.items():
            if len(rows) == 1 and len(theirs.get(ends, ())) == 1:
                found.append((path.name, rows[0], theirs[ends][0]))
    return found


@pytest.fixture(scope="module")
def compared(captures: Path) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    if not shutil.which("tshark"):
        pytest.skip("no tshark")
    return pairs(captures)


def test_round_trips(compared: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
    wrong, agreed = [], 0
    for name, row, stream in compared:
        if not row["rtt"] or name in CUT:
            continue  # tshark takes the latest SYN where one was sent again, and 0 for not known
        if stream["rtt"] is not None and abs(round(float(stream["rtt"]) * 1e9) - row["rtt"]) <= 1:
            agreed += 1
        else:
            wrong.append(f"{name} flow {row['flow_id']}: {row['rtt']} ns, tshark {stream['rtt']} s")
    assert agreed, "nothing was compared"
    assert not wrong, "\n".join(wrong)


def test_segments_that_are_not_in_order(compared: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
    kinds = [f"{end}_{what}" for end in ("client", "server") for what in ("retransmitted", "out_of_order")]
    differ = []
    for name, row, stream in compared:
        ours = sum(row[kind] for kind in kinds)
        if ours != stream["again"]:
            differ.append(f"{name} flow {row['flow_id']}: {ours}, tshark {stream['again']}")
    assert compared, "nothing was compared"
    assert len(differ) <= len(compared) // 50, "\n".join(differ)
