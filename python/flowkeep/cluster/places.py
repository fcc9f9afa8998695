"""Which captures there are, and which workers see them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import paths
from ..errors import ClusterError, FlowkeepError, NotACaptureError
from ..paths import Capture, Found
from ..places import Place, Url
from ..sink.anywhere import state
from ..text import safe

if TYPE_CHECKING:
    from distributed import Client


@dataclass
class Where:
    """A data set and, when workers have disks of their own, who has which capture."""

    found: Found
    workers: list[tuple[str, ...]] = field(default_factory=list)
    """Of each capture the workers that see it; none: all do."""


def find(client: Client, names: Sequence[str | os.PathLike[str]], *, locality: bool = False) -> Where:
    """Look captures up: here, where all workers see the same files, or with ``locality`` on every worker.

    The same path with the same size and time on two workers is one capture; with others it is another one.
    Raises ClusterError, and what :func:`flowkeep.paths.find` raises.
    """
    if not locality:
        return everywhere(paths.find(names))
    seen: dict[tuple[Any, ...], list[str]] = {}
    captures: dict[tuple[Any, ...], Capture] = {}
    whole, problems = Found(), []
    for address, (name, local, keys, problem) in sorted(
        client.run(_look, [os.fspath(n) for n in names]).items()
    ):
        if problem is not None:
            problems.append(f"{address}: {problem}")
            continue
        assert local is not None
        for capture, key in zip(local.captures, keys, strict=True):
            seen.setdefault(key, []).append(name)
            captures.setdefault(key, capture)
        whole.skipped += [entry for entry in local.skipped if entry not in whole.skipped]
        whole.roots += [root for root in local.roots if root not in whole.roots]
    if not captures:
        raise NotACaptureError(f"no worker sees a capture: {'; '.join(problems)}")
    order = sorted(
        captures, key=lambda k: (captures[k].first_ts is None, captures[k].first_ts or 0, seen[k], k)
    )
    whole.captures = [captures[key] for key in order]
    return Where(whole, [tuple(seen[key]) for key in order])


def everywhere(found: Found) -> Where:
    """A data set that all workers see. Raises ClusterError for a pipe."""
    for capture in found.captures:
        if not capture.regular:
            raise ClusterError(f"{safe(capture.path)} is a pipe: a cluster reads files only")
    return Where(found, [()] * len(found.captures))


def _look(names: list[str], dask_worker: Any) -> tuple[str, Found | None, list[tuple[Any, ...]], str | None]:
    """On a worker, which Dask gives by that name: its name, and what is here."""
    name = str(dask_worker.name)
    try:
        found = paths.find(names)
    except (FlowkeepError, OSError) as error:
        return name, None, [], str(error)
    found.captures = [capture for capture in found.captures if capture.regular]
    return name, found, [_key(capture.path) for capture in found.captures], None


def _key(path: Place) -> tuple[Any, ...]:
    if isinstance(path, Url):
        return os.fspath(path), *state(path)[1:]
    info = path.stat()
    return os.fspath(path), info.st_size, info.st_mtime_ns
