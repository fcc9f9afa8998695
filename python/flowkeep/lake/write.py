"""Writes the flows of a data set into a lake: first everything beside it, then its names in one go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from .. import _native
from ..errors import OutputError, UsageError
from ..flow import Flows
from ..sink.atomic import sync_folder
from ..sink.stream import Watched, naming
from ..text import safe
from .layout import CAPTURES, FLOWS, HOUR_NS, WORK, capture_schema, file_name, locked, partition, schema
from .read import captures as listed
from .read import datasets

if TYPE_CHECKING:
    import polars

CHUNK = 250_000
"""Flows that are in memory as rows at a time."""
GROUP = 50_000
"""Rows for which Parquet keeps smallest and largest values."""


@dataclass
class Staged:
    """A data set that is being written into a lake."""

    lake: Path
    dataset: str
    files: list[tuple[str, str]] = field(default_factory=list)
    """Partition and name of each file of flows."""
    flows: int = 0

    @property
    def folder(self) -> Path:
        """Where its files wait."""
        return self.lake / WORK / f"write-{self.dataset}"


def begin(lake: Path, dataset: str) -> Staged:
    """Begin to write a data set; what a run that was killed left is taken away. Raises OutputError."""
    staged = Staged(lake, dataset)
    with naming(os.fspath(lake)):
        shutil.rmtree(staged.folder, ignore_errors=True)
        staged.folder.mkdir()
    return staged


def add(
    staged: Staged, flows: Flows, parts: _native.FlowParts, names: Sequence[str], *, first: int = 0
) -> None:
    """Write flows of the data set; none is visible yet. ``names``: ids of the captures by their numbers in
    ``parts``. ``first``: number of the first file, for whoever writes in several places at once.

    Raises OutputError.
    """
    number = first
    for frame in _chunks(flows, parts, names, staged.dataset):
        for (hour_ns,), rows in _hours(frame):
            last_ns = cast(int, rows["last_ts"].dt.epoch("ns").max())
            name = file_name(f"{staged.dataset}-{number:05}", last_ns)
            write_parquet(rows.drop("_hour"), staged.folder / name)
            staged.files.append((partition(cast(int, hour_ns)), name))
            number += 1
        staged.flows += len(frame)


def publish(staged: Staged, table: polars.DataFrame) -> None:
    """Make the data set visible; ``table`` lists its captures, see :func:`layout.capture_schema`.
    That list comes last: a data set counts when it is there.

    Raises OutputError, and UsageError when one of the captures came into the lake meanwhile.
    """
    lake, record = staged.lake, f"{staged.dataset}.parquet"
    write_parquet(table.select(list(capture_schema())), staged.folder / record)
    with locked(lake), naming(os.fspath(lake)):
        refuse_known(lake, staged.dataset, table["capture"].to_list())
        folders = sorted({lake / FLOWS / place for place, _ in staged.files})
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for place, name in staged.files:
            os.replace(staged.folder / name, lake / FLOWS / place / name)
        for folder in {*folders, *(folder.parent for folder in folders), lake / FLOWS}:
            sync_folder(folder)
        os.replace(staged.folder / record, lake / CAPTURES / record)
        sync_folder(lake / CAPTURES)
    discard(staged)


def discard(staged: Staged) -> None:
    """Take away what is not visible."""
    shutil.rmtree(staged.folder, ignore_errors=True)


def refuse_known(lake: Path, dataset: str, captures: Sequence[str]) -> None:
    """Raise UsageError when one of these captures is in another data set of the lake: its flows would be
    there twice."""
    others = {name: path for name, path in datasets(lake).items() if name != dataset}
    import polars as pl

    known = listed(others).filter(pl.col("capture").is_in(list(captures)))
    if len(known):
        path, other = known["path"][0], known["dataset"][0]
        raise UsageError(
            f"{safe(path)} is in the lake {safe(lake)} already, in data set {safe(other)}: its flows would "
            "be there twice; name only new captures, or another lake"
        )


def write_parquet(frame: polars.DataFrame, path: Path) -> None:
    """Write a Parquet file and bring it to the disk. Raises OutputError."""
    with naming(os.fspath(path)), path.open("wb") as out:
        watched = Watched(out)
        try:
            frame.write_parquet(cast(IO[bytes], watched), compression="zstd", row_group_size=GROUP)
            out.flush()
            os.fsync(out.fileno())
        except OSError:
            raise
        except Exception as error:
            raise watched.failed or OutputError(
                f"{safe(path)}: cannot be written: {safe(str(error))}"
            ) from None


def _chunks(
    flows: Flows, parts: _native.FlowParts, names: Sequence[str], dataset: str
) -> Iterator[polars.DataFrame]:
    import polars as pl

    wanted: Mapping[str, polars.DataType] = schema()
    ids = pl.DataFrame(
        {"file": range(len(names)), "capture": names}, schema={"file": pl.UInt32, "capture": pl.String}
    )
    time = pl.Datetime("ns", "UTC")
    for start in range(0, len(flows), CHUNK):
        frame = flows.slice(start, CHUNK).to_polars()
        first, last = frame["flow_id"][0], frame["flow_id"][-1]
        held = (
            pl.DataFrame(parts.of(first, last + 1))
            .join(ids, on="file", how="left", maintain_order="left")
            .with_columns(
                pl.from_epoch("first_ts", "ns").cast(time), pl.from_epoch("last_ts", "ns").cast(time)
            )
        )
        struct = pl.struct("capture", *(n for n in held.columns if n not in ("flow_id", "file", "capture")))
        by_flow = held.group_by("flow_id", maintain_order=True).agg(captures=struct)
        frame = frame.join(by_flow, on="flow_id", how="left", maintain_order="left")
        absent = [pl.lit(None, dtype=kind).alias(n) for n, kind in wanted.items() if n not in frame.columns]
        frame = frame.with_columns(*absent).with_columns(dataset=pl.lit(dataset))
        yield frame.select(pl.col(n).cast(kind) for n, kind in wanted.items())


def _hours(frame: polars.DataFrame) -> Iterator[tuple[tuple[object, ...], polars.DataFrame]]:
    import polars as pl

    hour = pl.col("first_ts").dt.epoch("ns").floordiv(HOUR_NS) * HOUR_NS
    yield from sorted(
        frame.with_columns(_hour=hour).group_by("_hour", maintain_order=True),
        key=lambda group: cast(int, group[0][0]),
    )
