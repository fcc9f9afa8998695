"""Joins small files of an hour into sorted ones. The hour's folder changes in one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .. import _native
from ..errors import OutputError
from ..sink.atomic import sync_folder
from ..sink.stream import naming
from ..text import safe
from .layout import FLOWS, WORK, FlowFile, digest, file_name, files, locked, partition, schema
from .read import datasets, rows
from .write import write_parquet

if TYPE_CHECKING:
    import polars

TARGET = 128_000_000
"""Bytes of a file that is not made larger."""
ORDER = ("server_ip", "client_ip", "first_ts")
"""By what rows are sorted: then most groups of rows need not be read when an address is looked for."""


@dataclass
class Compacted:
    """What was done."""

    hours: int = 0
    """Folders that were changed."""
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    dropped: int = 0
    """Flows of data sets that never became whole."""


def compact(
    lake: Path, *, target: int = TARGET, progress: Callable[[int, int], None] | None = None
) -> Compacted:
    """Join the files of each hour that are smaller than ``target`` bytes, as far as the result is not larger.

    Raises LakeError before anything of an hour is changed, and OutputError.
    """
    report = Compacted()
    with locked(lake):
        known = list(datasets(lake))
        hours = [(hour, list(of)) for hour, of in groupby(files(lake), key=lambda file: file.hour_ns)]
        done, total = 0, sum(file.size for _, of in hours for file in of)
        for hour_ns, of in hours:
            _hour(lake, hour_ns, of, known, target, report)
            done += sum(file.size for file in of)
            if progress is not None:
                progress(done, total)
    return report


def _hour(
    lake: Path, hour_ns: int, of: list[FlowFile], known: list[str], target: int, report: Compacted
) -> None:
    groups = list(_groups(of, target))
    stale = any(not file.path.name.startswith("joined-") and file.path.name[:16] not in known for file in of)
    if not stale and all(len(group) == 1 for group in groups):
        return
    folder, new = lake / FLOWS / partition(hour_ns), lake / WORK / "compact"
    with naming(os.fspath(folder)):
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        after = 0
        for group in groups:
            name = group[0].path.name
            if len(group) == 1 and (name.startswith("joined-") or name[:16] in known):
                os.link(group[0].path, new / name)
                continue
            frame, lost = _joined(group, known)
            report.dropped += lost
            if frame.height:
                stem = f"joined-{digest([file.path.name for file in group])}-{after:05}"
                after += 1
                name = file_name(stem, cast(int, frame["last_ts"].dt.epoch("ns").max()))
                write_parquet(frame, new / name)
        sync_folder(new)
        try:
            _native.exchange(os.fspath(folder), os.fspath(new))
        except OSError as error:
            raise OutputError(
                f"{safe(folder)}: this file system cannot let two folders change places "
                f"({error.strerror}), so that "
                "readers might see flows twice: compact the lake on a local file system"
            ) from error
        sync_folder(folder.parent)
        kept = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
        # Whoever opened one of the old files reads it to its end.
        shutil.rmtree(new, ignore_errors=True)
    report.hours += 1
    report.files_before += len(of)
    report.bytes_before += sum(file.size for file in of)
    report.files_after += len(kept)
    report.bytes_after += sum(kept.values())


def _groups(of: list[FlowFile], target: int) -> Iterator[list[FlowFile]]:
    """Neighbours that together stay below the target."""
    group: list[FlowFile] = []
    for file in of:
        if group and sum(each.size for each in group) + file.size > target:
            yield group
            group = []
        group.append(file)
    if group:
        yield group


def _joined(group: list[FlowFile], known: list[str]) -> tuple[polars.DataFrame, int]:
    import polars as pl

    wanted = schema()
    frame = pl.concat([rows(file, wanted) for file in group])
    whole = frame.filter(pl.col("dataset").is_in(known))
    return whole.sort(*ORDER, "dataset", "flow_id"), len(frame) - len(whole)
