"""From a data set's globs to the state of its files.

What a file holds stands in its ledger; a file without one is read once, and what was found is kept in the
inventory (:mod:`flowkeep.retain.inventory`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from .. import _native
from ..errors import FlowkeepError
from ..paths import LEDGER
from ..sink.atomic import being_written
from ..text import safe
from . import sizes as curves
from .classes import classify
from .classes import curves as class_curves
from .inventory import Inventory, Known, Stamp, rules
from .model import DataSet, Depth, FileState, Sizes, Stage
from .walk import Listed, walk

RECENT = 24 * 3600 * 1_000_000_000
"""Files changed so lately are asked about whether somebody still writes them."""
TOGETHER = 1 << 30
"""Captured bytes that are read with one flow table: so far a flow is followed from file to file."""
_MAGIC = {
    b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\xfd7zXZ": "xz",
}  # fmt: skip

Progress = Callable[[int, int], None]


@dataclass
class Survey:
    """The files of a data set, oldest first packet first, and what is odd about them."""

    files: list[FileState] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    read: int = 0
    """Files that had to be read."""


def survey(
    dataset: DataSet,
    *,
    now: int,
    inventory: Inventory | None = None,
    scan: bool = True,
    progress: Progress | None = None,
) -> Survey:
    """Look at all files of a data set.

    Without ``scan`` no whole file is read: what is not in a ledger or in the inventory stays unknown.
    """
    listed = walk(dataset.include, dataset.exclude)
    found = Survey(warnings=list(listed.warnings))
    wanted = rules(dataset)
    known = {} if inventory is None else inventory.load(wanted)
    fresh: list[tuple[str, Stamp, Known]] = []
    states: list[FileState] = []
    unknown: list[str] = []
    for path in {**listed.captures, **listed.ledgers}:
        stamp = _stamp(listed, path)
        old = known.get(path)
        if old is not None and tuple(old[0]) == stamp and (old[1].sizes or old[1].problem or not scan):
            states.append(_state(listed, path, stamp, old[1], dataset, now))
        else:
            unknown.append(path)
    looked = _look(unknown, listed, dataset, found, scan, now, progress) if unknown else {}
    for path, what in looked.items():
        stamp = _stamp(listed, path)
        state = _state(listed, path, stamp, what, dataset, now)
        states.append(state)
        if not state.growing:
            fresh.append((path, stamp, what))
    for path, why in listed.problems.items():
        states.append(FileState(path, problem=why))
    if inventory is not None:
        here = {*listed.captures, *listed.ledgers}
        inventory.store(wanted, fresh, [path for path in known if path not in here])
        if inventory.warning:
            found.warnings.append(inventory.warning)
    states.sort(key=lambda s: (s.first_ts is None, s.first_ts or s.mtime_ns, s.path))
    found.files = states
    return found


def _stamp(listed: Listed, path: str) -> Stamp:
    info, ledger = listed.captures.get(path), listed.ledgers.get(path)
    own = (0, 0, 0, 0) if info is None else (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
    return (*own, 0, 0) if ledger is None else (*own, ledger.st_size, ledger.st_mtime_ns)


def _state(listed: Listed, path: str, stamp: Stamp, what: Known, dataset: DataSet, now: int) -> FileState:
    device, inode, size, mtime, ledger_size, ledger_mtime = stamp
    if path not in listed.captures:
        device, inode, mtime = listed.ledgers[path].st_dev, 0, ledger_mtime
    age = now - mtime
    growing = False
    if path in listed.captures and age < RECENT:
        growing = 0 <= age < dataset.settle or _written(path)
    ledger = path + LEDGER if path in listed.ledgers else None
    return FileState(
        path, device, inode, size, mtime, what.first_ts, what.last_ts, what.stage, ledger, ledger_size,
        growing, what.problem, what.sizes,
    )  # fmt: skip


def _written(path: str) -> bool:
    try:
        return being_written(path)  # type: ignore[arg-type]
    except OSError:
        return False


def _look(
    paths: Sequence[str],
    listed: Listed,
    dataset: DataSet,
    found: Survey,
    scan: bool,
    now: int,
    progress: Progress | None,
) -> dict[str, Known]:
    """Find out about files that nothing is known of."""
    with_ledger = [path for path in paths if path in listed.ledgers]
    said = dict(zip(with_ledger, _native.ledger_metadata([p + LEDGER for p in with_ledger]), strict=True))
    result: dict[str, Known] = {}
    bare: list[tuple[int, str, Known]] = []
    for path in paths:
        info = listed.captures.get(path)
        metadata, why = said.get(path, (None, None))
        if metadata is not None:
            known = _from_ledger(path, info, metadata, dataset, found)
            if known is not None:
                result[path] = known
                continue
        elif why is not None:
            found.warnings.append(f"{safe(path + LEDGER)}: the ledger is not used: {why}")
        if info is None:
            result[path] = Known(
                None, None, Stage(), None, f"its ledger cannot be used, and it is gone: {why}"
            )
            continue
        known = _probe(path, info)
        result[path] = known
        if known.problem is None and scan:
            written = now - info.st_mtime_ns < RECENT and _written(path)
            if not written and not 0 <= now - info.st_mtime_ns < dataset.settle:
                bare.append((known.first_ts or 0, path, known))
    if bare:
        reader = _Reader(dataset, progress, sum(listed.captures[path].st_size for _, path, _ in bare))
        for _, path, known in sorted(bare, key=lambda one: one[:2]):
            result[path] = reader.read(path, known, listed.captures[path].st_size)
            found.read += 1
    return result


def _probe(path: str, info: os.stat_result) -> Known:
    """What the first packet says."""
    if info.st_size == 0:
        return Known(None, None, Stage(), None, "it is empty")
    try:
        probe = _native.probe(path)
    except FlowkeepError as error:
        why = str(error).removeprefix(f"{safe(path)}: ")
        return Known(None, None, Stage(), None, f"it is no capture: {why}")
    except OSError as error:
        return Known(None, None, Stage(), None, f"it cannot be read: {error.strerror}")
    return Known(probe["first_ts"], None, Stage(compression=probe["compression"]), None)


def _compression(path: str) -> str | None:
    with open(path, "rb", buffering=0) as file:
        head = file.read(6)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def stage_of(metadata: dict[str, str], compression: str | None) -> Stage:
    """How far a file has aged, as its ledger says. Raises ValueError."""
    policy = json.loads(metadata.get("policy") or "{}")
    if not isinstance(policy, dict):
        raise ValueError("the policy is not one")
    chosen = metadata.get("chosen_out", "all").split(" ")
    cutoff: int | None = None
    if chosen[0] != "all":
        comparable = len(chosen) == 4 and chosen[1:3] == ["frame", "both"] and chosen[0].isdecimal()
        cutoff = int(chosen[0]) if comparable else None
    rest = policy.get("rest", "cut")
    depths = tuple(
        Depth(d.get("cutoff"), d.get("select"), d.get("service"))
        for d in policy.get("depths") or ()
        if isinstance(d, dict)
    )
    kind = "whole" if chosen[0] == "all" else "cut"
    return Stage(kind, cutoff, rest if isinstance(rest, str) else "cut", depths, compression)  # type: ignore[arg-type]


def _from_ledger(
    path: str, info: os.stat_result | None, metadata: dict[str, str], dataset: DataSet, found: Survey
) -> Known | None:
    """What a ledger says; None when it is not one of this file, or of its state before it was trimmed."""
    name = safe(path + LEDGER)
    try:
        size_in, size_out = int(metadata["size_in"]), int(metadata["size_out"])
        if info is not None and info.st_size != size_out:
            if info.st_size != size_in:
                found.warnings.append(
                    f"{name}: the ledger is not used: it is for a file of {size_out:,} bytes (before: "
                    f"{size_in:,}), and {info.st_size:,} are there"
                )
            return None
        text = metadata.get("curve") or _native.ledger_curve(path + LEDGER)
        sizes, last_ts = curves.parse(text)
        sizes = replace(
            sizes, original_packets=int(metadata["packets"]), original_held=int(metadata["bytes"])
        )
        first = metadata.get("first_ts") or ""
        first_ts = int(first) if first else None
        if info is None:
            sizes = replace(sizes, packets=0, held=0, curve=b"")
            return Known(first_ts, last_ts, replace(stage_of(metadata, None), kind="flows-only"), sizes)
        stage = stage_of(metadata, _compression(path))
        if rules(dataset):
            sizes = replace(sizes, classes=_ledger_classes(path, dataset, found))
    except OSError as error:
        return Known(None, None, Stage(), None, f"it cannot be read: {error.strerror}")
    except (ValueError, KeyError, IndexError, FlowkeepError) as error:
        found.warnings.append(f"{name}: the ledger is not used: {safe(str(error))}")
        return None
    return Known(first_ts, last_ts, stage, sizes)


def _ledger_classes(path: str, dataset: DataSet, found: Survey) -> tuple[tuple[int, int, bytes], ...]:
    import polars as pl

    table = _native.ledger_flows(path + LEDGER)
    frame = pl.read_ipc(path + LEDGER)
    if len(table) != frame.height:
        found.warnings.append(f"{safe(path + LEDGER)}: its flows cannot be told apart by class")
        return ()
    both = "client_bytes", "server_bytes"
    kept = frame.select(
        held=pl.sum_horizontal(f"kept_{name}" for name in both),
        packets=pl.sum_horizontal("kept_client_packets", "kept_server_packets"),
        original=pl.sum_horizontal(both),
        **({"service": pl.col("service")} if "service" in frame.columns else {}),
    )
    own = pl.DataFrame(table)
    return _classes(table, kept.with_columns(own["community_id"]), dataset)


def _classes(table: _native.FlowTable, frame: object, dataset: DataSet) -> tuple[tuple[int, int, bytes], ...]:
    numbers = classify(table, frame, dataset)  # type: ignore[arg-type]
    return class_curves(frame, numbers, len(dataset.depths) + 1)  # type: ignore[arg-type]


class _Reader:
    """Reads captures that have no ledger, oldest first, so that flows are followed from file to file."""

    def __init__(self, dataset: DataSet, progress: Progress | None, total: int) -> None:
        self.dataset, self.progress, self.total, self.done = dataset, progress, total, 0
        self.split = bool(rules(dataset))
        self.scanner: _native.Scanner | None = None
        self.held = 0
        self.before: list[tuple[int, int, int]] = []
        self.flows = 0

    def _scanner(self) -> _native.Scanner:
        if self.scanner is None or self.split or self.held >= TOGETHER:
            identify = any(depth.service is not None for depth in self.dataset.depths)
            self.scanner = _native.Scanner(what_if=curves.CUTOFFS, identify=identify)
            self.before, self.flows, self.held = [(0, 0, 0)] * len(curves.CUTOFFS), 0, 0
        return self.scanner

    def read(self, path: str, known: Known, size: int) -> Known:
        scanner = self._scanner()
        start, progress = self.done, self.progress
        self.done += size
        told = None if progress is None else (lambda done, _: progress(start + done, self.total))
        try:
            scan = scanner.file(path, progress=told)
        except OSError as error:
            self.scanner = None
            return replace(known, problem=f"it cannot be read: {error.strerror}")
        except FlowkeepError as error:
            self.scanner = None
            return replace(known, problem=str(error).removeprefix(f"{safe(path)}: "))
        if scan["damage"] is not None:
            self.scanner = None
            damage = scan["damage"]
            return replace(known, problem=f"it is damaged at byte {damage['offset']:,}: {damage['detail']}")
        self.held += scan["bytes"]
        flows = sum(n for _, n, _ in scanner.histogram())
        new = flows - self.flows
        points, after = [], []
        for left, before in zip(scanner.what_if(), self.before, strict=True):
            after.append((left["kept_bytes"], left["kept_packets"], left["flows_cut"]))
            held, packets, cut = (now - then for now, then in zip(after[-1], before, strict=True))
            points.append((held, packets, max(new - cut, 0)))
        self.before, self.flows = after, flows
        whole = (scan["bytes"], scan["packets"], new)
        while len(points) > 1 and points[-2] == whole:
            points.pop()
        sizes = Sizes(
            scan["packets"], scan["bytes"], new, scan["packets"], scan["bytes"], curves.pack(points),
            self._classes(scanner) if self.split else (),
        )  # fmt: skip
        return Known(
            known.first_ts, scan["last_ts"], replace(known.stage, compression=scan["compression"]), sizes
        )

    def _classes(self, scanner: _native.Scanner) -> tuple[tuple[int, int, bytes], ...]:
        import polars as pl

        table = scanner.flows()
        frame = pl.DataFrame(table)
        held = pl.col("client_bytes") + pl.col("server_bytes")
        frame = frame.with_columns(
            held=held, original=held, packets=pl.col("client_packets") + pl.col("server_packets")
        )
        return _classes(table, frame, self.dataset)
