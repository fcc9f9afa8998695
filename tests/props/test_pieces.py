"""Pieces that are read apart and cut from their carries give what one pass over all of them gives."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from flowkeep import _native
from flowkeep.cut import CutPolicy
from flowkeep.errors import SummaryError, UsageError
from flowkeep.flow import ReadOptions
from flowkeep.ops.trim import TrimPlan, trim
from flowkeep.paths import find
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.wire import Packet

from .traffic import files, fragments, traffic, udp

LEDGER = ".ledger.arrow"


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


@st.composite
def mostly_fragments(draw: st.DrawFn) -> list[Packet]:
    """Datagrams in fragments that go over the borders of files."""
    parts = draw(st.lists(st.one_of(fragments(), fragments(), udp()), min_size=1, max_size=6))
    return wire.merged(*parts)


AGAIN = st.lists(st.booleans(), min_size=5, max_size=5)
TRAFFIC = st.one_of(traffic(), mostly_fragments())


def some_trimmed(packets: list[Packet], cuts: list[float], again: list[bool], root: Path) -> list[Path]:
    """The packets in files, some of which were trimmed before and have ledgers."""
    for name in ("in", "before"):
        (root / name).mkdir()
    paths = files(packets, cuts, root / "in")
    trim(find([root / "in"]), CutPolicy(2000), TrimPlan(output=root / "before", ledger=True))
    for path, old in zip(paths, again, strict=False):
        if old:
            for name in (path.name, path.name + LEDGER):
                (root / "in" / name).write_bytes((root / "before" / name).read_bytes())
    return paths


@settings(max_examples=120, deadline=None)
@given(TRAFFIC, CUTS, POLICIES, st.integers(1, 3), AGAIN, st.integers(0, 3000))
def test_files_cut_from_their_carries(
    packets: list[Packet], cuts: list[float], policy: dict[str, Any], parts: int, again: list[bool], tail: int
) -> None:
    policy["tail"] = tail if policy["rest"] == "cut" else 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = some_trimmed(packets, cuts, again, root)
        for name in ("one", "many"):
            (root / name).mkdir()
        one = _native.Trimmer(ledger=True, jobs=1, **policy)
        for path in paths:
            one.measure(str(path), ledger_in=ledger_of(path))
        fold = Fold(paths, parts, cutting=True)
        for k, path in enumerate(paths):
            single, several = root / "one" / path.name, root / "many" / path.name
            piece = _native.Trimmer(ledger=True, jobs=1, carry=fold.carries[k], totals=fold.whole, **policy)
            piece.measure(str(path), ledger_in=ledger_of(path))
            found = [
                trimmer.file(
                    str(path),
                    str(out),
                    ledger_in=ledger_of(path),
                    ledger_out=str(out) + LEDGER,
                    digest=True,
                    last=k + 1 == len(paths),
                    policy="{}",
                )
                for trimmer, out in ((one, single), (piece, several))
            ]
            assert found[1] == found[0]
            assert several.read_bytes() == single.read_bytes()
            ledgers = [Path(str(name) + LEDGER).read_bytes() for name in (several, single)]
            assert ledgers[0] == ledgers[1]


def chosen_in(merged: _native.Summary, names: set[bytes]) -> list[int]:
    """The flows of these names in a table of a piece."""
    begins = merged.begins()
    return [n for n in range(len(begins) // 8) if begins[8 * n : 8 * n + 8] in names]


@settings(max_examples=120, deadline=None)
@given(TRAFFIC, CUTS, st.integers(1, 3), AGAIN, st.randoms(use_true_random=False))
def test_flows_listed_and_taken_out_piece_by_piece(
    packets: list[Packet], cuts: list[float], parts: int, again: list[bool], random: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = some_trimmed(packets, cuts, again, root)
        scanner = _native.Scanner(jobs=1)
        for path in paths:
            scanner.file(str(path), ledger=ledger_of(path))
        table = scanner.flows()
        fold = Fold(paths, parts, cutting=False)
        assert fold.whole.flows().to_pylist() == table.to_pylist()
        wanted = [n for n in range(len(table)) if random.random() < 0.5]
        begins = fold.whole.begins()
        names = {begins[8 * n : 8 * n + 8] for n in wanted}
        assert len(set(zip(*[iter(begins)] * 8, strict=True))) == len(table), "two flows have one name"
        one = _native.Extractor(table, wanted, str(root / "one"), jobs=1)
        for k, path in enumerate(paths):
            last = k + 1 == len(paths)
            beside = ledger_of(path)
            one.file(str(path), form="copy" if k == 0 else "append", ledger=beside, last=last)
            merged = fold.carries[k].copy()
            merged.merge(fold.pieces[k])
            if last:
                merged.end()
            piece = _native.Extractor(
                merged.flows(),
                chosen_in(merged, names),
                str(root / f"{k}.out"),
                jobs=1,
                carry=fold.carries[k],
            )
            piece.file(str(path), ledger=beside, last=last)
            piece.finish()
        one.finish()
        found = [wire.read((root / f"{k}.out").read_bytes()).records for k in range(len(paths))]
        whole_found = wire.read((root / "one").read_bytes()).records
        assert [(r.ts_ns, r.data) for records in found for r in records] == [
            (r.ts_ns, r.data) for r in whole_found
        ]


@settings(max_examples=60, deadline=None)
@given(TRAFFIC, CUTS, st.integers(1, 3), AGAIN, st.randoms(use_true_random=False))
def test_flows_searched_and_rebuilt_piece_by_piece(
    packets: list[Packet], cuts: list[float], parts: int, again: list[bool], random: Any
) -> None:
    """A pass behind a carry looks at the flows that were chosen: those in which one over this file alone,
    of all flows, finds something."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = some_trimmed(packets, cuts, again, root)
        fold = Fold(paths, parts, cutting=False)
        for k, path in enumerate(paths):
            beside = ledger_of(path)
            merged = fold.carries[k].copy()
            merged.merge(fold.pieces[k])
            begins = merged.begins()
            names = [begins[8 * n : 8 * n + 8] for n in range(len(merged))]
            wanted = {name for name in names if random.random() < 0.5}
            ids = chosen_in(merged, wanted)

            def found(ids: list[int] | None) -> dict[bytes, int]:
                chosen = {} if ids is None else {"flows": merged.flows(), "ids": ids}  # noqa: B023
                searcher = _native.Searcher(b"x", jobs=1, carry=fold.carries[k], **chosen)  # type: ignore[arg-type]  # noqa: B023
                searcher.file(str(path), ledger=beside)  # noqa: B023
                done = searcher.finish()
                own = done["begins"]
                return {own[8 * n : 8 * n + 8]: times for n, times in done["found"]}

            every = found(None)
            assert found(ids) == {name: times for name, times in every.items() if name in wanted}

            def rebuilt(ids: list[int], name: str) -> dict[int, Any]:
                out = root / f"{k}.{name}"  # noqa: B023
                out.mkdir()
                flows = merged.flows()  # noqa: B023
                rebuilder = _native.Rebuilder(flows, ids, str(out), udp=True, jobs=1, carry=fold.carries[k])  # noqa: B023
                rebuilder.file(str(path), k, ledger=beside)  # noqa: B023
                rebuilder.finish()
                rows = json.loads(b"[" + rebuilder.next_rows(len(flows)) + b"]")
                return {row["flow_id"]: row for row in rows}

            streams = rebuilt(list(range(len(merged))), "all")
            assert rebuilt(ids, "some") == {n: row for n, row in streams.items() if n in ids}


def test_a_pass_goes_on_only_from_a_carry_that_knows_enough(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(wire.pcap(wire.udp_dialogue("10.0.0.1:1", "10.0.0.2:2", [("c", b"hello")])))
    piece, _ = _native.Summary.scan(str(path), jobs=1)
    start = _native.Summary.start()
    for arguments, why in (
        ({"carry": piece}, "Summary.start"),
        ({"carry": _native.Summary.start(idle_ns=1)}, "other settings"),
        ({"carry": start, "tail": 10}, "a tail without totals"),
        ({"carry": start, "compat": "trimpcap"}, "TrimPCAP"),
        ({"carry": start, "identify": True}, "by service"),
    ):
        with pytest.raises(UsageError, match=why):
            _native.Trimmer(1000, **arguments)  # type: ignore[arg-type]
    with pytest.raises(SummaryError, match="begins at the start"):
        start.merge(_native.Summary.start())
    with pytest.raises(SummaryError, match="different settings"):
        _native.Summary.start(idle_ns=1).merge(piece)
    with pytest.raises(SummaryError, match="not parts of the same"):
        start.join(piece)


def test_broken_files_of_summaries_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(wire.pcap(wire.udp_dialogue("10.0.0.1:1", "10.0.0.2:2", [("c", b"hello")])))
    piece, _ = _native.Summary.scan(str(path), jobs=1)
    whole = piece.to_bytes()
    assert _native.Summary.from_bytes(whole).to_bytes() == whole
    for broken in (b"", b"ARROW1", whole[:-40], whole.replace(b"flowkeep.summary", b"flowkeep.summarY")):
        with pytest.raises(SummaryError):
            _native.Summary.from_bytes(broken)


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
