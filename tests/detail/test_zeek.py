"""Connection state and history, each case worked out by hand from Zeek's definitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import wire

from .talk import HANDSHAKE, Seg, details, frames

DATA = [Seg("c", "PA", 1, 1, 10), Seg("s", "A", 1, 11), Seg("s", "PA", 1, 11, 20)]
SYN = Seg("c", "S", 0)
SYN_ACK = Seg("s", "SA", 0, 1)

CASES: dict[str, tuple[list[Seg], str, str]] = {
    # conn_state, in the order of Zeek's list
    "S0": ([SYN], "S0", "S"),
    "S1": (HANDSHAKE, "S1", "ShA"),
    "SF": (
        [*HANDSHAKE, *DATA, Seg("c", "FA", 11, 21), Seg("s", "FA", 21, 12), Seg("c", "A", 12, 22)],
        "SF",
        "ShADadFf",
    ),
    "REJ": ([SYN, Seg("s", "RA", 0, 1)], "REJ", "Sr"),
    "S2": ([*HANDSHAKE, Seg("c", "FA", 1, 1), Seg("s", "A", 1, 2)], "S2", "ShAFa"),
    "S3": ([*HANDSHAKE, Seg("s", "FA", 1, 1), Seg("c", "A", 1, 2)], "S3", "ShAf"),
    "RSTO": ([*HANDSHAKE, Seg("c", "RA", 1, 1)], "RSTO", "ShAR"),
    "RSTR": ([*HANDSHAKE, Seg("s", "RA", 1, 1)], "RSTR", "ShAr"),
    "RSTOS0": ([SYN, Seg("c", "R", 1)], "RSTOS0", "SR"),
    "RSTRH": ([SYN_ACK, Seg("s", "R", 1)], "RSTRH", "^hr"),
    "SH": ([SYN, Seg("c", "FA", 1)], "SH", "SF"),
    "SHR": ([SYN_ACK, Seg("s", "FA", 1, 1)], "SHR", "^hf"),
    "OTH": ([Seg("c", "PA", 1, 1, 10), Seg("s", "PA", 1, 11, 10)], "OTH", "Dd"),
    # the ways there
    "both reset": ([*HANDSHAKE, Seg("s", "RA", 1, 1), Seg("c", "R", 1)], "REJ", "ShArR"),
    "both reset after data": ([*HANDSHAKE, *DATA, Seg("s", "RA", 21, 11), Seg("c", "R", 11)], "RSTR", "ShADadrR"),
    "FIN, then RST": ([*HANDSHAKE, Seg("c", "FA", 1, 1), Seg("c", "RA", 2, 1)], "RSTO", "ShAFR"),
    "FIN and RST, then the other FIN": (
        [*HANDSHAKE, Seg("c", "FA", 1, 1), Seg("c", "RA", 2, 1), Seg("s", "FA", 1, 2)],
        "SF",
        "ShAFRf",
    ),
    "RST after both FINs": (
        [*HANDSHAKE, Seg("c", "FA", 1, 1), Seg("s", "FA", 1, 2), Seg("c", "RA", 2, 2)],
        "SF",
        "ShAFfR",
    ),
    "reset midstream": ([Seg("c", "PA", 1, 1, 10), Seg("c", "RA", 11, 1)], "OTH", "DR"),
    "only FINs": ([Seg("c", "FA", 1, 1), Seg("s", "FA", 1, 2)], "SF", "Ff"),
    "the server acknowledges before its SYN": ([SYN, Seg("s", "A", 0, 1), SYN_ACK], "S1", "Sah"),
    "simultaneous open": ([SYN, Seg("s", "S", 0)], "S1", "Ss"),
    "the SYN was missed": ([SYN_ACK, Seg("c", "A", 1, 1)], "S1", "^hA"),
    "the SYN comes late": ([SYN_ACK, SYN, Seg("c", "A", 1, 1)], "S1", "^hSA"),
    "SYN after midstream": ([Seg("c", "PA", 1, 1, 10), Seg("c", "S", 5), Seg("c", "R", 6)], "OTH", "DSR"),
    # letters
    "the server is heard first": ([Seg("s", "PA", 1, 1, 10), Seg("c", "PA", 1, 11, 10)], "OTH", "^dD"),
    "the same SYN": ([SYN, SYN, SYN], "S0", "S"),
    "another SYN": ([SYN, Seg("c", "S", 77)], "S0", "SS"),
    "the same FIN": ([*HANDSHAKE, Seg("c", "FA", 1, 1), Seg("c", "FA", 1, 1)], "S2", "ShAF"),
    "the same FIN with data": ([*HANDSHAKE, Seg("c", "FA", 1, 1, 9), Seg("c", "FA", 10, 1)], "S2", "ShAF"),
    "another FIN": ([*HANDSHAKE, Seg("c", "FA", 1, 1), Seg("c", "FA", 2, 1)], "S2", "ShAFF"),
    "another RST": ([*HANDSHAKE, Seg("s", "R", 1), Seg("s", "R", 1), Seg("s", "R", 9)], "RSTR", "ShArr"),
    "FIN and RST in one": ([*HANDSHAKE, Seg("c", "FRA", 1, 1)], "RSTO", "ShAI"),
    "SYN and FIN in one": ([Seg("c", "SF", 0)], "SH", "Q"),
    "SYN and RST in one, twice": ([Seg("c", "SR", 0), Seg("c", "R", 1)], "OTH", "QR"),
    "no flag at all": ([SYN, Seg("c", "", 1)], "S0", "S"),
    "payload again": ([*HANDSHAKE, DATA[0], DATA[0]], "S1", "ShADT"),
    "payload nine times again": ([*HANDSHAKE, *[DATA[0]] * 10], "S1", "ShADT"),
    "payload ten times again": ([*HANDSHAKE, *[DATA[0]] * 11], "S1", "ShADTT"),
    "payload a hundred times again": ([*HANDSHAKE, *[DATA[0]] * 101], "S1", "ShADTTT"),
    "zero window": ([*HANDSHAKE, Seg("s", "A", 1, 1, window=0)], "S1", "ShAaw"),
    "zero window ten times": ([*HANDSHAKE, *[Seg("s", "A", 1, 1, window=0)] * 10], "S1", "ShAaww"),
    "zero window with RST": ([*HANDSHAKE, Seg("s", "RA", 1, 1, window=0)], "RSTR", "ShAr"),
    "zero window after the peer's FIN": (
        [*HANDSHAKE, Seg("c", "FA", 1, 1), Seg("s", "A", 1, 2, window=0)],
        "S2",
        "ShAFa",
    ),
    "gap": ([*HANDSHAKE, Seg("c", "PA", 11, 1, 10), Seg("s", "A", 1, 21)], "S1", "ShADaG"),
    "gap at the end": ([*HANDSHAKE, Seg("s", "A", 1, 21), Seg("s", "A", 1, 21)], "S1", "ShAaG"),
    "gap that nobody acknowledged": ([*HANDSHAKE, Seg("c", "PA", 11, 1, 10), Seg("s", "A", 1, 1)], "S1", "ShADa"),
    "gap midstream": ([Seg("c", "PA", 1, 1, 5), Seg("c", "PA", 9, 1, 5), Seg("s", "A", 1, 14)], "OTH", "Da"),
    "bad checksum": ([*HANDSHAKE, Seg("c", "PA", 1, 1, 10, broken=True)], "S1", "ShACD"),
    "bad checksums": ([*HANDSHAKE, *[Seg("s", "PA", 1, 1, 9, broken=True)] * 10], "S1", "ShAcdtc"),
    "more than fits": ([SYN, *[Seg("c", "R", i) for i in range(1, 60)]], "RSTOS0", "S" + "R" * 30 + "x"),
}  # fmt: skip


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("isn", [(1000, 9000), (2**32 - 3, 2**32 - 12)], ids=["plain", "wrap"])
@pytest.mark.parametrize("name", CASES)
def test_tcp(name: str, isn: tuple[int, int], version: int, tmp_path: Path) -> None:
    segments, state, history = CASES[name]
    (row,) = details(frames(segments, isn=isn, version=version), tmp_path)
    assert (row["conn_state"], row["history"]) == (state, history)
    assert row["client_port"] == 40000


def test_every_state_and_letter_has_a_case() -> None:
    states = {state for _, state, _ in CASES.values()}
    assert states == {
        "S0",
        "S1",
        "SF",
        "REJ",
        "S2",
        "S3",
        "RSTO",
        "RSTR",
        "RSTOS0",
        "RSTRH",
        "SH",
        "SHR",
        "OTH",
    }
    letters = {letter for _, _, history in CASES.values() for letter in history.lower()}
    assert letters == set("shadfrcgtwiq^x")


def test_another_client_shows_later(tmp_path: Path) -> None:
    """Nothing tells the ports apart: who sends first is the client until the other one sends a SYN."""
    segments = [Seg("s", "PA", 1, 1, 10), Seg("c", "S", 0)]
    (row,) = details(frames(segments, ports=(40000, 50000)), tmp_path)
    assert (row["client_port"], row["history"]) == (40000, "D^S")


def test_a_new_connection_on_the_same_ports_has_its_own(tmp_path: Path) -> None:
    first = frames([*HANDSHAKE, Seg("c", "RA", 1, 1)])
    second = frames([SYN, Seg("s", "RA", 0, 1)], isn=(5_000_000, 7), start_ns=first[-1].ts_ns + wire.SECOND)
    rows = details(first + second, tmp_path)
    assert [(row["conn_state"], row["history"]) for row in rows] == [("RSTO", "ShAR"), ("REJ", "Sr")]


UDP: dict[str, tuple[list[tuple[wire.talk.Side, bytes]], str, str]] = {
    "both": ([("c", b"q"), ("s", b"a"), ("c", b"q")], "SF", "Dd"),
    "client": ([("c", b"q"), ("c", b"")], "S0", "D"),
    "server": ([("s", b"a")], "SHR", "^d"),
    "server first": ([("s", b"a"), ("c", b"q")], "SF", "^dD"),
}


@pytest.mark.parametrize("name", UDP)
def test_udp(name: str, tmp_path: Path) -> None:
    script, state, history = UDP[name]
    (row,) = details(wire.udp_dialogue(script=script), tmp_path)
    assert (row["conn_state"], row["history"]) == (state, history)
    assert row["client_retransmitted"] is None


def test_udp_checksums(tmp_path: Path) -> None:
    good, bad = wire.udp_dialogue(script=[("c", b"query"), ("s", b"answer")])
    bad = wire.Packet(bad.ts_ns, bad.data[:-1] + b"?")
    none = wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.udp(40000, 53, b"odd", checksum=False)))
    (row,) = details([good, bad, wire.Packet(bad.ts_ns, none)], tmp_path)
    assert row["history"] == "Dcd"


def test_what_was_not_captured_whole_has_no_checksum(tmp_path: Path) -> None:
    (packet,) = frames([Seg("c", "PA", 1, 1, 40, broken=True)])
    (row,) = details([packet.snapped(len(packet.data) - 1)], tmp_path)
    assert row["history"] == "D"


def test_all_else(tmp_path: Path) -> None:
    ping = wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.ping()))
    sctp = wire.ether(wire.ip4("10.0.0.1", "10.0.0.2", wire.sctp(5000, 5001, wire.sctp_init())))
    rows = details([wire.Packet(wire.START_NS, ping), wire.Packet(wire.START_NS, sctp)], tmp_path)
    assert [(row["conn_state"], row["history"]) for row in rows] == [("OTH", None), ("OTH", None)]
