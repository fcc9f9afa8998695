"""Runs tasks on workers: few at a time, again elsewhere when a worker cannot read a file, with the progress
of all."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ClusterError, FlowkeepError
from ..ops.meter import Progress

if TYPE_CHECKING:
    from distributed import Client

_AHEAD = 3
"""Tasks a thread that the scheduler knows of: it holds as many for ten files as for ten thousand."""


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
    """On a worker: the result with the worker's name. What flowkeep or the file system says is a result,
    too."""
    from distributed import get_worker

    name = str(get_worker().name)
    try:
        return name, function(*args), None
    except (FlowkeepError, OSError) as error:
        return name, None, error


def run(client: Client, tasks: Iterable[Task], steps: Steps) -> Iterator[Done]:
    """The tasks as they are done, in any order. Raises ClusterError when the cluster is lost.

    A task whose worker is lost is done again by another one. When the iteration is left, what runs is
    cancelled.
    """
    from distributed import as_completed

    names = {str(info["name"]): info for info in workers(client).values()}
    room = _AHEAD * max(sum(int(info["nthreads"]) for info in names.values()), 1)
    series, running = uuid.uuid4().hex[:12], dict[Any, tuple[Task, tuple[str, ...]]]()
    queue, waiting = as_completed(), iter(tasks)

    def submit(task: Task, tried: tuple[str, ...] = ()) -> None:
        left = [name for name in (task.workers or sorted(names)) if name not in tried]
        future = client.submit(
            _guarded, task.function, task.args, pure=False, key=f"flowkeep-{series}-{task.name}-{len(tried)}",
            workers=left if task.workers or tried else None, allow_other_workers=bool(tried) and not
            task.workers,
        )  # fmt: skip
        running[future] = task, tried
        queue.add(future)

    def more() -> None:
        while len(running) < room and (task := next(waiting, None)) is not None:
            submit(task)

    try:
        more()
        while running:
            future = next(queue)
            task, tried = running.pop(future)
            worker, value, error = _result(future, task)
            left = [name for name in (task.workers or names) if name not in (*tried, worker)]
            if isinstance(error, OSError) and not isinstance(error, FlowkeepError) and left:
                submit(task, (*tried, worker))
                continue
            more()
            steps.add(task.size)
            yield Done(task, value, error, worker)
    finally:
        if running:
            client.cancel(list(running))


def _result(future: Any, task: Task) -> tuple[str, Any, Exception | None]:
    from distributed.scheduler import KilledWorker

    if future.status in ("lost", "cancelled"):
        raise ClusterError(
            "the scheduler is lost; give the command again when it is back: with the same --spool, what is "
            "done is not done "
            "again"
        )
    try:
        found: tuple[str, Any, Exception | None] = future.result()
    except KilledWorker as error:
        raise ClusterError(
            f"{task.name}: every worker that tried it was lost; is there too little memory? The log of a "
            f"worker tells"
        ) from error
    return found


def workers(client: Client) -> dict[str, Any]:
    """What the scheduler says of its workers, by address."""
    try:
        found: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    except TypeError:  # before 2025.4 there was no such argument, and no limit
        found = client.scheduler_info()["workers"]
    return found
