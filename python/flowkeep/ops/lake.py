"""The use cases behind ``flowkeep flows -o LAKE/`` and ``flowkeep lake``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _native
from ..errors import BusyError, LakeError, UsageError
from ..flow import Flows, ReadOptions
from ..identify import listed, load_models
from ..lake import write as _write
from ..lake.compact import TARGET, Compacted
from ..lake.compact import compact as _compact
from ..lake.layout import VERSION, capture_schema, check, digest, files, identity, make
from ..lake.read import captures as _captures
from ..lake.read import datasets
from ..paths import Capture, Found
from ..places import Place, Url
from ..text import safe
from .damage import damage
from .meter import Meter, Progress
from .reading import check_filter

if TYPE_CHECKING:
    import polars


@dataclass
class LakeReport:
    """What was written into a lake."""

    lake: Path
    dataset: str
    """The id of the data set: the same for the same captures and options."""
    flows: int
    files: int
    """Files of flows; 0 when the data set was there already."""
    captures: int
    scans: list[_native.FileScan] = field(default_factory=list)
    """What was found in each capture."""
    skipped: list[tuple[Place, str]] = field(default_factory=list)
    there: bool = False
    """The data set was in the lake already, whole; nothing was read."""


@dataclass(frozen=True)
class LakeInfo:
    """What a lake holds."""

    lake: Path
    datasets: int
    captures: int
    capture_bytes: int
    hours: int
    files: int
    bytes: int
    """Bytes of the files of flows."""
    flows: int
    first_ts: int | None
    """Time of the first packet of all captures, nanoseconds."""
    last_ts: int | None
    missing: list[str]
    """Captures that are not where they were."""


def write_lake(
    found: Found,
    lake: Path,
    options: ReadOptions | None = None,
    *,
    details: bool = False,
    identify: bool = False,
    community_seed: int = 0,
    progress: Progress | None = None,
) -> LakeReport:
    """List the flows of a data set into a lake, each with the captures that hold its packets.

    The same captures with the same options are the same data set: it is written once. Raises UsageError
    when one of the captures is in another data set of the lake, OSError and FlowkeepError for a capture that
    cannot be read, OutputError; nothing is visible then.
    """
    options = options or ReadOptions()
    for capture in found.captures:
        if not capture.regular:
            raise UsageError(
                f"{safe(capture.path)} is a pipe: a lake tells where packets lie, so it lists files only"
            )
    names = [identity(path) for path in _local(found.captures)]
    ids = _ids(found.captures, names)
    settings = _settings(options, details, identify, community_seed)
    dataset = digest(VERSION, ids, settings)
    make(lake)
    if dataset in datasets(lake):
        return LakeReport(lake, dataset, 0, 0, len(ids), skipped=found.skipped, there=True)
    _write.refuse_known(lake, dataset, ids)
    scanner = _native.Scanner(
        **options.native(), details=details, identify=identify, parts=True,
        models=load_models(options.models) if identify else None,
    )  # fmt: skip
    meter, scans = Meter(found.bytes, progress), []
    for capture in found.captures:
        beside = None if capture.ledger is None else os.fspath(capture.ledger)
        path = os.fspath(capture.path)
        scans.append(scanner.file(path, ledger=beside, progress=meter.file(capture.size)))
    check_filter(scans)
    flows = Flows(scanner.flows(community_seed=community_seed), scans)
    for own, name in zip(_local(found.captures), names, strict=True):
        if identity(own) != name:
            raise BusyError(f"{safe(own)}: it was changed while it was read; list it when it is whole")
    table = capture_table(found.captures, scans, ids, names, dataset, settings)
    parts = scanner.parts()
    assert parts is not None
    return write(lake, dataset, flows, parts, table, skipped=found.skipped)


def write(
    lake: Path,
    dataset: str,
    flows: Flows,
    parts: _native.FlowParts,
    table: polars.DataFrame,
    *,
    skipped: Iterable[tuple[Place, str]] = (),
) -> LakeReport:
    """Write listed flows into a lake. ``table`` is what :func:`capture_table` gives. Raises
    UsageError, OutputError."""
    staged = _write.begin(lake, dataset)
    try:
        _write.add(staged, flows, parts, table["capture"].to_list())
        _write.publish(staged, table)
    except BaseException:
        _write.discard(staged)
        raise
    return LakeReport(lake, dataset, staged.flows, len(staged.files), len(table), flows.files, list(skipped))


def _local(captures: Iterable[Capture]) -> list[Path]:
    """Where captures lie. Raises UsageError for URLs: a lake names captures to open, and who made its files
    could name any server."""
    for capture in captures:
        if isinstance(capture.path, Url):
            raise UsageError(
                f"{safe(capture.path)}: a lake lists captures of this machine: mount them, or copy them"
            )
    return [capture.path for capture in captures if isinstance(capture.path, Path)]


def _ids(captures: list[Capture], names: list[str]) -> list[str]:
    ids: dict[str, Place] = {}
    for capture, name in zip(captures, names, strict=True):
        own = name[:16]
        if capture.first_ts is None:
            # Captures without packets are all alike.
            own = digest(name, os.path.abspath(capture.path))
        if own in ids:
            raise UsageError(
                f"{safe(capture.path)} is a copy of {safe(ids[own])}: its packets would count "
                "twice; name one of them"
            )
        ids[own] = capture.path
    return list(ids)


def _settings(options: ReadOptions, details: bool, identify: bool, seed: int) -> dict[str, Any]:
    sessions = {key: value for key, value in options.sessions().items() if key != "jobs"}
    models = [Path(model).name for model in listed(options.models)]
    return {
        **sessions, "filter": options.filter, "details": details, "identify": identify, "models": models,
        "community_seed": seed,
    }  # fmt: skip


def capture_table(
    captures: list[Capture],
    scans: list[_native.FileScan],
    ids: list[str],
    names: list[str],
    dataset: str,
    settings: dict[str, Any],
) -> polars.DataFrame:
    """The captures of a data set, one row each, with their ids and identities."""
    import polars as pl

    rows = [
        {
            "capture": id_, "dataset": dataset, "number": n, "path": _text(os.path.abspath(capture.path)),
            "size": capture.size, "first_ts": scan["first_ts"], "last_ts": scan["last_ts"],
            "packets": scan["packets"], "bytes": scan["bytes"], "identity": name,
            "trimmed": scan["ledger"] == "used", "indexed": capture.index is not None, "damage": damage(scan),
            "settings": json.dumps(settings, sort_keys=True), "written_by": f"flowkeep {_native.version()}",
        }
        for n, (capture, scan, id_, name) in enumerate(zip(captures, scans, ids, names, strict=True))
    ]  # fmt: skip
    columns = {name: [row[name] for row in rows] for name in capture_schema()}
    times = {name: pl.Series(columns[name], dtype=pl.Int64) for name in ("first_ts", "last_ts")}
    frame = pl.DataFrame({**columns, **times})
    return frame.select(pl.col(name).cast(kind) for name, kind in capture_schema().items())


def _text(path: str) -> str:
    """A path as text; what is no UTF-8 in it as escapes."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def compact_lake(lake: Path, *, target: int = TARGET, progress: Progress | None = None) -> Compacted:
    """Join small files of a lake into sorted ones of about ``target`` bytes. Raises LakeError,
    OutputError."""
    check(lake)
    return _compact(lake, target=target, progress=progress)


def describe_lake(lake: Path) -> LakeInfo:
    """What a lake holds. Raises LakeError."""
    import polars as pl

    from ..lake.read import naming

    check(lake)
    known = datasets(lake)
    table = _captures(known)
    there, flows = files(lake), 0
    for file in there:
        with suppress(FileNotFoundError), naming(file.path):
            lazy = pl.scan_parquet(file.path, hive_partitioning=False, glob=False)
            whole = lazy.filter(pl.col("dataset").is_in(list(known)))
            flows += int(whole.select(pl.len()).collect().item())
    times = table.select(pl.col("first_ts").min().dt.epoch("ns"), pl.col("last_ts").max().dt.epoch("ns"))
    missing = [path for path in table["path"].unique(maintain_order=True).to_list() if not _is_there(path)]
    return LakeInfo(
        lake, len(known), len(table), int(table["size"].sum()), len({file.hour_ns for file in there}),
        len(there), sum(file.size for file in there), flows, times["first_ts"][0],
        times["last_ts"][0], missing,
    )  # fmt: skip


def _is_there(path: str | None) -> bool:
    return path is not None and "\0" not in path and os.path.isfile(path)


__all__ = [
    "Compacted", "LakeError", "LakeInfo", "LakeReport", "capture_table", "compact_lake",
    "describe_lake", "write", "write_lake",
]  # fmt: skip
