"""The journal of an archive: one line of JSON for each thing that was begun, done or given up.

Each record names the digest of the one before it, so that none can be changed, taken out or put in without
the chain breaking there. A record is on the disk before anything it speaks of is done. See
docs/formats/journal.md.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import BusyError, DamagedError, OutputError
from ..text import safe

Record = dict[str, Any]
START = "0" * 64
"""What stands for the digest before the first record."""
RESERVE = 1 << 15
"""Bytes set aside beside the journal, so that a deletion can be written down on a full disk."""
_LINE = 1 << 16
"""Bytes of a record at most; paths have at most 4,096."""
_TAIL = 1 << 16


def digest_of(record: Record) -> str:
    """The digest of a record: SHA-256 of its JSON without ``hash``, keys sorted, nothing between them."""
    plain = {key: value for key, value in record.items() if key != "hash"}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _line(record: Record) -> bytes:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii") + b"\n"


def read(path: Path) -> Iterator[Record]:
    """The records of a journal, each checked against the one before it. Raises DamagedError, OSError.

    A last line without its end was never a record: what it spoke of was not begun.
    """
    last, number = START, 0
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(_LINE + 1), b""):
            if not line.endswith(b"\n"):
                if len(line) > _LINE:
                    raise _broken(path, number, "is longer than any record")
                return
            record = _parsed(path, number, line)
            if record.get("prev") != last:
                raise _broken(
                    path, number, "does not follow the one before it: a record is missing or was changed"
                )
            if record.get("hash") != digest_of(record):
                raise _broken(path, number, "was changed: its digest is not that of its content")
            if record.get("n") != number:
                raise _broken(path, number, f"has the number {record.get('n')!r}")
            last, number = record["hash"], number + 1
            yield record


def _parsed(path: Path, number: int, line: bytes) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise _broken(path, number, "is no JSON") from None
    if not isinstance(record, dict):
        raise _broken(path, number, "is no JSON object")
    return record


def _broken(path: Path, number: int, why: str) -> DamagedError:
    return DamagedError(f"{safe(path)}: record {number} (line {number + 1}) {why}")


class Journal:
    """A journal that is written to. One process at a time has it."""

    def __init__(self, path: Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        """Open or begin it. Raises BusyError when another process has it, DamagedError, OutputError."""
        self.path, self._clock = path, clock
        self.open_intents: list[Record] = []
        """What was begun and neither done nor given up: the process that began it was stopped."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        except OSError as error:
            raise OutputError(f"{safe(path)}: the journal cannot be opened: {error.strerror}") from error
        try:
            self._lock()
            self._resume()
        except BaseException:
            os.close(self._fd)
            raise
        self.replenish()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{safe(self.path)}: another flowkeep retain has this journal: "
                "one works on an archive at a time"
            ) from None

    def _resume(self) -> None:
        """Go on behind the last whole record."""
        self._end = start = os.fstat(self._fd).st_size
        tail, lines, step = b"", list[bytes](), _TAIL
        # As far back as the last intent, which is all that can be open: actions follow one another.
        while start > 0 and not any(b'"kind":"intent"' in line for line in lines):
            step = min(step, start)
            start -= step
            tail, step = os.pread(self._fd, step, start) + tail, 2 * step
            lines = tail.split(b"\n")[1 if start else 0 : -1]
        # A last line without its end was never a record.
        torn = len(tail) - tail.rfind(b"\n") - 1
        if torn:
            os.ftruncate(self._fd, self._end - torn)
            self._end -= torn
        self._last, self._number = START, 0
        for line in lines:
            record = _parsed(self.path, self._number, line)
            if record.get("hash") != digest_of(record) or not isinstance(record.get("n"), int):
                raise DamagedError(
                    f"{safe(self.path)}: its last records were changed; flowkeep retain verify says where. "
                    "Move it away to begin a new one"
                )
            self._last, self._number = record["hash"], record["n"] + 1
            if record.get("kind") == "intent":
                self.open_intents = [record]
            elif record.get("intent") is not None:
                self.open_intents = [r for r in self.open_intents if r["n"] != record["intent"]]

    @property
    def reserve(self) -> Path:
        """The file that holds room free for the journal."""
        return self.path.with_name(f".{self.path.name}.reserve")

    def replenish(self) -> None:
        """Set room aside again, if there is some."""
        with suppress(OSError):
            fd = os.open(self.reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE)
            finally:
                os.close(fd)

    def append(self, kind: str, **fields: Any) -> Record:
        """Write a record and bring it to the disk. Raises OutputError; then there is none."""
        record: Record = {
            "n": self._number, "time": self._clock(), "kind": kind, **fields, "prev": self._last,
        }  # fmt: skip
        record["hash"] = digest_of(record)
        line = _line(record)
        if len(line) > _LINE:
            raise OutputError(f"{safe(self.path)}: a record of {len(line):,} bytes is too long")
        try:
            self._put(line, record)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._give_room():
                raise OutputError(
                    f"{safe(self.path)}: the journal cannot be written: {error.strerror}"
                ) from error
            try:
                self._put(line, record)
            except OSError as again:
                raise OutputError(
                    f"{safe(self.path)}: the journal cannot be written: {again.strerror}"
                ) from again
        return record

    def _put(self, line: bytes, record: Record) -> None:
        # An interrupt may come anywhere: either the record counts as a whole, or it is taken back.
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._fd, line[written:], self._end + written)
            os.fdatasync(self._fd)
            self._last, self._number, self._end = record["hash"], self._number + 1, self._end + len(line)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise

    def _give_room(self) -> bool:
        try:
            os.unlink(self.reserve)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let others have it."""
        os.close(self._fd)

    def __enter__(self) -> Journal:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others have it."""
        self.close()
