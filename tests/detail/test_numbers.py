"""Round trips, sequences, TTL, MSS and MAC addresses, worked out by hand; and the columns in every format."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import flowkeep as fk
import polars as pl
import pytest
from flowkeep.flow import DETAILS

from tests import wire
from tests.cli.command import run

from .talk import HANDSHAKE, Seg, details, frames

MS = wire.MILLISECOND
SYN, SYN_ACK, ACK = HANDSHAKE


def one(segments: list[Seg], folder: Path, **how: Any) -> dict[str, Any]:
    (row,) = details(frames(segments, **how), folder)
    return row


def rtts(row: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    return row["rtt"], row["rtt_server"], row["rtt_client"]


@pytest.mark.parametrize("isn", [(1000, 9000), (2**32 - 1, 2**32 - 1)], ids=["plain", "wrap"])
def test_the_handshake_gives_the_round_trip(isn: tuple[int, int], tmp_path: Path) -> None:
    segments = [SYN._replace(ms=3), SYN_ACK._replace(ms=0.5), ACK, Seg("c", "PA", 1, 1, 10)]
    assert rtts(one(segments, tmp_path, isn=isn)) == (3_500_000, 3_000_000, 500_000)


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([SYN, SYN_ACK], (None, MS, None)),
        ([SYN, SYN, SYN_ACK, ACK], (None, None, None)),
        ([SYN, SYN_ACK, SYN_ACK, ACK], (None, None, None)),
        ([SYN, SYN_ACK, SYN, ACK], (None, None, None)),
        ([SYN, SYN_ACK, ACK, SYN_ACK, ACK], (2 * MS, MS, MS)),  # the ACK was captured, then lost
        ([SYN, Seg("s", "SA", 0, 5), ACK], (None, None, None)),  # acknowledges no byte of the SYN
        ([SYN, SYN_ACK, Seg("c", "PA", 1, 1, 10)], (2 * MS, MS, MS)),  # the ACK carries data
        ([SYN, SYN_ACK, Seg("c", "A", 11, 1)], (2 * MS, MS, MS)),
        ([SYN, SYN_ACK, Seg("c", "A", 11, 20)], (None, MS, None)),  # a later ACK: that of the handshake is missing
        ([SYN_ACK, ACK], (None, None, None)),
        ([SYN, Seg("s", "RA", 0, 1)], (None, None, None)),
        ([Seg("c", "S", 0, 0, 5), Seg("s", "SA", 0, 6), Seg("c", "A", 6, 1)], (2 * MS, MS, MS)),  # Fast Open
        ([SYN, SYN_ACK._replace(ms=-5), ACK], (None, MS, None)),  # the clock goes back
    ],
)  # fmt: skip
def test_no_round_trip_is_guessed(
    segments: list[Seg], expected: tuple[int | None, ...], tmp_path: Path
) -> None:
    assert rtts(one(segments, tmp_path)) == expected


def pings(*script: tuple[str, int, int, float], version: int = 4) -> list[wire.Packet]:
    """Echo messages: (request or reply, identifier, sequence, ms)."""
    packets = []
    for kind, ident, sequence, ms in script:
        reply = kind == "reply"
        if version == 4:
            ends = ("10.0.0.2", "10.0.0.1") if reply else ("10.0.0.1", "10.0.0.2")
            packet: bytes = wire.ip4(*ends, wire.ping(ident, sequence, reply=reply))
        else:
            ends = ("2001:db8::2", "2001:db8::1") if reply else ("2001:db8::1", "2001:db8::2")
            packet = wire.ip6(*ends, wire.icmp6(129 if reply else 128, 0, ident << 16 | sequence, b"x"))
        packets.append(wire.Packet(wire.START_NS + round(ms * MS), bytes(wire.ether(packet))))
    return packets


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("script", "rtt"),
    [
        ([("ask", 7, 1, 0), ("reply", 7, 1, 4)], 4 * MS),
        ([("ask", 7, 1, 0), ("reply", 8, 1, 4)], None),
        ([("ask", 7, 1, 0), ("ask", 7, 2, 10), ("reply", 7, 2, 13)], 3 * MS),
        ([("ask", 7, 1, 0), ("ask", 7, 2, 1), ("ask", 7, 3, 2), ("reply", 7, 1, 9)], 9 * MS),
        ([("ask", 7, 1, 0), ("ask", 7, 1, 5), ("reply", 7, 1, 9)], None),
        ([("ask", 7, 1, 0), ("ask", 7, 1, 5), ("ask", 7, 1, 6), ("reply", 7, 1, 9)], None),
        ([("ask", 7, 1, 0), ("reply", 7, 1, 4), ("ask", 7, 2, 9), ("reply", 7, 2, 10)], 4 * MS),
        ([("reply", 7, 1, 0), ("ask", 7, 1, 1)], None),
    ],
)
def test_ping(
    script: list[tuple[str, int, int, float]], rtt: int | None, version: int, tmp_path: Path
) -> None:
    (row,) = details(pings(*script, version=version), tmp_path)
    assert rtts(row) == (rtt, None, None)


FIRST, SECOND, THIRD = (Seg("c", "PA", 1 + 10 * i, 1, 10) for i in range(3))

# A round trip of the handshake is 2 ms, and a segment takes 1 ms.
SEQUENCES: dict[str, tuple[list[Seg], int, int, int]] = {
    # retransmitted, out of order, missed: of the client
    "in order": ([FIRST, SECOND, THIRD], 0, 0, 0),
    "again": ([FIRST, SECOND, FIRST], 1, 0, 0),
    "again, and more": ([FIRST, Seg("c", "PA", 6, 1, 10)], 1, 0, 0),
    "late": ([FIRST, THIRD, SECOND], 0, 1, 0),
    "later than a round trip": ([FIRST, THIRD._replace(ms=2), SECOND], 1, 0, 0),
    "never": ([FIRST, THIRD, Seg("s", "A", 1, 31)], 0, 0, 10),
    "never, and nobody acknowledged": ([FIRST, THIRD, Seg("s", "A", 1, 11)], 0, 0, 0),
    "half of it acknowledged": ([FIRST, THIRD, Seg("s", "A", 1, 16)], 0, 0, 5),
    "captured behind the acknowledgment": ([FIRST, Seg("s", "A", 1, 21), SECOND], 0, 0, 0),
    "nothing captured behind": ([FIRST, Seg("s", "A", 1, 51)], 0, 0, 40),
    "a hole filled in part": ([FIRST, THIRD, Seg("c", "PA", 14, 1, 3), Seg("s", "A", 1, 31)], 0, 1, 7),
    "keep-alive": ([FIRST, Seg("c", "A", 10, 1), Seg("c", "A", 10, 1, 1)], 0, 0, 0),
    "probe of a zero window": (
        [FIRST, Seg("s", "A", 1, 11, window=0), Seg("c", "A", 11, 1, 1), Seg("c", "A", 11, 1, 1), SECOND],
        0,
        0,
        0,
    ),
    "one byte, window open": ([FIRST, Seg("c", "A", 11, 1, 1), Seg("c", "A", 11, 1, 10)], 1, 0, 0),
    "FIN again": ([Seg("c", "FA", 1, 1), Seg("c", "FA", 1, 1)], 1, 0, 0),
    "SYN again": ([SYN], 1, 0, 0),
    "bare acknowledgments": ([ACK, ACK, ACK], 0, 0, 0),
    "RST with an old number": ([FIRST, Seg("c", "R", 1)], 0, 0, 0),
    "below the SYN": ([Seg("c", "PA", -30, 1, 10)], 0, 0, 0),
    "a RST that acknowledges much": ([FIRST, Seg("s", "RA", 1, 99)], 0, 0, 0),
}


@pytest.mark.parametrize(
    "isn", [(1000, 9000), (2**32 - 9, 5), (2**32 - 25, 5)], ids=["plain", "wrap", "wrap2"]
)
@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str, isn: tuple[int, int], tmp_path: Path) -> None:
    segments, *expected = SEQUENCES[name]
    row = one([*HANDSHAKE, *segments], tmp_path, isn=isn)
    got = [row[f"client_{what}"] for what in ("retransmitted", "out_of_order", "missed_bytes")]
    assert got == expected
    assert (row["server_retransmitted"], row["server_out_of_order"]) == (0, 0)


def test_midstream_has_no_round_trip_and_takes_3_ms(tmp_path: Path) -> None:
    for ms, expected in ((2.9, (0, 1)), (3.0, (1, 0))):
        row = one([FIRST, THIRD._replace(ms=ms), SECOND], tmp_path)
        assert (row["client_retransmitted"], row["client_out_of_order"]) == expected
    row = one([THIRD, FIRST], tmp_path)
    assert (row["client_retransmitted"], row["client_out_of_order"]) == (0, 1), "new bytes below the first"
    assert row["server_missed_bytes"] is None, "nothing was heard of it"


def test_a_fragmented_segment_leaves_no_gap(tmp_path: Path) -> None:
    head = frames([*HANDSHAKE])
    body = wire.tcp(40000, 443, b"z" * 3000, seq=1001, ack=9001)
    parts = wire.ip4_fragments("10.0.0.1", "10.0.0.2", body, size=1480, ident=5)
    more = [wire.Packet(head[-1].ts_ns + i, bytes(wire.ether(part))) for i, part in enumerate(parts, 1)]
    tail = frames([Seg("c", "PA", 3001, 1, 10), Seg("s", "A", 1, 3011)], start_ns=head[-1].ts_ns + MS)
    (row,) = details([*head, *more, *tail], tmp_path)
    assert len(parts) > 1
    assert (row["client_missed_bytes"], row["client_retransmitted"], row["history"]) == (0, 0, "ShADa")


def test_ttl_mss_and_mac_are_those_of_the_first_packet(tmp_path: Path) -> None:
    def frame(source: int, ttl: int, flags: str, options: bytes, at: int) -> wire.Packet:
        ends = ("10.0.0.1", "10.0.0.2") if source == 1 else ("10.0.0.2", "10.0.0.1")
        ports = (40000, 443) if source == 1 else (443, 40000)
        packet = wire.ip4(*ends, wire.tcp(*ports, seq=at, flags=flags, options=options), ttl=ttl)
        mac = f"02:00:00:00:0{source}:{at:02x}"
        return wire.Packet(
            wire.START_NS + at * MS, bytes(wire.ether(packet, src=mac, dst="02:00:00:00:00:ff"))
        )

    nop = b"\1\1"
    packets = [
        frame(1, 128, "S", nop + wire.wscale(7) + wire.mss(1460), 1),
        frame(2, 57, "SA", wire.mss(1380), 2),
        frame(1, 127, "A", wire.mss(900), 3),
    ]
    (row,) = details(packets, tmp_path)
    assert (row["client_ttl"], row["server_ttl"]) == (128, 57)
    assert (row["client_mss"], row["server_mss"]) == (1460, 1380)
    assert (row["client_mac"], row["server_mac"]) == ("02:00:00:00:01:01", "02:00:00:00:02:02")


def test_the_innermost_header_and_the_outermost_frame_count(tmp_path: Path) -> None:
    inner = wire.ip6(
        "2001:db8::1", "2001:db8::2", wire.tcp(40000, 443, flags="S", options=wire.mss(1220)), hops=9
    )
    packet = wire.ip4("10.9.9.9", "10.9.9.8", inner, ttl=77)
    (row,) = details([wire.Packet(wire.START_NS, bytes(wire.ether(packet)))], tmp_path)
    assert (row["client_ttl"], row["client_mss"], row["tunnel"]) == (9, 1220, "6in4")
    assert row["client_mac"] is not None
    assert (row["server_ttl"], row["server_mss"], row["server_mac"]) == (None, None, None)


def test_links_without_ethernet_addresses(tmp_path: Path) -> None:
    packet = wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(40000, 53, b"q"))
    (row,) = details([wire.Packet(wire.START_NS, bytes(packet))], tmp_path, link=101)
    assert (row["client_ttl"], row["client_mac"]) == (64, None)
    (row,) = details([wire.Packet(wire.START_NS, bytes(wire.sll(packet)))], tmp_path, link=113)
    assert row["client_mac"] is not None
    (row,) = details([wire.Packet(wire.START_NS, bytes(wire.sll2(packet)))], tmp_path, link=276)
    assert row["client_mac"] is not None


def noise(seed: int, packets: int) -> list[wire.Packet]:
    """Segments that make little sense, of some flows, with big frames so that there are many chunks."""
    dice, made = random.Random(seed), []
    for i in range(packets):
        segment = Seg(
            dice.choice("cs"),  # type: ignore[arg-type]
            dice.choice(["A", "PA", "A", "PA", "FA", "R", "S", "SA"]),
            dice.randrange(60_000), dice.randrange(60_000), dice.randrange(1400), dice.choice([0, 1000]),
        )  # fmt: skip
        port = 40_000 + dice.randrange(40)
        made += frames([segment], ports=(port, 443), start_ns=wire.START_NS + i * 100_000)
    return made


def test_threads_and_chunks_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "noise.pcap"
    padding = [wire.Packet(wire.START_NS + i * 1_000_000, bytes(1500)) for i in range(3000)]
    path.write_bytes(wire.pcap(wire.merged(noise(1, 4000), padding), ns=True))
    assert path.stat().st_size > 4 << 20
    one, many = (fk.open(path, options=fk.ReadOptions(jobs=jobs)).flows(details=True) for jobs in (1, 5))
    assert one.to_dicts() == many.to_dicts()
    assert any(row["client_retransmitted"] for row in one.to_dicts())
    assert one.to_polars().equals(many.to_polars())


def test_the_columns_stand_behind_the_others_in_all_forms(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    path.write_bytes(wire.pcap(frames([*HANDSHAKE, FIRST, FIRST]) + pings(("ask", 7, 1, 0)), ns=True))
    plain, full = fk.open(path).flows(), fk.open(path).flows(details=True)
    assert full.columns == plain.columns + list(DETAILS)
    assert "rtt" not in plain.to_dicts()[0]
    frame = full.to_polars()
    assert frame["rtt"].dtype == pl.Duration("ns")
    rows = full.to_dicts()
    for name in DETAILS:
        values = frame[name].cast(pl.Int64) if frame[name].dtype == pl.Duration("ns") else frame[name]
        assert values.to_list() == [row[name] for row in rows], name
    done = run("flows", path, "--details", "--format", "ndjson")
    assert [json.loads(line) for line in done.stdout.splitlines()] == rows
    header = run("flows", path, "--details", "--format", "csv").stdout.splitlines()[0].decode()
    assert header.split(",") == full.columns
    arrow = tmp_path / "flows.arrow"
    assert run("flows", path, "--details", "--format", "arrow", "-o", arrow).returncode == 0
    assert pl.read_ipc(arrow).equals(frame)


def test_a_detail_can_be_sorted_by_without_asking_for_all(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    slow = frames([SYN._replace(ms=9), SYN_ACK, ACK], ports=(40001, 443))
    path.write_bytes(wire.pcap(wire.merged(frames(HANDSHAKE), slow, pings(("ask", 7, 1, 0))), ns=True))
    done = run("flows", path, "--sort", "rtt", "--format", "ndjson")
    assert [json.loads(line)["rtt"] for line in done.stdout.splitlines()] == [10 * MS, 2 * MS, None]
    assert (
        fk.open(path).flows(details=True).top("history", 1, descending=False).to_dicts()[0]["proto"] == "icmp"
    )


def test_zeeks_table_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    path.write_bytes(wire.pcap(frames([*HANDSHAKE, FIRST, THIRD, Seg("s", "RA", 1, 31)]), ns=True))
    lines = run("flows", path, "--format", "zeek").stdout.decode().splitlines()
    names = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
    row = dict(zip(names, lines[-1].split("\t"), strict=True))
    assert (row["conn_state"], row["history"], row["missed_bytes"]) == ("RSTR", "ShADr", "0")
    assert (row["orig_pkts"], row["resp_pkts"]) == ("4", "2")


def test_what_only_a_ledger_knows_has_no_details(tmp_path: Path) -> None:
    path, out = tmp_path / "made.pcap", tmp_path / "out"
    path.write_bytes(wire.pcap(frames([*HANDSHAKE, FIRST]), ns=True))
    fk.open(path).trim(100, output=out, ledger=True)
    (row,) = fk.open(out / "made.pcap").flows(details=True).to_dicts()
    assert row["client_packets"] == 3
    assert {row[name] for name in DETAILS} == {None}
    assert run("flows", out / "made.pcap", "--format", "zeek").returncode == 0
