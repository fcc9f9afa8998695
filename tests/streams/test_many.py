"""Very many connections at once and one after another: the bytes are right, and memory has its bounds."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.streams import many
from tests.test_memory import peak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")

DEADLINE = 400
AT_ONCE, MOST_AT_ONCE = 100_000, 480_000_000
FEW, MORE, ONE_MORE = 20_000, 60_000, 2_800


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder in memory where there is one: so many files take minutes on some disks."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def check(folder: Path, sent: many.Bytes) -> None:
    """All streams, by what the manifest says of them, and some by what is in their files."""
    flows = json.loads((folder / "streams.json").read_text())["flows"]
    assert len(flows) == len(sent)
    for flow in flows:
        name, port = flow["client_ip"].split("."), flow["client_port"]
        own = sent[int(name[1]) * 50_000 + port - 10_000]
        for end in (0, 1):
            stream = flow[("client", "server")[end]]
            [file] = stream["files"]
            whole = own[:, end].tobytes()
            assert file["sha256"] == hashlib.sha256(whole).hexdigest()
            if flow["flow_id"] % 97 == 0:
                assert (folder / file["name"]).read_bytes() == whole


def test_a_hundred_thousand_connections_are_open_at_once(room: Path) -> None:
    sent = many.capture(room / "many.pcap", AT_ONCE, together=True)
    assert peak("streams", room / "many.pcap", "-o", room / "out", deadline=DEADLINE) < MOST_AT_ONCE
    check(room / "out", sent)


def test_a_connection_that_ended_takes_little(room: Path) -> None:
    used = []
    for n in (FEW, MORE):
        sent = many.capture(room / f"{n}.pcap", n, together=False)
        used.append(peak("streams", room / f"{n}.pcap", "-o", room / str(n), deadline=DEADLINE))
        check(room / str(n), sent)
    # A connection that is awake takes 1.4 kB, and the bytes that wait for two files a kilobyte.
    assert (used[1] - used[0]) / (MORE - FEW) < ONE_MORE
