"""Flows with a cutoff of their own: as the plain model says, for any split into files and any number of threads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import flowkeep as fk
import pytest
from flowkeep.cut import CutPolicy
from flowkeep.depths import Depth, Lock
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import model, wire
from tests.fault import captures
from tests.fault.captures import LEDGER
from tests.model import Policy
from tests.model.flow import Flow
from tests.props.test_api_model import expected, seen, write
from tests.props.traffic import policies, traffic

HOST = "10.0.0.1"
HOST_BYTES = bytes([10, 0, 0, 1])


def ports(flow: Flow) -> set[int]:
    """The ports of a flow that has some: only these protocols do."""
    return {flow.head.src[1], flow.head.dst[1]} if flow.head.proto in (6, 17, 132, 136) else set()


def allowed(flow: Flow, cutoff: int, deep: int, locked: bool) -> int | None:
    """The model of the rules below."""
    if locked and HOST_BYTES in (flow.head.src[0], flow.head.dst[0]):
        return None
    if 53 in ports(flow) and flow.head.proto == 17 and not flow.orphan:
        return deep
    return cutoff


@settings(max_examples=120, deadline=None)
@given(
    traffic(),
    policies(),
    st.integers(0, 3000),
    st.booleans(),
    st.lists(st.integers(1, 40), max_size=2),
    st.integers(1, 3),
)
def test_depths_and_locks_are_what_the_model_keeps(
    packets: list[wire.Packet], policy: Policy, deep: int, locked: bool, at: list[int], jobs: int
) -> None:
    splits = sorted({n for n in at if n < len(packets)})
    want = model.trim(
        seen(packets), policy, splits=splits, allowed=lambda flow: allowed(flow, policy.cutoff, deep, locked)
    )
    rest = f"sample:{policy.sample}" if policy.rest == "sample" else policy.rest
    cut = CutPolicy(
        policy.cutoff, policy.count, policy.per_direction, policy.control, rest, policy.tail,
        depths=(Depth(deep, select="udp port 53"),), locks=(Lock(hosts=frozenset([HOST])),) if locked else (),
    )  # fmt: skip
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = write(folder, packets, splits)
        fk.open(*paths, options=fk.ReadOptions(jobs=jobs)).trim(cut, output=folder / "out")
        records = [r for path in paths for r in wire.read((folder / "out" / path.name).read_bytes()).records]
    assert records == expected(seen(packets), want)


def long_flow(
    client: str, server: str, script: Sequence[tuple[str, bytes]], start: int = 0
) -> list[wire.Packet]:
    return wire.tcp_session(client, server, script, start_ns=wire.START_NS + start)  # type: ignore[arg-type]


HELLO = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + bytes(9000)


def spoken() -> list[wire.Packet]:
    """HTTP at an odd port and something unknown at port 80, each about 10 kB, over two files of traffic."""
    return wire.merged(
        long_flow("10.0.0.1:40000", "10.0.0.2:4444", [("c", HELLO), ("s", ANSWER)]),
        long_flow("10.0.0.3:40000", "10.0.0.4:80", [("c", b"\x01\x02\x03\x04" * 5), ("s", bytes(9000))]),
    )


def kept_bytes(path: Path) -> dict[str, int]:
    """Per server, the bytes of its flow that a trimmed capture holds."""
    return {
        str(row["server_ip"]): int(str(row["kept_client_bytes"])) + int(str(row["kept_server_bytes"]))
        for row in captures.rows(path.with_name(path.name + LEDGER).read_bytes())
    }


def test_a_depth_by_service_knows_what_is_spoken_and_not_the_port(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(spoken()))
    fk.open(path).trim("500", output=tmp_path / "out", ledger=True, depths=["http=5kB"])
    rows = captures.rows((tmp_path / "out" / ("a.pcap" + LEDGER)).read_bytes())
    by_server = {row["server_ip"]: row for row in rows}
    assert by_server["10.0.0.2"]["service"] == "http" and by_server["10.0.0.2"]["allowed_by"] == "http=5kB"
    assert by_server["10.0.0.2"]["cutoff"] == 5000 and by_server["10.0.0.4"]["cutoff"] == 500
    assert by_server["10.0.0.4"]["allowed_by"] is None
    kept = kept_bytes(tmp_path / "out" / "a.pcap")
    assert 3000 < kept["10.0.0.2"] <= 5000 + 400 and kept["10.0.0.4"] < 1000


def test_what_was_spoken_is_known_when_the_packets_that_told_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    packets = spoken()
    path.write_bytes(wire.pcap(packets))
    fk.open(path).trim("8kB", output=tmp_path / "one", ledger=True, depths=["http=8kB"])
    gone = fk.CutPolicy(4000, rest="cut", depths=(Depth.of("http=6kB"),))
    fk.open(tmp_path / "one").trim(gone, output=tmp_path / "two", ledger=True)
    fk.open(path).trim(gone, output=tmp_path / "direct", ledger=True)
    assert (tmp_path / "two" / "a.pcap").read_bytes() == (tmp_path / "direct" / "a.pcap").read_bytes()
    headers = fk.CutPolicy(0, rest="headers")
    fk.open(tmp_path / "two").trim(headers, output=tmp_path / "three", ledger=True)
    rows = captures.rows((tmp_path / "three" / ("a.pcap" + LEDGER)).read_bytes())
    assert {row["service"] for row in rows} == {"http", None}


def test_a_service_goes_on_in_the_next_file(tmp_path: Path) -> None:
    packets = spoken()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.pcap").write_bytes(wire.pcap(packets[:12]))
    (tmp_path / "in" / "2.pcap").write_bytes(wire.pcap(packets[12:]))
    whole = CutPolicy(500, depths=(Depth.of("http=5kB"),))
    fk.open(tmp_path / "in").trim(whole, output=tmp_path / "out")
    for name in ("1.pcap", "2.pcap"):
        fk.open(tmp_path / "in" / name).trim(
            whole, in_place=True, behind=[] if name == "1.pcap" else [tmp_path / "in" / "1.pcap"]
        )
        assert (tmp_path / "in" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_lock_keeps_a_flow_whole_through_every_trimming_and_the_ledger_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(spoken()))
    [flow] = [f for f in fk.open(path).flows().to_dicts() if f["server_ip"] == "10.0.0.4"]
    lock = Lock(community_ids=frozenset([str(flow["community_id"])]), reason="case 7")
    total = int(flow["client_bytes"]) + int(flow["server_bytes"])
    for cutoff in (1000, 10, 0):
        fk.open(path).trim(cutoff, in_place=True, locks=[lock])
        assert kept_bytes(path)["10.0.0.4"] == total
    rows = captures.rows(path.with_name(path.name + LEDGER).read_bytes())
    [row] = [row for row in rows if row["server_ip"] == "10.0.0.4"]
    assert row["allowed_by"] == "lock: case 7" and row["cutoff"] is None and row["cut_by"] is None
    policy = json.loads(
        captures.ledger(path.with_name(path.name + LEDGER).read_bytes()).schema.metadata[b"flowkeep.policy"]
    )
    assert policy["locks"][0]["community_ids"]["count"] == 1 and "depths" not in policy
    fk.open(path).trim(0, in_place=True)
    assert kept_bytes(path)["10.0.0.4"] < total, "without the lock it is cut"


@pytest.mark.parametrize(
    ("depth", "why"),
    [
        ("tls", "write SERVICE=SIZE"),
        ("=5", "write SERVICE=SIZE"),
        ("nonesuch=5", "no such protocol"),
        ("tls=much", "is not a size"),
        ("bpf:host and=5", "libpcap says"),
    ],
)
def test_a_depth_that_cannot_be_meant_is_refused(depth: str, why: str) -> None:
    with pytest.raises(fk.UsageError, match=why):
        Depth.of(depth)


def test_a_depth_by_what_differs_from_packet_to_packet_is_refused_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(wire.pcap(spoken()))
    before = path.read_bytes()
    with pytest.raises(fk.UsageError, match="from packet to packet"):
        fk.open(path).trim(0, in_place=True, depths=["bpf:tcp[13] & 2 != 0=1MB"])
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.pcap"]
