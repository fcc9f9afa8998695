"""Community ID v1 against the captures and values that its specification publishes."""

from __future__ import annotations

import json
from pathlib import Path

import flowkeep as fk
import pytest

from tests import wire
from tests.wire import Packet

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "rsvp": 46, "icmp6": 58, "sctp": 132}
BASELINES = [(0, "baseline_deflt.json"), (1, "baseline_seed1.json")]

Id = tuple[int, frozenset[object], str]


@pytest.fixture(scope="module")
def published(captures: Path) -> Path:
    folder = captures / "community-id"
    if not folder.is_dir():
        pytest.skip("the captures of the Community ID specification are not there")
    return folder


def expected(published: Path, name: str) -> set[Id]:
    """Protocol, ends and value of every packet; ICMP's type and code are no ports here."""
    lines = json.loads((published / "baseline" / name).read_text())
    return {
        (
            line["proto"],
            frozenset(
                (line[f"{end}addr"], line[f"{end}port"] or 0 if line["proto"] in (6, 17, 132) else 0)
                for end in "sd"
            ),
            line["communityid"],
        )
        for line in lines
    }


def found(path: Path, seed: int) -> set[Id]:
    """The same of every flow."""
    return {
        (
            PROTOCOLS[row["proto"]],
            frozenset((row[f"{end}_ip"], row[f"{end}_port"]) for end in ("client", "server")),
            row["community_id"],
        )
        for row in fk.open(path).flows(community_seed=seed).to_dicts()
    }


@pytest.mark.parametrize(("seed", "name"), BASELINES)
def test_every_packet_alone_has_its_published_id(
    published: Path, seed: int, name: str, tmp_path: Path
) -> None:
    ids: set[Id] = set()
    for path in sorted((published / "pcaps").iterdir()):
        for record in wire.read(path.read_bytes()).records:
            one = tmp_path / "one.pcap"
            packet = Packet(record.ts_ns, record.data, record.wirelen)
            one.write_bytes(wire.pcap([packet], link=record.link))
            ids |= found(one, seed)
    assert ids == expected(published, name)


@pytest.mark.parametrize(("seed", "name"), BASELINES)
def test_every_flow_has_a_published_id(published: Path, seed: int, name: str) -> None:
    """Fewer than there are: all ICMP between two hosts is one flow, with the ID of its first packet."""
    ids = {i for path in (published / "pcaps").iterdir() for i in found(path, seed)}
    published_ids = expected(published, name)
    assert ids <= published_ids
    assert {i for i in published_ids if i[0] not in (1, 58)} <= ids
