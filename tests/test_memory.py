"""Peak memory of whole commands: what is promised besides and for each flow."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wire
from tests.cli.command import DEADLINE, ENV

BASE = 150_000_000
A_FLOW = 250
FLOWS = 100_000

# With --identify: what is remembered of each flow, the starts of flows that wait, and the text of names.
ANOTHER = 100
WAITING = 256 << 20
NAMES = 128 << 20
MANY = 1_000_000

# The peak of the process that ran the command itself: what the kernel tells its parent may be that of
# the parent at the moment of the start.
PEAK = """
import sys
from flowkeep.cli.app import run
status = run(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak.split()[1]) * 1024)
sys.exit(status)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


def peak(*args: str | Path, deadline: int = DEADLINE) -> int:
    """Bytes of memory that a command had at most."""
    command = [sys.executable, "-c", PEAK, *map(str, args)]
    done = subprocess.run(command, capture_output=True, timeout=deadline, check=True, env=ENV)
    return int(done.stdout.split()[-1])


def capture(path: Path, frames: Iterator[bytes]) -> Path:
    with path.open("wb") as file:
        file.write(wire.pcap([]))
        for n, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000 + n // 10_000, n % 10_000, len(frame), len(frame)))
            file.write(frame)
    return path


@pytest.fixture(scope="module")
def elephants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 MB of 50 flows: more than the bound, so that holding the file breaks it."""
    frames = [
        wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.tcp(40_000 + n, 443, b"x" * 1460)))
        for n in range(50)
    ]
    path = tmp_path_factory.mktemp("memory") / "elephants.pcap"
    return capture(path, (bytes(frames[n % 50]) for n in range(200_000_000 // 1530)))


@pytest.fixture(scope="module")
def mice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows of three packets."""
    body = bytes(wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(40_000, 53, b"question"))))

    def frames() -> Iterator[bytes]:
        for n in range(FLOWS):
            frame = body[:27] + n.to_bytes(3, "big") + body[30:]  # the source is 10.x.x.x
            yield from [frame] * 3

    return capture(tmp_path_factory.mktemp("memory") / "mice.pcap", frames())


def mice_of_names(path: Path, lan: bytes) -> Path:
    """A million flows of one packet each, with another name in each."""
    cut = lan.index(b"aaaaaa")

    def frames() -> Iterator[bytes]:
        for n in range(MANY):
            source = lan[:27] + n.to_bytes(3, "big") + lan[30:cut]  # the source is 10.x.x.x
            yield source + b"%06x" % n + lan[cut + 6 :]

    return capture(path, frames())


def test_flows_of_elephants(elephants: Path, tmp_path: Path) -> None:
    assert peak("flows", elephants, "--format", "arrow", "-o", tmp_path / "flows.arrow") <= BASE


def test_trim_of_elephants(elephants: Path, tmp_path: Path) -> None:
    assert peak("trim", "102400", elephants, "--output", tmp_path / "out") <= BASE


def test_flows_of_mice(mice: Path, tmp_path: Path) -> None:
    table = tmp_path / "flows.arrow"
    used = peak("flows", mice, "--format", "arrow", "-o", table)
    assert used <= BASE + A_FLOW * FLOWS
    # The flows were really there.
    pyarrow = pytest.importorskip("pyarrow")
    with pyarrow.OSFile(str(table)) as file:
        assert pyarrow.ipc.open_file(file).read_all().num_rows == FLOWS


def test_trim_of_mice(mice: Path, tmp_path: Path) -> None:
    assert peak("trim", "102400", mice, "--output", tmp_path / "out") <= BASE + A_FLOW * FLOWS


@pytest.mark.parametrize(
    ("flags", "answer", "room"),
    [
        # Questions wait for answers that never come.
        (b"\x01\x00\x00\x01\x00\x00", b"", WAITING),
        # Answers wait, too, and name an address.
        (
            b"\x81\x80\x00\x01\x00\x01",
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04",
            WAITING + NAMES,
        ),
    ],
    ids=["questions", "answers"],
)
def test_flows_of_mice_that_are_identified(flags: bytes, answer: bytes, room: int, tmp_path: Path) -> None:
    name = b"\x06aaaaaa\x07example\x00\x00\x01\x00\x01"
    message = b"\x12\x34" + flags + bytes(4) + name + answer
    body = bytes(wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(40_000, 53, message))))
    table = tmp_path / "flows.arrow"
    path = mice_of_names(tmp_path / "mice.pcap", body)
    used = peak("flows", path, "--identify", "--format", "arrow", "-o", table)
    assert used <= BASE + (A_FLOW + ANOTHER) * MANY + room
    pyarrow = pytest.importorskip("pyarrow")
    with pyarrow.OSFile(str(table)) as file:
        services = pyarrow.ipc.open_file(file).read_all().column("service")
    # Those are named, too, that are decided at once because the room is used up.
    assert len(services) == MANY and services.null_count == 0
