"""An archive trimmed file by file, tier by tier, over time, is what trimming all of it at once gives."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import flowkeep as fk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import model, wire
from tests.fault import captures
from tests.fault.captures import LEDGER
from tests.model import Policy
from tests.props.test_api_model import expected, seen, write
from tests.props.traffic import others, tcp, udp
from tests.wire import Packet

LADDER = (3000, 1000, 300, 0)
"""Cutoffs, from gentle to tight."""


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Packet], list[int], list[tuple[int, int]]]:
    """Traffic, where its files begin, and what is done over time: (file, step of the ladder).

    Files are first cut in their order; each is cut to the end at last.
    """
    packets = wire.merged(*draw(st.lists(st.one_of(tcp(), udp(), others()), min_size=1, max_size=8)))
    splits = sorted({n for n in draw(st.lists(st.integers(1, 40), max_size=3)) if n < len(packets)})
    steps: list[tuple[int, int]] = []
    at = [-1] * (len(splits) + 1)
    while min(at) < len(LADDER) - 1:
        ready = [n for n in range(len(at)) if at[n] < len(LADDER) - 1 and (n == 0 or at[n - 1] >= 0)]
        file = draw(st.sampled_from(ready))
        at[file] = draw(st.integers(at[file] + 1, len(LADDER) - 1))
        steps.append((file, at[file]))
    return packets, splits, steps


def totals(path: Path) -> list[dict[str, Any]]:
    """What the ledger says of the flows as they were, and of the sessions."""
    rows = captures.rows(path.with_name(path.name + LEDGER).read_bytes())
    changing = ("kept_", "head_", "shortened", "cut_by", "cutoff", "allowed_by")
    return [{k: v for k, v in row.items() if not k.startswith(changing)} for row in rows]


@settings(max_examples=60, deadline=None)
@given(lives(), st.booleans(), st.sampled_from(["cut", "headers"]))
def test_an_archive_that_ages_is_cut_as_the_whole_would_have_been(
    life: tuple[list[Packet], list[int], list[tuple[int, int]]], always_behind: bool, rest: str
) -> None:
    packets, splits, steps = life
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = write(folder, packets, splits)
        (folder / "whole").mkdir()
        shutil.copytree(folder, folder / "pristine", ignore=shutil.ignore_patterns("pristine", "whole"))
        flows = fk.open(*paths).flows().to_dicts()
        first: dict[int, list[dict[str, Any]]] = {}
        for file, step in steps:
            path, before = paths[file], paths[file].read_bytes()
            new = file not in first
            # Once cut, a file needs no other: its own ledger says what its sessions had come to.
            behind = paths[:file] if new or always_behind else []
            fk.open(path).trim(fk.CutPolicy(LADDER[step], rest=rest), in_place=True, behind=behind)
            assert len(path.read_bytes()) <= len(before)
            first.setdefault(file, totals(path))
            assert totals(path) == first[file], "the true totals stay through every step"
            if not any(n not in first for n in range(len(paths))):
                assert fk.open(*paths).flows().to_dicts() == flows
        fk.open(*[folder / "pristine" / p.name for p in paths]).trim(
            fk.CutPolicy(LADDER[-1], rest=rest), output=folder / "whole", ledger=True
        )
        for path in paths:
            assert path.read_bytes() == (folder / "whole" / path.name).read_bytes()
            assert totals(path) == totals(folder / "whole" / path.name)


@settings(max_examples=60, deadline=None)
@given(lives(), st.integers(0, 4000), st.sampled_from(["cut", "headers"]))
def test_each_file_alone_with_the_ledgers_before_it_is_cut_as_the_model_says(
    life: tuple[list[Packet], list[int], list[tuple[int, int]]], cutoff: int, rest: str
) -> None:
    packets, splits, _ = life
    want = model.trim(seen(packets), Policy(cutoff, rest=rest), splits=splits)  # type: ignore[arg-type]
    with TemporaryDirectory() as name:
        paths = write(Path(name), packets, splits)
        for n, path in enumerate(paths):
            fk.open(path).trim(fk.CutPolicy(cutoff, rest=rest), in_place=True, behind=paths[:n])
        records = [record for path in paths for record in wire.read(path.read_bytes()).records]
    assert records == expected(seen(packets), want)


def test_of_the_files_before_only_the_ledgers_are_read(tmp_path: Path) -> None:
    packets = wire.tcp_session("10.0.0.1:4000", "10.0.0.2:80", [("s", bytes(30_000))])
    (tmp_path / "1.pcap").write_bytes(wire.pcap(packets[:10]))
    (tmp_path / "2.pcap").write_bytes(wire.pcap(packets[10:]))
    fk.open(tmp_path / "1.pcap").trim("5kB", in_place=True)
    (tmp_path / "1.pcap").unlink()
    fk.open(tmp_path / "2.pcap").trim("5kB", in_place=True, behind=[tmp_path / ("1.pcap" + LEDGER)])
    kept: Sequence[wire.Record] = wire.read((tmp_path / "2.pcap").read_bytes()).records
    assert all(len(record.data) < 80 for record in kept), "only the end of the connection is left"
    [row] = captures.rows((tmp_path / ("2.pcap" + LEDGER)).read_bytes())
    assert row["continues"] and row["before_server_bytes"] > 5000
