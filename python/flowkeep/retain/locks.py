"""Flows that are never cut: as a policy names them, and as logs name them that go on growing.

What a log once named stays locked when the log is rotated or removed: it is written down beside the journal.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import struct
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..depths import Lock as CutLock
from ..errors import UsageError
from ..select.tuples import COMMUNITY_ID, Ends, find_tuples
from ..text import safe
from .model import DataSet, Lock

_NUMBER = {"tcp": 6, "udp": 17, "sctp": 132}
_BLOCK = 1 << 20
_LINE = 1 << 20
"""Bytes of a line of a log at most; a longer one is passed over."""


def community_id(a: str, a_port: int, b: str, b_port: int, proto: str) -> str:
    """The Community ID (version 1, seed 0) of a flow with ports: <https://github.com/corelight/community-id-spec>."""
    ends = sorted((ipaddress.ip_address(ip).packed, port) for ip, port in ((a, a_port), (b, b_port)))
    (low, low_port), (high, high_port) = ends
    text = (
        struct.pack("!H", 0)
        + low
        + high
        + bytes([_NUMBER[proto], 0])
        + struct.pack("!HH", low_port, high_port)
    )
    return "1:" + b64encode(hashlib.sha1(text, usedforsecurity=False).digest()).decode()


@dataclass
class _Log:
    """How far a log has been read."""

    path: Path
    kind: str
    identity: tuple[int, int] | None = None
    offset: int = 0
    rest: bytes = b""
    header: list[str] = field(default_factory=list)
    """Of a Zeek log: its lines that name the columns."""
    found: set[str] = field(default_factory=set)
    """Community IDs."""
    named: int = 0
    """Lines that named a flow that cannot be told by them: no ports, or another protocol."""

    def read(self) -> None:
        """Read what has come since. Raises OSError."""
        with self.path.open("rb") as file:
            info = os.fstat(file.fileno())
            if (info.st_dev, info.st_ino) != self.identity or info.st_size < self.offset:
                # Another file, or one that was begun anew.
                self.identity, self.offset, self.rest = (info.st_dev, info.st_ino), 0, b""
                self.header.clear()
            file.seek(self.offset)
            while block := file.read(_BLOCK):
                self.offset += len(block)
                *lines, self.rest = (self.rest + block).split(b"\n")
                if len(self.rest) > _LINE:
                    self.rest = b""
                self._take(lines)

    def _take(self, lines: Sequence[bytes]) -> None:
        texts = [line.decode("utf-8", "replace") for line in lines if len(line) <= _LINE]
        if self.kind == "eve":
            texts = [text for text in texts if _is_alert(text)]
        for text in texts:
            if text.startswith("#fields"):
                self.header = [text]
        wanted = find_tuples([*self.header, *texts], str(self.path))
        self.found.update(wanted.communities)
        for ends in wanted.ends:
            known = _of_ends(ends)
            if known is None:
                self.named += 1
            else:
                self.found.add(known)


def _is_alert(text: str) -> bool:
    if '"alert"' not in text:
        return False
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("event_type") == "alert"


def _of_ends(ends: Ends) -> str | None:
    a, a_port, b, b_port, proto = ends
    if a_port is None or b_port is None or proto not in _NUMBER:
        return None
    return community_id(a, a_port, b, b_port, proto)


class LockBook:
    """The locks of data sets, logs included."""

    def __init__(self, store: Path | None) -> None:
        """``store``: where what logs have named is kept; None: nowhere."""
        self.store = store
        self.warnings: list[str] = []
        self._logs: dict[tuple[str, str], _Log] = {}
        self._kept: dict[str, set[str]] = {}
        if store is not None:
            for log, known in _stored(store):
                self._kept.setdefault(log, set()).add(known)

    def of(self, dataset: DataSet) -> list[CutLock]:
        """The locks of a data set as they are now. What is odd is added to ``warnings``."""
        return [made for lock in dataset.locks if (made := self._lock(lock)) is not None]

    def _lock(self, lock: Lock) -> CutLock | None:
        if lock.log is None:
            return CutLock(lock.filter, frozenset(lock.community_ids), frozenset(lock.hosts), lock.reason)
        log = self._logs.setdefault((lock.log, lock.kind), _Log(Path(lock.log), lock.kind))
        kept = self._kept.setdefault(lock.log, set())
        try:
            log.read()
        except (OSError, UsageError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.warnings.append(
                f"{safe(lock.log)}: the log cannot be read: {why}; what it named before stays locked"
            )
        if log.named:
            self.warnings.append(
                f"{safe(lock.log)}: {log.named} lines name flows without ports or protocol: they lock nothing"
            )
            log.named = 0
        self._keep(lock.log, log.found - kept)
        kept |= log.found
        return (
            CutLock(community_ids=frozenset(kept), reason=lock.reason or f"named by {lock.log}")
            if kept
            else None
        )

    def _keep(self, log: str, new: set[str]) -> None:
        if not new or self.store is None:
            return
        try:
            fd = os.open(
                self.store, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                text = "".join(json.dumps([log, known]) + "\n" for known in sorted(new))
                os.write(fd, text.encode("ascii"))
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            self.warnings.append(f"{safe(self.store)}: what logs have named cannot be kept: {error.strerror}")


def _stored(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        try:
            log, known = json.loads(line)
        except (ValueError, TypeError):
            continue
        if isinstance(log, str) and isinstance(known, str) and COMMUNITY_ID.fullmatch(known):
            yield log, known
