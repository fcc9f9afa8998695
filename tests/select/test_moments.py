"""Times by the captures."""

from __future__ import annotations

from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.errors import UsageError
from flowkeep.units import Moment, parse_moment, parse_time

from tests import wire
from tests.cli import command
from tests.wire import SECOND, START_NS


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("end", Moment("end", 0)), ("end-2h", Moment("end", 7200 * SECOND)), ("start", Moment("start", 0)),
        (" start + 0.5s ", Moment("start", SECOND // 2)), ("2024-05-01", parse_time("2024-05-01")),
    ],
)  # fmt: skip
def test_moments_are_read(text: str, moment: int | Moment) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text", ["end+1h", "start-1h", "end-", "end-2 parsecs", "end-1..2s", "begin", "end-2024-05-01"]
)
def test_what_is_no_moment_is_explained(text: str) -> None:
    with pytest.raises(UsageError):
        parse_moment(text)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Three flows, seen in the seconds 0, 100 and 200 to 200.1."""
    talks = [
        wire.udp_dialogue(
            f"10.0.0.{n}:5000", "10.0.0.9:53", script=[("c", b"?")], start_ns=START_NS + n * 100 * SECOND
        )
        for n in range(3)
    ]
    last = wire.udp_dialogue(
        "10.0.0.2:5000", "10.0.0.9:53", script=[("c", b"!")], start_ns=START_NS + 200 * SECOND + SECOND // 10
    )
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap([p for talk in [*talks, last] for p in talk]))
    return path


@pytest.mark.parametrize(
    ("since", "until", "ids"),
    [
        ("start", "end", [0, 1, 2]), ("start+1s", None, [1, 2]), (None, "start", [0]), (None, "start+100s", [0, 1]),
        ("end", None, [2]), ("end-100.1s", None, [1, 2]), ("end-100s", None, [2]), (None, "end-100ms", [0, 1, 2]),
        (None, "end-101ms", [0, 1]), ("1s", None, []), (None, "1s", [0, 1, 2]),
    ],
)  # fmt: skip
def test_flows_are_chosen_by_the_captures_own_time(
    capture: Path, since: str | None, until: str | None, ids: list[int]
) -> None:
    query = fk.FlowQuery(
        since_ns=None if since is None else parse_moment(since),
        until_ns=None if until is None else parse_moment(until),
    )
    assert query.ids(fk.open(capture).flows()) == ids


def test_no_flows_have_no_time(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(
        wire.pcap([wire.Packet(START_NS, bytes(wire.ether(wire.arp("10.0.0.1", "10.0.0.2"))))])
    )
    done = command.run(
        "flows", tmp_path / "a.pcap", "--since", "end-1h", "--flow-filter", "tcp", "--format", "ndjson"
    )
    assert (done.returncode, done.stdout) == (0, b"")
