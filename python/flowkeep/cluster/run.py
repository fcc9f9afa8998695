"""Runs tasks on workers: few at a time, again elsewhere when a worker cannot read a file, with the progress
of all."""

from __future__ import annotations

import asyncio
import itertools
import queue
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ClusterError, FlowkeepError, OutputError
from ..ops.meter import Progress

if TYPE_CHECKING:
    from distributed import Client

_AHEAD = 3
"""Tasks a thread that the scheduler knows of: it holds as many for ten files as for ten thousand."""
_TICK_S = 1.0
"""Seconds between two looks at who is there."""
PATIENCE_S = 30.0
"""Seconds for which a worker or the scheduler may be away."""
LOST = (
    "the scheduler is lost; give the command again when it is back: with the same --spool, what is done is "
    "not done again"
)


@dataclass(frozen=True)
class Task:
    """Something a worker does. It may be done twice, and gives the same then."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    size: int = 0
    """Bytes that it reads, for the progress."""
    workers: tuple[str, ...] = ()
    """Those that have what it reads; none: all have."""


@dataclass(frozen=True)
class Done:
    """What became of a task."""

    task: Task
    value: Any = None
    error: Exception | None = None
    """Why it could not be done: an error of flowkeep, or of the last of all workers that tried to read."""
    worker: str = ""


class Steps:
    """The progress of all tasks of some rounds."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        """``total``: bytes that all rounds read."""
        self.total, self.progress, self.done = total, progress, 0

    def add(self, size: int) -> None:
        """So many bytes more are done."""
        self.done += size
        if self.progress is not None:
            self.progress(min(self.done, self.total), self.total)


def _guarded(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[str, Any, Exception | None]:
    """On a worker: the result with the worker's name. An error is a result, too.

    Dask would hand it on with its traceback, and wait for ever when that cannot be read.
    """
    from distributed import get_worker

    name = str(get_worker().name)
    try:
        return name, function(*args), None
    except (FlowkeepError, OSError) as error:
        return name, None, error
    except Exception as error:
        return name, None, ClusterError(f"the worker {name} failed: {type(error).__name__}: {error}")


def run(client: Client, tasks: Iterable[Task], steps: Steps) -> Iterator[Done]:
    """The tasks as they are done, in any order. Raises ClusterError when the cluster is lost.

    A task whose worker is lost is done again by another one, and one that cannot read or write is tried on
    all workers that it may run on. When the iteration is left, what runs is cancelled.
    """
    crew = _Crew(client)
    series, running = uuid.uuid4().hex[:12], dict[Any, tuple[Task, tuple[str, ...], tuple[str, ...]]]()
    finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiting, count = iter(tasks), itertools.count()

    def submit(task: Task, tried: tuple[str, ...] = ()) -> None:
        bound = tuple(name for name in (task.workers or crew.names) if name not in tried)
        bound = bound if task.workers or tried else ()
        future = client.submit(
            _guarded, task.function, task.args, pure=False,
            key=f"flowkeep-{series}-{task.name}-{next(count)}",
            workers=crew.addresses(bound) or None, allow_other_workers=bool(bound) and not task.workers,
        )  # fmt: skip
        running[future] = task, tried, crew.addresses(bound)
        future.add_done_callback(finished.put)

    def more() -> None:
        while len(running) < crew.room and (task := next(waiting, None)) is not None:
            submit(task)

    try:
        more()
        while running:
            try:
                future = finished.get(timeout=_TICK_S)
            except queue.Empty:
                crew.look(task.workers for task, _, _ in running.values())
                for future, (task, tried, bound) in list(running.items()):
                    # A worker that begins anew has another address.
                    if bound and not any(address in crew.alive for address in bound):
                        del running[future]
                        client.cancel([future])
                        submit(task, tried)
                continue
            if future not in running:
                continue
            task, tried, _ = running.pop(future)
            worker, value, error = _result(future, task)
            if _elsewhere(error):
                crew.look(())
                if set(task.workers or crew.names) - {*tried, worker}:
                    submit(task, (*tried, worker))
                    continue
            more()
            steps.add(task.size)
            yield Done(task, value, error, worker)
    finally:
        if running and client.status == "running":
            client.cancel(list(running))


def _elsewhere(error: Exception | None) -> bool:
    """Whether another worker may succeed."""
    return isinstance(error, OSError) and (
        not isinstance(error, FlowkeepError) or isinstance(error, OutputError)
    )


class _Crew:
    """The workers there are."""

    def __init__(self, client: Client) -> None:
        self.client, self.missed = client, dict[str, float]()
        self.lost_since: float | None = None
        self.see()

    def see(self) -> None:
        """Ask the scheduler."""
        found = workers(self.client)
        self.alive = {address: str(info["name"]) for address, info in found.items()}
        self.names = sorted(set(self.alive.values()))
        self.room = _AHEAD * max(sum(int(info["nthreads"]) for info in found.values()), 1)

    def addresses(self, names: Iterable[str]) -> tuple[str, ...]:
        """Where the workers with these names are; nowhere: they are gone."""
        wanted = set(names)
        return tuple(address for address, name in self.alive.items() if name in wanted)

    def look(self, needed: Iterable[tuple[str, ...]]) -> None:
        """See who is there. Raises ClusterError when the scheduler, or all who have a file, stay away."""
        now = time.monotonic()
        if self.client.status != "running":
            self.lost_since = self.lost_since or now
            if self.client.status == "closed" or now - self.lost_since > PATIENCE_S:
                raise ClusterError(LOST)
            return
        self.lost_since = None
        try:
            self.see()
        except OSError:
            return
        for names in set(needed):
            if any(name in self.names for name in names) or (not names and self.names):
                self.missed.pop(repr(names), None)
            elif now - self.missed.setdefault(repr(names), now) > PATIENCE_S:
                who = f"the worker {' or '.join(names)}, which has what is to be read, has"
                raise ClusterError(
                    f"{who if names else 'all workers have'} gone away; start it again, then give the "
                    "command again"
                )


def _result(future: Any, task: Task) -> tuple[str, Any, Exception | None]:
    from distributed.scheduler import KilledWorker

    if future.status in ("lost", "cancelled"):
        raise ClusterError(LOST)
    try:
        found: tuple[str, Any, Exception | None] = future.result()
    except KilledWorker as error:
        raise ClusterError(
            f"{task.name}: every worker that tried it was lost; is there too little memory? The log of a "
            "worker tells"
        ) from error
    except asyncio.CancelledError as error:
        raise ClusterError(LOST) from error
    return found


def workers(client: Client) -> dict[str, Any]:
    """What the scheduler says of its workers, by address."""
    try:
        found: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    except TypeError:  # before 2025.4 there was no such argument, and no limit
        found = client.scheduler_info()["workers"]
    return found
