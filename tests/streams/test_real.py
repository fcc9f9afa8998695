"""Every clean TCP stream of the real captures is that of ``tshark -z follow``; where not, the page says why."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from tests.oracle.conftest import DAMAGED_ON_PURPOSE, sample
from tests.oracle.conftest import captures as captures

STREAMS = 60
"""Streams of a capture that are compared; tshark goes through the capture once for all of them."""
LARGEST = 2_000_000
"""Bytes of a capture that is compared; of larger ones there are few, and tshark is slow."""

Ends = frozenset[str]


def end(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def followed(path: Path) -> dict[Ends, list[dict[str, bytes]]]:
    """By the two ends of each stream: the bytes each sent, as tshark puts them together."""
    line = ["tshark", "-n", "-r", str(path), "-q"]
    for number in range(STREAMS):
        line += ["-z", f"follow,tcp,raw,{number}"]
    # tshark may stop at damage; what it has seen by then counts.
    text = subprocess.run(line, capture_output=True, check=False, text=True, errors="replace").stdout
    found: dict[Ends, list[dict[str, bytes]]] = defaultdict(list)
    for part in text.split("Follow: tcp,raw\n")[1:]:
        rows = part.splitlines()
        nodes = [row.split(": ", 1)[1] for row in rows[1:3]]
        halves = [bytearray(), bytearray()]
        for row in rows[3:]:
            if row.startswith("="):
                break
            halves[row.startswith("\t")] += bytes.fromhex(row.strip())
        if nodes[0] != ":0":
            found[frozenset(nodes)].append({n: bytes(h) for n, h in zip(nodes, halves, strict=True)})
    return found


def rebuilt(path: Path, out: Path) -> dict[Ends, list[tuple[dict[str, Any], dict[str, bytes]]]]:
    """By the two ends: the manifest's word of each flow, and the bytes."""
    fk.open(path).streams(out, gaps="omit")
    found = defaultdict(list)
    for flow in json.loads((out / "streams.json").read_text())["flows"]:
        ends = {name: end(flow[f"{name}_ip"], flow[f"{name}_port"]) for name in ("client", "server")}
        data = {
            ends[name]: b"".join((out / f["name"]).read_bytes() for f in flow[name]["files"] if f["name"])
            for name in ends
        }
        found[frozenset(ends.values())].append((flow, data))
    return found


def clean(flow: dict[str, Any]) -> bool:
    """Whether nothing about the flow is missing or uncertain, so that there is but one answer."""
    return not flow["unreadable_packets"] and not flow["fragments_incomplete"] and all(
        not flow[name][what] for name in ("client", "server") for what in ("gaps", "overlaps", "anomalies")
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_clean_streams_are_those_of_tshark(captures: Path, tmp_path: Path) -> None:
    paths = [
        p for p in fk.open(captures).paths
        if DAMAGED_ON_PURPOSE not in p.parts and p.stat().st_size < LARGEST
    ]  # fmt: skip
    compared, different = 0, []
    for number, path in enumerate(sample(paths, captures)):
        own = rebuilt(path, tmp_path / str(number))
        if not any(clean(flow) and any(data.values()) for flows in own.values() for flow, data in flows):
            continue
        theirs = followed(path)
        for ends, flows in own.items():
            # Sessions on one 5-tuple are told apart by other rules.
            if len(flows) != 1 or len(theirs.get(ends, ())) != 1 or len(ends) == 1:
                continue
            flow, data = flows[0]
            if clean(flow):
                compared += 1
                if data != theirs[ends][0]:
                    different.append((str(path.relative_to(captures)), flow["flow_id"]))
        shutil.rmtree(tmp_path / str(number))
    print(f"{compared} clean streams compared")
    assert compared > 0
    assert not different, f"{len(different)} of {compared}: {different[:20]}"
