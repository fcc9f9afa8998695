"""Pieces that are read apart and cut from their carries give what one pass over all of them gives."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import flowkeep
from flowkeep import _native
from flowkeep.cut import CutPolicy
from flowkeep.flow import ReadOptions
from flowkeep.ops.trim import TrimPlan, trim
from flowkeep.paths import find
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.wire import Packet

from .traffic import traffic

LEDGER = ".ledger.arrow"


def files(packets: list[Packet], cuts: list[float], folder: Path) -> list[Path]:
    """The packets in files, in order."""
    at = [0, *sorted(int(cut * len(packets)) for cut in cuts), len(packets)]
    paths = []
    for n, (a, b) in enumerate(itertools.pairwise(at)):
        path = folder / f"{n}.pcap"
        path.write_bytes(wire.pcap(packets[a:b]))
        paths.append(path)
    return paths


def ledger_of(path: Path) -> str | None:
    beside = path.with_name(path.name + LEDGER)
    return str(beside) if beside.exists() else None


class Fold:
    """Merges the summaries of files, in so many parts; keeps each file's carry."""

    def __init__(self, paths: list[Path], parts: int, *, cutting: bool) -> None:
        self.pieces = [_native.Summary.scan(str(p), ledger=ledger_of(p), jobs=1)[0] for p in paths]
        parts = 1 if any(piece.crosses for piece in self.pieces) else parts
        self.carries: list[_native.Summary] = []
        self.whole = _native.Summary.start()
        for number in range(parts):
            merged = _native.Summary.start()
            for k, piece in enumerate(self.pieces):
                part = _native.Summary.from_bytes(piece.part(number, parts).to_bytes())
                met = merged.met_by(part)
                if number == 0:
                    self.carries.append(met)
                else:
                    self.carries[k].join(met)
                merged.merge(part, cutting=cutting)
            if number == 0:
                self.whole = merged
            else:
                self.whole.join(merged)
        self.whole.end()


def trimmed(
    policy: dict[str, Any], path: Path, out: Path, last: bool, carry: _native.Summary
) -> dict[str, Any]:
    trimmer = _native.Trimmer(ledger=True, jobs=1, carry=carry, **policy)
    return trimmer.file(
        str(path),
        str(out),
        ledger_in=ledger_of(path),
        ledger_out=str(out) + LEDGER,
        digest=True,
        last=last,
        policy="{}",
    )


POLICIES = st.fixed_dictionaries(
    {
        "cutoff": st.integers(0, 4000),
        "rest": st.sampled_from(["cut", "headers", "sample"]),
        "sample": st.integers(1, 3),
        "count": st.sampled_from(["frame", "payload"]),
        "per_direction": st.booleans(),
        "control": st.sampled_from(["keep", "drop"]),
    }
)
CUTS = st.lists(st.floats(0, 1), max_size=4)


@settings(max_examples=150)
@given(traffic(), CUTS, POLICIES, st.integers(1, 3), st.lists(st.booleans(), min_size=5, max_size=5))
def test_files_cut_from_their_carries(
    packets: list[Packet], cuts: list[float], policy: dict[str, Any], parts: int, again: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("in", "before", "one", "many"):
            (root / name).mkdir()
        paths = files(packets, cuts, root / "in")
        # Some of them were trimmed before.
        trim(find([root / "in"]), CutPolicy(2000), TrimPlan(output=root / "before", ledger=True))
        for path, old in zip(paths, again, strict=False):
            if old:
                for name in (path.name, path.name + LEDGER):
                    (root / "in" / name).write_bytes((root / "before" / name).read_bytes())
        one = _native.Trimmer(ledger=True, jobs=1, **policy)
        fold = Fold(paths, parts, cutting=True)
        for k, path in enumerate(paths):
            last = k + 1 == len(paths)
            single, several = root / "one" / path.name, root / "many" / path.name
            whole = one.file(
                str(path),
                str(single),
                ledger_in=ledger_of(path),
                ledger_out=str(single) + LEDGER,
                digest=True,
                last=last,
                policy="{}",
            )
            assert trimmed(policy, path, several, last, fold.carries[k]) == whole
            assert several.read_bytes() == single.read_bytes()
            ledgers = [Path(str(name) + LEDGER).read_bytes() for name in (several, single)]
            assert ledgers[0] == ledgers[1]


@settings(max_examples=150)
@given(traffic(), CUTS, st.integers(1, 3), st.randoms(use_true_random=False))
def test_flows_listed_and_taken_out_piece_by_piece(
    packets: list[Packet], cuts: list[float], parts: int, random: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = files(packets, cuts, root)
        scanner = _native.Scanner(jobs=1)
        for path in paths:
            scanner.file(str(path))
        table = scanner.flows()
        fold = Fold(paths, parts, cutting=False)
        assert (
            flowkeep.flow.Flows(fold.whole.flows(), []).to_dicts()
            == flowkeep.flow.Flows(table, []).to_dicts()
        )
        wanted = [n for n in range(len(table)) if random.random() < 0.5]
        begins = fold.whole.begins()
        ids = {begins[8 * n : 8 * n + 8] for n in wanted}
        one = _native.Extractor(table, wanted, str(root / "one"), jobs=1)
        for k, path in enumerate(paths):
            last = k + 1 == len(paths)
            one.file(str(path), form="copy" if k == 0 else "append", last=last)
            whole = fold.carries[k].copy()
            whole.merge(fold.pieces[k])
            if last:
                whole.end()
            local = whole.begins()
            chosen = [n for n in range(len(local) // 8) if local[8 * n : 8 * n + 8] in ids]
            piece = _native.Extractor(
                whole.flows(), chosen, str(root / f"{k}.out"), jobs=1, carry=fold.carries[k]
            )
            piece.file(str(path), last=last)
            piece.finish()
        one.finish()
        found = [wire.read((root / f"{k}.out").read_bytes()).records for k in range(len(paths))]
        whole_found = wire.read((root / "one").read_bytes()).records
        assert [(r.ts_ns, r.data) for records in found for r in records] == [
            (r.ts_ns, r.data) for r in whole_found
        ]


def test_options_are_those_of_every_pass() -> None:
    """The settings that a summary takes are those of :class:`ReadOptions`."""
    assert set(ReadOptions().native()) <= {
        "jobs",
        "outer",
        "key_vlan",
        "idle_ns",
        "tcp_idle_ns",
        "max_flows",
        "filter",
    }
