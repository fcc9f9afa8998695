"""The captures that are open, and the flow table made of them. All tabs see the same; a thread reads."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import FlowkeepError, UsageError
from ..flow import Flows, ReadOptions
from ..ops.damage import damage
from ..ops.flows import list_flows
from ..ops.index import fitting_index
from ..paths import Found, find
from ..places import is_url
from ..text import safe
from .recent import Recent
from .table import FlowTable

State = Literal["idle", "reading", "refining"]


class CancelledError(Exception):
    """Somebody does not want to wait."""


@dataclass
class Reading:
    """What is going on."""

    state: State = "idle"
    done: int = 0
    total: int = 0
    error: str = ""
    """Why the last reading came to nothing."""
    notes: list[str] = field(default_factory=list)
    """Damage, and files that were passed over."""


class Library:
    """Captures, in the order of their first packet, as one data set."""

    def __init__(self, roots: Iterable[Path], options: ReadOptions | None = None) -> None:
        """``roots``: the folders below which files may be opened and written."""
        self.roots = [root.resolve() for root in roots]
        self.options = options or ReadOptions()
        self.found = Found()
        self.table: FlowTable | None = None
        self.version = 0
        """Changes whenever the table does."""
        self.reading = Reading()
        self._paths: list[Path] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._uploads: Path | None = None
        self.made = Recent(4)
        """What was made of the captures themselves."""

    def allowed(self, path: str | Path) -> Path:
        """A path that may be touched, links resolved. Raises UsageError."""
        if is_url(path):
            raise UsageError(f"{safe(path)}: the browser shows captures of this machine alone")
        try:
            resolved = Path(path).expanduser().resolve()
        except (ValueError, RuntimeError) as error:  # a NUL, an unknown ~user, links in a circle
            raise UsageError(f"{safe(path)!r} cannot be a path: {safe(str(error))}") from None
        roots = [*self.roots, *([self._uploads] if self._uploads else [])]
        if not any(resolved.is_relative_to(root) for root in roots):
            below = ", ".join(safe(root) for root in self.roots)
            raise UsageError(f"{safe(resolved)} lies outside of what this server may touch: {below}")
        return resolved

    def open(self, paths: Iterable[str | Path], *, append: bool = True) -> None:
        """Read these captures, beside those that are open or instead of them. Raises UsageError and OSError
        at once for what cannot be opened; what is found in reading is in :attr:`reading`."""
        wanted = [self.allowed(path) for path in paths]
        if append:
            wanted = [*self._paths, *(path for path in wanted if path not in self._paths)]
        self._read(wanted)

    def close(self, path: str | Path) -> None:
        """Leave a capture away."""
        gone = Path(path)
        self._read([kept for kept in self._paths if kept != gone])

    def _read(self, paths: list[Path]) -> None:
        found = find(paths) if paths else Found()
        self.cancel()
        with self._lock:
            self._paths, self.found = paths, found
            self._stop = threading.Event()
            if not paths:
                self.table, self.reading = None, Reading()
                self._changed()
                return
            self.reading = Reading("reading", 0, found.bytes)
            self._thread = threading.Thread(target=self._run, args=(found, self._stop), daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Stop reading; what was there before stays."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def wait(self) -> None:
        """Until nothing is being read any more."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, found: Found, stop: threading.Event) -> None:
        def progress(done: int, total: int) -> None:
            if stop.is_set():
                raise CancelledError
            self.reading.done, self.reading.total = done, total

        try:
            # An index gives the plain table at once; names and details follow.
            if fitting_index(found, self.options)[0] is not None:
                self._show(found, list_flows(found, self.options, progress=progress))
                self.reading.state = "refining"
                _stand_back()
            flows = list_flows(found, self.options, details=True, identify=True, progress=progress)
            self._show(found, flows)
            self.reading = Reading(notes=self._notes(found))
        except CancelledError:
            self.reading = Reading(error="stopped")
        except (FlowkeepError, OSError) as error:
            self.reading = Reading(error=safe(str(error)))
        except Exception as error:  # a thread that dies silently would look like one that never ends
            self.reading = Reading(error=safe(f"{type(error).__name__}: {error}"))
            raise

    def _show(self, found: Found, flows: Flows) -> None:
        self.table = FlowTable(flows, found)
        self._changed()
        self.table.prepare()

    def _changed(self) -> None:
        self.made = Recent(4)
        self.version += 1

    def _notes(self, found: Found) -> list[str]:
        notes = [f"{safe(path)}: {why}" for path, why in found.skipped]
        if self.table is not None:
            for scan in self.table.flows.files:
                hurt = damage(scan)
                if hurt is not None:
                    notes.append(safe(str(hurt)))
        return notes

    def upload_folder(self) -> Path:
        """Where uploads lie; it goes when the server does."""
        if self._uploads is None:
            self._uploads = Path(tempfile.mkdtemp(prefix="flowkeep-upload-")).resolve()
        return self._uploads

    def shut(self) -> None:
        """The end: nothing is read any more, and no upload stays."""
        self.cancel()
        if self._uploads is not None:
            shutil.rmtree(self._uploads, ignore_errors=True)


def _stand_back() -> None:
    """Let this thread, and those it starts, use the processors when nobody else wants them."""
    # Linux knows a priority of each thread; elsewhere it would be that of the whole server.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
