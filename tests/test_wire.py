"""The traffic builder against tshark, and the writers against the readers."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import wire
from tests.wire import Interface, Packet, link, samples

C4, S4 = "10.0.0.1", "10.0.0.2"
C6, S6 = "2001:db8::1", "2001:db8::2"
NANOS = wire.START_NS + 123_456_789


def sample_frames() -> dict[str, tuple[int, bytes]]:
    """Every link, tunnel, transport and extension once: name to link type and frame."""
    segment = samples.TRANSPORTS["tcp"]
    inside = {4: wire.ip4(C4, S4, segment), 6: wire.ip6(C6, S6, segment)}
    frames: dict[str, tuple[int, bytes]] = {}
    for name, (kind, wrap) in samples.LINKS.items():
        frames[f"link {name}"] = kind, wrap(inside[4])
        if name != "raw-bsd":
            frames[f"link {name} v6"] = kind, wrap(inside[6])
    for name, (kind, wrap) in samples.LINKS_ONE_VERSION.items():
        frames[f"link {name}"] = kind, wrap(inside[4 if kind == link.IPV4 else 6])
    for name, (_, version, wrap) in samples.TUNNELS.items():
        frames[f"tunnel {name}"] = 1, wire.ether(wrap(inside[version]))
    for name, body in samples.TRANSPORTS.items():
        if name != "icmp6":
            frames[f"transport {name}"] = 1, wire.ether(wire.ip4(C4, S4, body))
        if name not in ("icmp", "udp-no-checksum"):
            frames[f"transport {name} v6"] = 1, wire.ether(wire.ip6(C6, S6, body))
    for name, headers in samples.EXTENSIONS.items():
        frames[f"extension {name}"] = 1, wire.ether(wire.ip6(C6, S6, segment, headers=headers))
    options = wire.ip4(C4, S4, segment, options=wire.router_alert())
    frames["ipv4 options"] = 1, wire.ether(options)
    return frames


def tshark(capture: Path, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    """The given fields of every packet; skips without tshark."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")
    command = [program, "-n", "-r", str(capture), "-T", "fields", "-E", "separator=|"]
    for option in options:
        command += ["-o", option]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("|") for line in done.stdout.splitlines()]


SUMS = ("ip", "tcp", "udp", "sctp", "icmp", "icmpv6")


def test_tshark_finds_every_sample_well_formed(tmp_path: Path) -> None:
    frames = sample_frames()
    kinds = [Interface(kind) for kind, _ in frames.values()]
    packets = [Packet(wire.START_NS + i, data, iface=i) for i, (_, data) in enumerate(frames.values())]
    capture = tmp_path / "samples.pcapng"
    capture.write_bytes(wire.pcapng(packets, interfaces=kinds))
    rows = tshark(
        capture,
        *("ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "_ws.malformed", "frame.protocols"),
        *("tcp.port", "udp.port", "sctp.port", "tcp.payload"),
        *(f"{name}.checksum.status" for name in SUMS),
        options=(
            *(f"{name}.check_checksum:TRUE" for name in ("ip", "tcp", "udp")),
            "sctp.checksum:TRUE",
            "capwap.swap_fc:FALSE",
        ),
    )
    assert len(rows) == len(frames)
    for name, row in zip(frames, rows, strict=True):
        src4, src6, dst4, dst6, malformed, protocols, tcp, udp, sctp, payload, *sums = row
        assert malformed == "", name
        if name == "tunnel l2tpv3":
            continue  # tshark learns what a session carries from its control messages
        assert {src4.split(",")[-1], src6.split(",")[-1]} & {C4, C6}, name
        assert {dst4.split(",")[-1], dst6.split(",")[-1]} & {S4, S6}, name
        ports = {"40000,9"} & {tcp, sctp, ",".join(udp.split(",")[-2:])}
        assert ports or "icmp" in name, name
        if not name.startswith("transport"):
            assert payload == b"odd".hex(), name
            assert tcp == "40000,9", (name, protocols)
        bad = [s for s in ",".join(sums).split(",") if s in ("0", "Bad")]
        assert not bad, (name, protocols, sums)


def test_tshark_reassembles_made_fragments(tmp_path: Path) -> None:
    body = wire.udp(40000, 9, bytes(range(256)) * 10)
    four = wire.ip4_fragments(C4, S4, body, size=1000, ident=7)
    six = wire.ip6_fragments(C6, S6, body, size=1000, ident=7, headers=(wire.ext(0),))
    packets = [Packet(NANOS + i, wire.ether(p)) for i, p in enumerate([*four, *six])]
    capture = tmp_path / "fragments.pcap"
    capture.write_bytes(wire.pcap(packets))
    rows = tshark(
        capture, "udp.port", "udp.length", "udp.checksum.status",
        options=("udp.check_checksum:TRUE",),
    )  # fmt: skip
    assert [len(p) for p in four] == [1020, 1020, 588]
    assert rows == [["", "", ""], ["", "", ""], ["40000,9", "2568", "1"]] * 2


def test_tshark_sees_nothing_odd_in_a_made_session(tmp_path: Path) -> None:
    script: list[tuple[wire.talk.Side, bytes]] = [("c", b"a" * 3000), ("s", b"b" * 5000)]
    packets = wire.tcp_session(f"{C4}:40000", f"{S4}:9", script, scale=7)
    capture = tmp_path / "session.pcap"
    capture.write_bytes(wire.pcap(packets))
    rows = tshark(capture, "tcp.analysis.flags", "tcp.completeness", "tcp.len")
    assert len(packets) == 3 + 3 + 1 + 4 + 1 + 3
    assert [row[0] for row in rows] == [""] * len(packets)
    assert rows[-1][1] == "31"  # SYN, SYN/ACK, ACK, data, FIN
    assert sum(int(row[2]) for row in rows) == 8000


def test_options_of_a_session_leave_out_and_end_as_asked() -> None:
    bare = wire.tcp_session(script=[("c", b"x")], syn=False, end="none", acks=False)
    reset = wire.tcp_session(end="rst")
    assert [p.data[47] for p in bare] == [0x18]
    assert [p.data[47] for p in reset] == [0x02, 0x12, 0x10, 0x14]
    assert [p.ts_ns - wire.START_NS for p in reset] == [n * wire.MILLISECOND for n in range(4)]


PACKETS = [
    Packet(NANOS, b"first packet"),
    Packet(NANOS + 1_000_001, b"odd", wirelen=1500),
    Packet(NANOS - wire.SECOND, b"", wirelen=60),
]


def records(link_type: int, unit: int) -> list[wire.Record]:
    """What a reader must find of PACKETS at a resolution of ``unit`` nanoseconds."""
    return [wire.Record(p.ts_ns // unit * unit, p.data, p.original, link_type) for p in PACKETS]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "unit"),
    [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (wire.PCAP_MODIFIED, 1000), (wire.PCAP_NETSNIFF, 1)],
)
def test_pcap_reads_back_what_was_written(order: wire.write.Order, magic: int, unit: int) -> None:
    data = wire.pcap(PACKETS, link=101, order=order, magic=magic)
    assert wire.read(data).records == records(101, unit)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("obsolete", [False, True])
def test_pcapng_reads_back_what_was_written(order: wire.write.Order, obsolete: bool) -> None:
    extras = [
        wire.names_block(order, [("host.example.com", wire.addr(C4))]),
        wire.secrets_block(order, b"CLIENT_RANDOM 00 11\n"),
        wire.custom_block(order, b"anything"),
    ]
    data = wire.pcapng(
        PACKETS, order=order, interfaces=[Interface(1, resolution=9, name="eth0")],
        blocks=extras, trailer=[wire.statistics_block(order, 0, 3)], obsolete=obsolete,
    )  # fmt: skip
    capture = wire.read(data)
    assert capture.records == records(1, 1)
    assert [kind for kind, _ in capture.others] == [0x0A0D0D0A, 1, 4, 10, 0xBAD, 5]


def test_pcapng_comments_are_read_back() -> None:
    data = wire.pcapng(PACKETS, packet_comments={1: "look here"})
    assert [r.comment for r in wire.read(data).records] == [None, "look here", None]


def test_pcapng_resolutions_offsets_and_sections_are_read_back(tmp_path: Path) -> None:
    half = 500_000_000
    coarse = [Packet(wire.START_NS + half, b"a", iface=0), Packet(wire.START_NS, b"b", iface=1)]
    fine = [Packet(NANOS, b"c")]
    data = wire.pcapng(
        coarse,
        interfaces=[Interface(1, resolution=0x81, offset=1_699_999_000), Interface(101, offset=-5)],
    )
    data += wire.pcapng(fine, order=">", interfaces=[Interface(113, resolution=9)])
    found = wire.read(data).records
    assert [(r.ts_ns, r.link, r.iface) for r in found] == [
        (wire.START_NS + half, 1, 0),
        (wire.START_NS, 101, 1),
        (NANOS, 113, 2),
    ]
    capture = tmp_path / "sections.pcapng"
    capture.write_bytes(data)
    rows = tshark(capture, "frame.time_epoch")
    assert [float(t) for (t,) in rows] == [1_700_000_000.5, 1_700_000_000.0, NANOS / 1e9]


def test_simple_packets_have_neither_time_nor_snapped_bytes() -> None:
    data = wire.pcapng([Packet(NANOS, b"abcde", wirelen=9)], spb=True, interfaces=[Interface(1, 5)])
    assert wire.read(data).records == [wire.Record(0, b"abcde", 9, 1)]


def test_checksums_of_known_values() -> None:
    assert wire.crc32c(b"123456789") == 0xE3069283
    assert wire.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # RFC 1071 section 3


def test_merged_dialogues_are_in_order_of_time() -> None:
    one = wire.udp_dialogue(step_ns=10)
    two = wire.udp_dialogue(client="10.0.0.3:1", start_ns=wire.START_NS + 5, step_ns=10)
    times = [p.ts_ns for p in wire.merged(one, two)]
    assert all(a <= b for a, b in itertools.pairwise(times))
    assert len(times) == 4
