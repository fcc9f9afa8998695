"""Where things lie in a lake, and what they are called."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _native
from ..errors import LakeError, OutputError, UsageError
from ..flow import Flows
from ..sink.atomic import Part
from ..text import safe

if TYPE_CHECKING:
    import polars

MARK = "flowkeep-lake.json"
VERSION = 1
FLOWS, CAPTURES = "flows", "captures"
WORK = ".flowkeep"
"""What is being made, and the lock. Nobody reads it."""

HOUR_NS = 3_600_000_000_000
_DATE = re.compile(r"date=(\d{4}-\d\d-\d\d)", re.ASCII)
_HOUR = re.compile(r"hour=([01]\d|2[0-3])", re.ASCII)
_NAME = re.compile(
    r"(?:[0-9a-f]{16}-\d{5}|joined-[0-9a-f]{16}-\d{5})\.until-(\d{8}T\d{6})\.parquet", re.ASCII
)
DATASET = re.compile(r"([0-9a-f]{16})\.parquet", re.ASCII)
_EDGE = 1 << 16
_EPOCH = datetime.datetime(1970, 1, 1)
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class FlowFile:
    """A file of flows."""

    path: Path
    hour_ns: int
    """Begin of its hour: all its flows began in it. Nanoseconds since the epoch."""
    until_ns: int
    """No packet of its flows is later."""
    size: int


def schema() -> dict[str, polars.DataType]:
    """Columns of a file of flows, the same in every lake of this version."""
    import polars as pl

    none = Flows(_native.Scanner(details=True, identify=True).flows(), []).to_polars()
    part = {"capture": pl.String, **dict.fromkeys(_COUNTERS, pl.UInt64)}
    times = dict.fromkeys(("first_ts", "last_ts"), pl.Datetime("ns", "UTC"))
    return {**none.schema, "dataset": pl.String(), "captures": pl.List(pl.Struct({**part, **times}))}


_COUNTERS = ("client_packets", "server_packets", "client_bytes", "server_bytes", "packets_left")


def capture_schema() -> dict[str, polars.DataType]:
    """Columns of a file that lists the captures of a data set."""
    import polars as pl

    time = pl.Datetime("ns", "UTC")
    return {
        "capture": pl.String(), "dataset": pl.String(), "number": pl.UInt32(), "path": pl.String(),
        "size": pl.UInt64(), "first_ts": time, "last_ts": time, "packets": pl.UInt64(), "bytes": pl.UInt64(),
        "identity": pl.String(), "trimmed": pl.Boolean(), "indexed": pl.Boolean(), "damage": pl.String(),
        "settings": pl.String(), "written_by": pl.String(),
    }  # fmt: skip


def partition(hour_ns: int) -> str:
    """The folder of an hour, below that of flows."""
    when = _EPOCH + datetime.timedelta(seconds=hour_ns // _SECOND_NS)
    return f"date={when:%Y-%m-%d}/hour={when:%H}"


def file_name(stem: str, last_ns: int) -> str:
    """The name of a file of flows whose last packet has this time: whoever looks for something later need not
    open it."""
    when = _EPOCH + datetime.timedelta(seconds=-(-last_ns // _SECOND_NS))
    return f"{stem}.until-{when:%Y%m%dT%H%M%S}.parquet"


def identity(path: Path) -> str:
    """What tells a capture from others, wherever it lies: SHA-256 of its size and its first and last 64 KiB.

    Raises OSError.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        seen = hashlib.sha256(size.to_bytes(8, "little"))
        seen.update(file.read(_EDGE))
        file.seek(max(size - _EDGE, 0))
        seen.update(file.read(_EDGE))
    return seen.hexdigest()


def digest(*parts: Any) -> str:
    """A name of 16 digits for what is made from these."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def make(lake: Path) -> None:
    """Make a folder a lake, unless it is one. Raises UsageError, OutputError, LakeError."""
    try:
        lake.mkdir(parents=True, exist_ok=True)
        if not (lake / MARK).exists():
            strange = [e.name for e in os.scandir(lake) if e.name not in (FLOWS, CAPTURES, WORK)]
            if any(not name.startswith(".") for name in strange):
                raise UsageError(
                    f"{safe(lake)} is a folder with other files ({safe(sorted(strange)[0])} …): a lake is a "
                    "folder of its own; name a new one"
                )
        for name in (FLOWS, CAPTURES, WORK):
            (lake / name).mkdir(exist_ok=True)
        if not (lake / MARK).exists():
            with Part(lake / MARK) as part:
                part.part.write_text(json.dumps({"flowkeep_lake": VERSION}) + "\n", encoding="ascii")
                part.sync()
                part.commit()
    except FileExistsError as error:
        raise UsageError(f"{safe(error.filename)} is a file where the lake needs a folder") from error
    except (UsageError, OutputError):
        raise
    except OSError as error:
        raise OutputError(f"{safe(lake)}: cannot be written: {error.strerror}") from error
    check(lake)


def check(lake: Path) -> None:
    """Raise LakeError unless a folder is a lake of this version."""
    mark = lake / MARK
    try:
        with mark.open("rb") as file:
            said = json.loads(file.read(4096))
        version = said["flowkeep_lake"]
    except OSError as error:
        raise LakeError(
            f"{safe(lake)} is no lake: {MARK} cannot be read there ({error.strerror}); "
            f"make one with flowkeep flows PATH… -o {safe(lake)}/"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LakeError(f"{safe(mark)}: it does not say which version the lake has") from error
    if version != VERSION:
        raise LakeError(
            f"{safe(mark)}: the lake has version {safe(str(version)[:20])}, this flowkeep reads "
            f"version {VERSION}"
        )


@contextmanager
def locked(lake: Path) -> Iterator[None]:
    """Nobody else changes which files there are. Raises OutputError."""
    try:
        (lake / WORK).mkdir(exist_ok=True)
        fd = os.open(lake / WORK / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise OutputError(f"{safe(lake)}: the lake cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def files(lake: Path, since_ns: int | None = None, until_ns: int | None = None) -> list[FlowFile]:
    """The files that may hold flows seen at ``since_ns`` or later and at ``until_ns`` or earlier, by hour.

    Raises LakeError for names that are not those of a lake.
    """
    found = []
    for date, day in _folders(lake / FLOWS, _DATE):
        for hour, folder in _folders(day, _HOUR):
            try:
                start = datetime.datetime.fromisoformat(f"{date}T{hour}:00:00")
            except ValueError as error:
                raise LakeError(f"{safe(folder)}: there is no such day") from error
            hour_ns = _ns(start)
            if until_ns is not None and hour_ns > until_ns:
                continue
            for entry in _entries(folder):
                if not entry.name.endswith(".parquet"):
                    continue
                named = _NAME.fullmatch(entry.name)
                if named is None:
                    raise LakeError(f"{safe(entry.path)}: no file of a lake has such a name; take it away")
                try:
                    last_ns = _ns(datetime.datetime.strptime(named[1], "%Y%m%dT%H%M%S"))
                except ValueError as error:
                    raise LakeError(f"{safe(entry.path)}: its name tells no time") from error
                if since_ns is None or last_ns >= since_ns:
                    try:
                        size = entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:
                        continue
                    found.append(FlowFile(Path(entry.path), hour_ns, last_ns, size))
    return sorted(found, key=lambda file: (file.hour_ns, file.path.name))


def _ns(when: datetime.datetime) -> int:
    since = when - _EPOCH
    return (since.days * 86400 + since.seconds) * _SECOND_NS


def _folders(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[str, Path]]:
    for entry in _entries(folder):
        named = pattern.fullmatch(entry.name)
        if named is None or not entry.is_dir():
            raise LakeError(f"{safe(entry.path)}: no folder of a lake has such a name; take it away")
        yield named[1], Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith((".", "_"))), key=lambda e: e.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LakeError(f"{safe(folder)}: cannot be read: {error.strerror}") from error
