"""The Python API gives what the plain model says, for one file and for any split into several."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import flowkeep as fk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import model, wire
from tests.model import Policy
from tests.props.traffic import PORTS, policies, traffic
from tests.wire import START_NS, Packet, Record, samples

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132, "udplite": 136}
PROTOCOLS |= {"igmp": 2, "ipip": 4, "dccp": 33, "ipv6": 41, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51}
PROTOCOLS |= {"eigrp": 88, "ospf": 89, "pim": 103, "vrrp": 112, "l2tp": 115}
NOT_IN_THE_MODEL = {"duration", "community_id"}


def seen(packets: Sequence[Packet], link: int = 1) -> list[Record]:
    """What a capture of these packets holds."""
    return [Record(p.ts_ns, p.data, p.original, link) for p in packets]


def write(folder: Path, packets: Sequence[Packet], splits: Sequence[int] = (), link: int = 1) -> list[Path]:
    """The packets in files, each begun by the packet of one of these numbers."""
    paths = []
    for number, (start, stop) in enumerate(pairwise([0, *splits, len(packets)])):
        path = folder / f"{number}.pcap"
        path.write_bytes(wire.pcap(packets[start:stop], ns=True, link=link))
        paths.append(path)
    return paths


def rows(paths: Sequence[Path], options: fk.ReadOptions) -> list[model.Row]:
    """The flows of the files, in the model's terms."""
    found = []
    for row in fk.open(*paths, options=options).flows().to_dicts():
        row["proto"] = PROTOCOLS.get(row["proto"]) or int(row["proto"])
        row["vlan"] = tuple(map(int, row["vlan"].split("."))) if row["vlan"] else ()
        row["tunnel"] = tuple(row["tunnel"].split("/")) if row["tunnel"] else ()
        found.append({name: value for name, value in row.items() if name not in NOT_IN_THE_MODEL})
    return found


def kept(paths: Sequence[Path], out: Path, policy: Policy, options: fk.ReadOptions) -> list[Record]:
    """The records of the trimmed files, one after another."""
    rest = f"sample:{policy.sample}" if policy.rest == "sample" else policy.rest
    cut = fk.CutPolicy(
        policy.cutoff, policy.count, policy.per_direction, policy.control, rest=rest, tail=policy.tail
    )
    report = fk.open(*paths, options=options).trim(cut, output=out)
    records = [r for path in paths for r in wire.read((out / path.name).read_bytes()).records]
    assert report.total("packets") == report.total("packets_kept") + report.total("packets_cut")
    assert report.total("bytes") == report.total("bytes_kept") + report.total("bytes_cut")
    assert len(records) == report.total("packets_kept")
    return records


def expected(records: Sequence[Record], fates: Sequence[int | None]) -> list[Record]:
    """The records of which so many bytes are kept."""
    return [
        Record(r.ts_ns, r.data[:size], r.wirelen, r.link)
        for r, size in zip(records, fates, strict=True)
        if size is not None
    ]


options = st.builds(
    fk.ReadOptions,
    idle_ns=st.sampled_from([0, 1_000_000, 60_000_000_000]),
    outer=st.booleans(),
    key_vlan=st.booleans(),
    jobs=st.integers(1, 8),
)


def as_keywords(o: fk.ReadOptions) -> dict[str, int]:
    """The options as the model takes them."""
    return {"idle_ns": o.idle_ns, "outer": o.outer, "key_vlan": o.key_vlan}


def check(packets: list[Packet], splits: list[int], policy: Policy, o: fk.ReadOptions) -> None:
    """Flows and kept records of the files are those of the model."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths, records = write(folder, packets, splits), seen(packets)
        flows = model.flows(records, **as_keywords(o))  # type: ignore[arg-type]
        assert rows(paths, o) == flows
        ends = splits if len(set(splits) | {0, len(packets)}) == len(splits) + 2 else [*splits, len(packets)]
        fates = model.trim(records, policy, splits=ends, **as_keywords(o))  # type: ignore[arg-type]
        assert kept(paths, folder / "out", policy, o) == expected(records, fates)


@given(traffic(), policies(), options)
@settings(max_examples=300, deadline=None)
def test_one_file_gives_the_flows_and_packets_of_the_model(
    packets: list[Packet], policy: Policy, o: fk.ReadOptions
) -> None:
    check(packets, [], policy, o)


@given(st.data(), traffic(), policies(), options)
@settings(max_examples=300, deadline=None)
def test_any_split_into_files_gives_the_same(
    data: st.DataObject, packets: list[Packet], policy: Policy, o: fk.ReadOptions
) -> None:
    splits = sorted(data.draw(st.lists(st.integers(0, len(packets)), max_size=4)))
    check(packets, splits, policy, o)


@given(traffic(), policies(), options, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_packets_out_of_order_in_one_file(
    packets: list[Packet], policy: Policy, o: fk.ReadOptions, chance: random.Random
) -> None:
    chance.shuffle(packets)
    check(packets, [], policy, o)


@pytest.mark.parametrize("missed", [0, 1])
def test_all_packets_of_an_end_that_talks_to_itself_are_the_clients(missed: int, tmp_path: Path) -> None:
    """Also where the SYN/ACK comes first."""
    packets = wire.tcp_session("10.0.0.1:40000", "10.0.0.1:40000")[missed:]
    (path,) = write(tmp_path, packets)
    assert rows([path], fk.ReadOptions()) == model.flows(seen(packets))


def test_a_result_is_read_in_the_dialect_of_its_capture(tmp_path: Path) -> None:
    """Without its first record the capture could be taken for one with longer record headers."""
    empty = [Packet(0, b"", 0), Packet(0, b"", 0), Packet(0, b"", 0x4A000000)]
    packets = [*wire.udp_dialogue(script=[("c", bytes(100))]), *empty]
    path = tmp_path / "0.pcap"
    path.write_bytes(wire.pcap(packets))
    fk.open(path).trim(0, output=tmp_path / "out")
    (before,) = fk.open(path).flows().files
    (after,) = fk.open(tmp_path / "out" / path.name).flows().files
    assert (before["format"], before["packets"]) == ("pcap", 4)
    assert (after["format"], after["packets"]) == ("pcap", 3)


@pytest.mark.parametrize("many", [2, 3, 50])
def test_a_dialect_told_by_its_records_keeps_those(many: int, tmp_path: Path) -> None:
    """Record headers of 24 bytes behind the magic number of those with 16."""
    packets = wire.udp_dialogue(script=[("c", bytes(100))] * many)
    path = tmp_path / "0.pcap"
    path.write_bytes(wire.pcap([])[:4] + wire.pcap(packets, magic=0xA1B2CD34)[4:])
    report = fk.open(path).trim(0, output=tmp_path / "out")
    (before,) = fk.open(path).flows().files
    (after,) = fk.open(tmp_path / "out" / path.name).flows().files
    assert (before["format"], before["packets"], before["damage"]) == ("pcap-modified", many, None)
    assert (after["format"], after["damage"]) == ("pcap-modified", None)
    assert after["packets"] == report.total("packets_kept") == min(many, 3)


@pytest.mark.parametrize("key_vlan", [False, True])
def test_fragments_seen_in_two_vlans_follow_their_own_first(key_vlan: bool, tmp_path: Path) -> None:
    pieces = wire.ip4_fragments("10.0.0.1", "10.0.0.2", wire.udp(40000, 9, bytes(1000)), size=504, ident=7)
    frames = [wire.ether(wire.vlan(p, vid)) for p in pieces for vid in (7, 8)]
    packets = [Packet(START_NS + n, bytes(frame)) for n, frame in enumerate(frames)]
    (path,) = write(tmp_path, packets)
    assert rows([path], fk.ReadOptions(key_vlan=key_vlan)) == model.flows(seen(packets), key_vlan=key_vlan)


@pytest.mark.parametrize("name", samples.LINKS)
def test_every_link_type(name: str, tmp_path: Path) -> None:
    link, wrap = samples.LINKS[name]
    packets = wire.tcp_session(script=[("c", b"hello"), ("s", bytes(3000))], link=wrap)
    (path,) = write(tmp_path, packets, link=link)
    assert rows([path], fk.ReadOptions()) == model.flows(seen(packets, link))


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("name", samples.TUNNELS)
def test_every_tunnel(name: str, outer: bool, tmp_path: Path) -> None:
    _, version, wrap = samples.TUNNELS[name]
    ends = ("10.0.0.1:1", "10.0.0.2:2") if version == 4 else ("[2001:db8::1]:1", "[2001:db8::2]:2")
    packets = wire.tcp_session(*ends, [("c", b"hello"), ("s", bytes(3000))], wrap=wrap)
    (path,) = write(tmp_path, packets)
    assert rows([path], fk.ReadOptions(outer=outer)) == model.flows(seen(packets), outer=outer)


def test_capwap_with_a_frame_control_in_the_other_order(tmp_path: Path) -> None:
    def wrap(packet: bytes) -> bytes:
        frame = bytes(wire.link.wlan(packet))
        body = wire.udp(40000, wire.tunnel.CAPWAP_PORT, wire.capwap(frame[1::-1] + frame[2:], native=True))
        return wire.ip4("192.0.2.1", "192.0.2.2", body)

    packets = wire.tcp_session(script=[("c", b"hello"), ("s", bytes(3000))], wrap=wrap)
    (path,) = write(tmp_path, packets)
    (row,) = rows([path], fk.ReadOptions())
    assert [row] == model.flows(seen(packets))
    assert (row["tunnel"], row["client_ip"], row["server_payload_bytes"]) == (("capwap",), "10.0.0.1", 3000)


@pytest.mark.parametrize("name", sorted(samples.TUNNELS))
def test_every_tunnel_with_bytes_changed(name: str, tmp_path: Path) -> None:
    """Each byte of the headers in turn becomes five other values."""
    _, version, wrap = samples.TUNNELS[name]
    inner = wire.ip(
        *(("10.0.0.1", "10.0.0.2") if version == 4 else ("2001:db8::1", "2001:db8::2")), wire.udp(1, 2, b"x")
    )
    frame = bytes(wire.ether(wrap(inner)))
    packets = []
    for at in range(len(frame)):
        for flip in (1, 4, 0x20, 0x80, 0xFF):
            data = bytes([*frame[:at], frame[at] ^ flip, *frame[at + 1 :]])
            packets.append(Packet(START_NS + len(packets), data))
    (path,) = write(tmp_path, packets)
    assert rows([path], fk.ReadOptions()) == model.flows(seen(packets))


def test_a_long_capture_gives_the_same_on_any_number_of_threads(tmp_path: Path) -> None:
    """Long enough for many chunks of work."""
    chance = random.Random(1)
    sessions = [
        wire.tcp_session(
            f"10.0.{n % 250}.1:{40000 + n}",
            f"10.1.0.1:{chance.choice(PORTS)}",
            [("c", bytes(200)), ("s", bytes(chance.randrange(40_000)))],
            start_ns=START_NS + chance.randrange(10**9),
            step_ns=chance.randrange(1, 10**8),
        )
        for n in range(700)
    ]
    packets = wire.merged(*sessions)
    (path,) = write(tmp_path, packets)
    assert path.stat().st_size > 12 << 20
    records, policy = seen(packets), Policy(5000, rest="headers")
    flows, fates = model.flows(records), model.trim(records, policy)
    want = expected(records, fates)
    for jobs in range(1, 9):
        o = fk.ReadOptions(jobs=jobs)
        assert rows([path], o) == flows
        assert kept([path], tmp_path / f"out{jobs}", policy, o) == want
