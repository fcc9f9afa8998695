"""Reads files of a lake that anybody may have written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LakeError
from ..text import safe
from .layout import CAPTURES, DATASET, HOUR_NS, FlowFile, capture_schema

if TYPE_CHECKING:
    import polars


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What Polars says of a file becomes a LakeError that names it."""
    import polars as pl

    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LakeError(f"{safe(path)}: cannot be read: {error.strerror or safe(str(error))}") from error
    except pl.exceptions.PolarsError as error:
        raise LakeError(f"{safe(path)}: it is no whole Parquet file of a lake: {_said(error)}") from error
    except BaseException as error:
        # A panic of the Parquet reader is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise LakeError(f"{safe(path)}: it is no Parquet file that can be read: {_said(error)}") from None


def _said(error: BaseException) -> str:
    return safe(str(error).strip().split("\n")[0][:200])


def check_schema(path: Path, wanted: Mapping[str, polars.DataType]) -> None:
    """Raise LakeError unless a Parquet file has these columns."""
    import polars as pl

    if not path.is_file():
        if not os.path.lexists(path):
            raise FileNotFoundError(2, "no such file", os.fspath(path))
        raise LakeError(f"{safe(path)} is no file")
    with naming(path):
        there = pl.read_parquet_schema(path)
    for name, kind in wanted.items():
        if name not in there:
            raise LakeError(f"{safe(path)}: the column {name} is missing; it is no file of a lake")
        if there[name] != kind:
            raise LakeError(
                f"{safe(path)}: the column {name} is {safe(str(there[name]))[:80]} and should be {kind}"
            )


def rows(
    file: FlowFile, wanted: Mapping[str, polars.DataType], condition: polars.Expr | None = None
) -> polars.DataFrame:
    """The flows of a file that meet a condition.

    Raises LakeError, also when flows found are not of the file's hour, and FileNotFoundError when it was
    joined with others meanwhile.
    """
    import polars as pl

    check_schema(file.path, wanted)
    with naming(file.path):
        lazy = pl.scan_parquet(file.path, hive_partitioning=False, glob=False, extra_columns="ignore")
        lazy = lazy.select(list(wanted))
        found = (lazy if condition is None else lazy.filter(condition)).collect()
        times = found.select(pl.col("first_ts", "last_ts").dt.epoch("ns"))
        lying = times.filter(
            ~pl.col("first_ts").is_between(file.hour_ns, file.hour_ns + HOUR_NS - 1)
            | (pl.col("last_ts") > file.until_ns)
            | pl.any_horizontal(pl.all().is_null())
        )
    if len(lying):
        raise LakeError(
            f"{safe(file.path)}: it holds flows of another time than its path says: it was moved or forged"
        )
    return found


def datasets(lake: Path) -> dict[str, Path]:
    """The data sets that are whole, and the files that list their captures. Raises LakeError."""
    try:
        with os.scandir(lake / CAPTURES) as entries:
            named = [(DATASET.fullmatch(e.name), Path(e.path)) for e in entries]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LakeError(f"{safe(lake / CAPTURES)}: cannot be read: {error.strerror}") from error
    return {match[1]: path for match, path in sorted(named, key=lambda n: n[1]) if match is not None}


def captures(paths: Mapping[str, Path]) -> polars.DataFrame:
    """The captures of these data sets. Raises LakeError."""
    import polars as pl

    wanted = capture_schema()
    frames = [pl.DataFrame(schema=wanted)]
    for dataset, path in paths.items():
        check_schema(path, wanted)
        with naming(path):
            frame = pl.read_parquet(path, hive_partitioning=False, glob=False).select(list(wanted))
        if frame.filter(pl.col("dataset").is_null() | (pl.col("dataset") != dataset)).height:
            raise LakeError(f"{safe(path)}: it lists captures of another data set")
        frames.append(frame)
    return pl.concat(frames)
