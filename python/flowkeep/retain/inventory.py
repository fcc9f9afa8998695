"""What is known of the files of an archive, kept from run to run.

It is a cache: a file is looked up by path, device, inode, size and time of change, and so is its ledger.
Whatever does not fit any more is found out anew. Nothing is lost with it but time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..text import safe
from .model import DataSet, Depth, Policy, Sizes, Stage

VERSION = 1
Stamp = tuple[int, int, int, int, int, int]
"""Device, inode, size and time of change of the capture; size and time of change of its ledger (0: none)."""


@dataclass(frozen=True)
class Known:
    """What was found out about a file."""

    first_ts: int | None
    last_ts: int | None
    stage: Stage
    sizes: Sizes | None
    problem: str | None = None


_TABLE = """
create table if not exists files (
    path text primary key, device integer, inode integer, size integer, mtime integer, ledger_size integer,
    ledger_mtime integer, rules text, first_ts integer, last_ts integer, stage text, packets integer,
    held integer, flows integer, original_packets integer, original_held integer, curve blob, classes text,
    problem text
) without rowid
"""
_COLUMNS = 19


def default_path(policy: Policy) -> Path:
    """Where the inventory of a policy is kept: as it says, else in the user's cache."""
    if policy.inventory is not None:
        return Path(policy.inventory)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = hashlib.sha256(os.path.abspath(policy.path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Path(base) / "flowkeep" / f"inventory-{name}.sqlite"


def rules(dataset: DataSet) -> str:
    """A name for the classes of flows that a data set tells apart; empty: none."""
    depths = [(d.select, d.service) for d in dataset.depths]
    locks = [(k.filter, k.community_ids, k.hosts) for k in dataset.locks if k.log is None]
    if not depths and not locks:
        return ""
    return hashlib.sha256(json.dumps([depths, locks]).encode()).hexdigest()[:16]


class Inventory:
    """The cache of one policy. Any trouble with it is told once, and then it is done without."""

    def __init__(self, path: Path | None) -> None:
        """None: nothing is kept."""
        self.path, self.warning = path, ""
        self._db: sqlite3.Connection | None = None
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        for again in (True, False):
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                db = sqlite3.connect(path, timeout=5)
                (version,) = db.execute("pragma user_version").fetchone()
                if version != VERSION:
                    db.execute("drop table if exists files")
                    db.execute(_TABLE)
                    db.execute(f"pragma user_version = {VERSION}")
                    db.commit()
                self._db = db
                return
            except sqlite3.DatabaseError as error:
                # A broken one is no loss.
                if again and not isinstance(error, sqlite3.OperationalError):
                    with suppress(OSError):
                        path.unlink()
                    continue
                self.warning = f"{safe(path)}: what is known of the files cannot be kept here: {error}"
                return
            except OSError as error:
                self.warning = (
                    f"{safe(path)}: what is known of the files cannot be kept here: {error.strerror}"
                )
                return

    def load(self, wanted: str) -> dict[str, tuple[Stamp, Known]]:
        """Everything that is known with these classes, by path."""
        if self._db is None:
            return {}
        stages: dict[str, Stage] = {}
        found = {}
        try:
            for row in self._db.execute("select * from files where rules = ?", (wanted,)):
                stage = stages.get(row[10])
                if stage is None:
                    stage = stages[row[10]] = _stage(row[10])
                sizes = None
                if row[11] is not None:
                    classes = _classes(row[17]) if row[17] else ()
                    sizes = Sizes(row[11], row[12], row[13], row[14], row[15], row[16], classes)
                found[row[0]] = (row[1:7], Known(row[8], row[9], stage, sizes, row[18]))
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            self.warning = f"{safe(self.path or '')}: what is known of the files cannot be read: {error}"
            return {}
        return found

    def store(self, wanted: str, rows: Iterable[tuple[str, Stamp, Known]], gone: Iterable[str] = ()) -> None:
        """Note what was found out, and forget files that are gone."""
        if self._db is None:
            return
        with suppress(sqlite3.Error), self._db:
            marks = ", ".join("?" * _COLUMNS)
            self._db.executemany(
                f"insert or replace into files values ({marks})",
                (_row(wanted, path, stamp, known) for path, stamp, known in rows),
            )
            self._db.executemany("delete from files where path = ?", ((path,) for path in gone))

    def close(self) -> None:
        """End with it."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _row(wanted: str, path: str, stamp: Stamp, known: Known) -> tuple[object, ...]:
    sizes = known.sizes
    own: tuple[object, ...] = (None,) * 7
    if sizes is not None:
        classes = json.dumps([(held, packets, curve.hex()) for held, packets, curve in sizes.classes])
        own = (
            sizes.packets, sizes.held, sizes.flows, sizes.original_packets, sizes.original_held, sizes.curve,
            classes if sizes.classes else "",
        )  # fmt: skip
    stage = json.dumps(asdict(known.stage), sort_keys=True)
    return (path, *stamp, wanted, known.first_ts, known.last_ts, stage, *own, known.problem)


def _classes(text: str) -> tuple[tuple[int, int, bytes], ...]:
    return tuple((held, packets, bytes.fromhex(curve)) for held, packets, curve in json.loads(text))


def _stage(text: str) -> Stage:
    stage = Stage(**json.loads(text))
    return replace(stage, depths=tuple(Depth(**d) for d in stage.depths))  # type: ignore[arg-type]
