"""The service: a store, its inputs and its faces, from the start to SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from .. import _native, units
from ..errors import FlowkeepError, OutputError
from ..notify import notify, watchdog_seconds
from ..select.libpcap import Rule, compile_filter
from ..sink.atomic import Part
from ..text import safe
from . import metrics, pcap_over_ip, server
from .lean import give_back
from .listen import close_unix, listen_unix
from .peers import Allowed, user_of
from .place import Endpoint
from .plan import Plan

Say = Callable[[str], None]
Program = list[tuple[int, Rule]] | None

_TICK = 1.0
"""Seconds between two looks at the store."""
_RATE = 10
"""Ticks over which packets a second are counted."""


class Daemon:
    """A running service."""

    def __init__(self, plan: Plan, say: Say) -> None:
        """Open everything that needs rights, then give them up. Raises FlowkeepError, OSError."""
        self.plan, self._say = plan, say
        self._open = ExitStack()
        self._rates: list[tuple[float, int]] = []
        self._started = time.time_ns()
        self._troubles: set[str] = set()
        try:
            self._begin()
        except BaseException:
            self._open.close()
            raise

    def _begin(self) -> None:
        plan = self.plan
        give_back()
        owner = None if plan.user is None else user_of(plan.user)
        allowed = Allowed(plan.allow)
        program = None if plan.filter is None else list(compile_filter(plan.filter).rules)
        if plan.save is not None and not plan.save.resolve().parent.is_dir():
            raise OutputError(
                f"{safe(plan.save)}: cannot be written: there is no folder for it; make it first"
            )
        for path in plan.read:
            if path != "-":
                os.stat(path)  # later nobody waits for the answer
        self._unix = listen_unix(plan.socket, owner=owner, everybody=bool(plan.allow))
        # What it writes from now on is for its user alone: packets.
        os.umask(0o077)
        self._open.callback(close_unix, self._unix, plan.socket, os.lstat(plan.socket).st_ino)
        self._faces = []
        ports = []
        for endpoint in (plan.pcap_over_ip.endpoint if plan.pcap_over_ip else None, plan.metrics):
            sock = None if endpoint is None else pcap_over_ip.listen_tcp(endpoint)
            self._faces.append(sock)
            if sock is not None:
                self._open.callback(sock.close)
                ports.append(sock.getsockname()[1])
        outside = plan.pcap_over_ip.outside if plan.pcap_over_ip else None
        self._tls = outside.context() if outside else None
        self.cache = self._store()
        try:
            self._open_inputs(program, ports)
            # Before any other thread is there: the kernel keeps some of it per thread.
            _native.drop_privileges(plan.user)
        except OSError as error:
            raise FlowkeepError(error.strerror or str(error)) from error
        for place in (plan.save and plan.save.resolve().parent, plan.spill):
            if place is not None and place.exists() and not os.access(place, os.W_OK | os.X_OK):
                raise OutputError(
                    f"{safe(place)}: user {os.geteuid()}, who the cache runs as, may not write there"
                )
        self.service = server.Service(
            self.cache, self.status, say=self._say, allowed=allowed, token=outside.token if outside else None
        )

    def _open_inputs(self, program: Program, ports: list[int]) -> None:
        """Open what packets come from; its own control traffic is left out. Raises OSError, UsageError."""
        plan = self.plan
        self.capture = _native.Capture(
            self.cache, interfaces=None if plan.interfaces is None else list(plan.interfaces),
            promiscuous=plan.promiscuous, ring=plan.ring, snap_length=plan.snap_length, program=program,
            exclude_ports=ports,
        )  # fmt: skip
        for endpoint in plan.listen:
            port = self.capture.listen(endpoint.host, endpoint.port)
            self._say(f"takes captures at {Endpoint(endpoint.host, port)}")
        for endpoint in plan.connect:
            self.capture.connect(endpoint.host, endpoint.port)
        for path in plan.read:
            self.capture.read(path)

    def _store(self) -> _native.Cache:
        """The store of the last run if there is one, else an empty one."""
        plan = self.plan
        if plan.save is not None and plan.save.exists():
            try:
                cache = _native.Cache.load(os.fspath(plan.save), plan.memory, list(plan.curve.steps))
            except (FlowkeepError, OSError) as error:
                # A capture that does not begin is worse than a history that is lost; the file stays.
                aside = plan.save.with_name(plan.save.name + ".unreadable")
                os.replace(plan.save, aside)
                self._say(f"{error}; it is kept as {safe(aside)}, and the cache begins empty")
            else:
                self._say(f"went on with what {safe(plan.save)} holds")
                return cache
        return _native.Cache(plan.memory, list(plan.curve.steps))

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then save what is to be saved. Raises FlowkeepError, OSError."""
        with self._open:
            asyncio.run(self._serve())
        self._save()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup(1)
                loop.add_signal_handler(number, stop.set)
        plan, service = self.plan, self.service
        servers = [await server.serve(service.local, self._unix)]
        pcap, numbers = self._faces
        if pcap is not None and plan.pcap_over_ip is not None:
            answer = partial(pcap_over_ip.face, service, plan.pcap_over_ip, self._tls)
            servers.append(await server.serve(answer, pcap))
            self._say(f"PCAP-over-IP{' inside TLS' if self._tls else ''} at {_bound(pcap)}")
        if numbers is not None:
            servers.append(await server.serve(partial(metrics.face, service), numbers))
            self._say(f"metrics at http://{_bound(numbers)}/metrics")
        if plan.spill is not None:
            self.cache.spill(os.fspath(plan.spill), disk=plan.disk)
        self.capture.start()
        notify(READY=1, STATUS="capturing")
        self._say(f"remembers in {units.size(plan.memory)}, answers at {safe(plan.socket)}")
        ticker = asyncio.create_task(self._tick())
        try:
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait({waiting, ticker}, return_when=asyncio.FIRST_COMPLETED)
            if ticker.done():
                ticker.result()
        finally:
            notify(STOPPING=1)
            ticker.cancel()
            for one in servers:
                one.close()
            await asyncio.to_thread(self.capture.stop)
            await service.stop()
            spilled = await asyncio.to_thread(self.cache.spill_close)
            if spilled and spilled["lost"]:
                self._say(f"{units.count(spilled['lost'], 'packet')} did not reach the disk")

    async def _tick(self) -> None:
        """Once a second: count packets, tell the service manager that all is well."""
        watchdog, said = watchdog_seconds(), time.monotonic()
        while True:
            packets, troubles = await self.service.thread(self._look)
            for trouble in sorted(troubles - self._troubles):
                self._say(trouble)
            self._troubles = troubles
            now = time.monotonic()
            self._rates = [*self._rates[-_RATE:], (now, packets)]
            if watchdog is not None and now - said >= min(watchdog, _TICK):
                # Whoever holds the lock of the store for ever lets the thread above wait for ever.
                notify(WATCHDOG=1, STATUS=f"{packets:,} packets, {self.rate():,.0f} a second")
                said = now
            await asyncio.sleep(_TICK)

    def _look(self) -> tuple[int, set[str]]:
        """Packets that came, and what is wrong with inputs."""
        packets = int(self.cache.status()["received"]["packets"])
        return packets, {_named(one) for one in self.capture.stats() if one["error"]}

    def rate(self) -> float:
        """Packets a second, over the last seconds."""
        if len(self._rates) < 2:
            return 0.0
        (then, before), (now, packets) = self._rates[0], self._rates[-1]
        return (packets - before) / max(now - then, 1e-3)

    def status(self) -> dict[str, Any]:
        """Everything there is to say, fit for JSON."""
        service = self.service
        return {
            "started": self._started,
            "now": time.time_ns(),
            "pid": os.getpid(),
            "packets_per_second": round(self.rate(), 1),
            "cache": self.cache.status(),
            "spill": self.cache.spill_status(),
            "inputs": self.capture.stats(),
            "clients": {
                "reading": service.readers,
                **{name: service.counts[name] for name in server.COUNTED},
            },
        }

    def _save(self) -> None:
        if self.plan.save is None:
            return
        notify(STATUS="saving", EXTEND_TIMEOUT_USEC=300_000_000)
        with Part(self.plan.save) as part:
            self.cache.save(os.fspath(part.part))
            part.sync()
            part.commit()
        self._say(f"kept in {safe(self.plan.save)}")


def _named(one: _native.InputStats) -> str:
    """What is wrong with an input, with its name."""
    name, error = safe(one["name"]), safe(one["error"] or "")
    return error if error.startswith(name) else f"{name}: {error}"


def _bound(sock: Any) -> Endpoint:
    host, port = sock.getsockname()[:2]
    return Endpoint(host, port)
