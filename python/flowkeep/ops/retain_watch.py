"""``flowkeep retain watch``: the daemon."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ..errors import FlowkeepError
from ..notify import notify, watchdog_seconds
from ..retain import system
from ..retain.apply import Applied
from ..retain.metrics import Metrics, serve
from ..retain.policy import read_policy
from ..retain.wake import SETTLE_S, Waker
from ..retain.walk import root
from ..text import safe
from ..units import size as size_text
from .retain_apply import Keeper

Say = Callable[[str], None]
_RETRY_S = 10.0
"""After a failure (a journal that cannot be written) so long is waited at least."""


@dataclass(frozen=True)
class WatchPlan:
    """How the daemon runs."""

    policy: Path
    metrics: Path | None = None
    """A file for the node exporter of Prometheus."""
    port: int | None = None
    """Where it answers with the same; on this machine only."""
    rounds: int | None = None
    """End after so many rounds; None: go on."""


class _StoppedError(BaseException):
    """It is enough: what is being done is given up, the file stays as it was."""


class Watch:
    """The daemon: plans and applies again and again."""

    def __init__(self, plan: WatchPlan, say: Say, *, clock: Callable[[], int] = time.time_ns) -> None:
        """Nothing is done yet. Raises UsageError, OSError for a policy that cannot be read."""
        self.plan, self.say = plan, say
        self._clock = clock
        self.policy = read_policy(plan.policy)
        self._stopping = self._reload = False
        self._waker: Waker | None = None
        self.metrics = Metrics()
        self._told = 0.0

    def run(self) -> int:
        """Run until a signal; the number of rounds. Raises BusyError when another process has the journal."""
        for trouble in system.lower(self.policy.limits):
            self.say(trouble)
        with ExitStack() as stack:
            keeper = Keeper(self.policy, stop=lambda: self._stopping, clock=self._clock)
            keeper.applier.sleep = self._pause
            stack.callback(keeper.close)
            folders = {root(glob) for dataset in self.policy.datasets for glob in dataset.include}
            self._waker = stack.enter_context(Waker(sorted(folders)))
            if self.plan.port is not None:
                server = serve(self.metrics, self.plan.port)
                stack.callback(server.shutdown)
                self.say(f"metrics at http://127.0.0.1:{server.server_port}/metrics")
            stack.enter_context(_Signals(self))
            for found in keeper.recovered:
                self.say(found)
            notify(READY=1, STATUS="running")
            rounds = 0
            try:
                rounds = self._rounds(keeper)
            except _StoppedError:
                self.say("stopped; the file in work is as it was")
            notify(STOPPING=1)
        return rounds

    def _rounds(self, keeper: Keeper) -> int:
        rounds = 0
        while not self._stopping:
            ok = self._round(keeper)
            rounds += 1
            if self._stopping or (self.plan.rounds is not None and rounds >= self.plan.rounds):
                break
            seconds = self.policy.limits.interval / 1e9
            self._sleep(seconds if ok else max(seconds, _RETRY_S))
            if self._reload:
                self._load(keeper)
        return rounds

    def _sleep(self, seconds: float) -> None:
        assert self._waker is not None
        until = time.monotonic() + seconds
        beat = watchdog_seconds()
        while not self._stopping and not self._reload and (left := until - time.monotonic()) > 0:
            notify(WATCHDOG=1)
            if self._waker.sleep(min(left, beat) if beat else left):
                # A file was finished; the next one may come at once.
                self._waker.sleep(min(SETTLE_S, max(until - time.monotonic(), 0)))
                return

    def _pause(self, seconds: float) -> None:
        """Wait so that no more is read in a second than the policy allows."""
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            notify(WATCHDOG=1)
            assert self._waker is not None
            self._waker.sleep(min(left, 1))

    def _round(self, keeper: Keeper) -> bool:
        done: list[str] = []
        ok = True
        for dataset in self.policy.datasets:
            if self._stopping:
                break
            notify(WATCHDOG=1)
            try:
                plan = keeper.plan(dataset, self._beat)
                self.metrics.planned(plan)
                applied = keeper.apply(dataset, plan, self._beat)
            except (FlowkeepError, OSError) as error:
                self.say(f"{safe(dataset.name)}: {error}")
                ok = False
                continue
            self.metrics.applied(applied)
            self._tell(applied)
            done.append(f"{safe(dataset.name)}: {size_text(plan.bytes_before - applied.freed)}")
        notify(STATUS="; ".join(done))
        if self.plan.metrics is not None:
            try:
                self.metrics.write(self.plan.metrics)
            except (FlowkeepError, OSError) as error:
                self.say(str(error))
        return ok

    def _beat(self, done: int, total: int) -> None:
        """Is called while a file is worked on."""
        if self._stopping:
            raise _StoppedError
        if time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            notify(WATCHDOG=1)

    def _tell(self, applied: Applied) -> None:
        for warning in (*applied.plan.warnings, *applied.warnings):
            self.say(warning)
        for outcome in applied.outcomes:
            if outcome.state in ("left", "failed"):
                self.say(outcome.why)
            elif outcome.done is not None:
                won = outcome.done.bytes_before - outcome.done.bytes_after
                name = outcome.decision.action.name
                self.say(f"{safe(outcome.decision.file.path)}: {name}, {size_text(won)} won: {outcome.why}")

    def _load(self, keeper: Keeper) -> None:
        self._reload = False
        notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        try:
            policy = read_policy(self.plan.policy)
            keeper.change(policy)
            self.policy = policy
            self.say(f"{safe(self.plan.policy)}: read anew")
        except (FlowkeepError, OSError) as error:
            self.say(f"{error}; the policy stays what it was")
        notify(READY=1)

    def on_signal(self, number: int, _: FrameType | None) -> None:
        """SIGHUP reads the policy anew, SIGTERM and SIGINT end."""
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self._stopping = True
        if self._waker is not None:
            self._waker.wake()


class _Signals:
    """Signals of the daemon, for as long as it runs."""

    _NUMBERS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        for number in self._NUMBERS:
            self._before[number] = signal.signal(number, self._watch.on_signal)

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]


def watch(
    policy: str | os.PathLike[str],
    *,
    metrics: Path | None = None,
    port: int | None = None,
    rounds: int | None = None,
    say: Say = lambda text: None,
) -> int:
    """Keep an archive by a policy until a signal says otherwise; the number of rounds.

    Raises UsageError, BusyError when another process works on it, DamagedError, OutputError, OSError.
    """
    return Watch(WatchPlan(Path(policy), metrics, port, rounds), say).run()
