"""Puts the pages, the API and the guard together, and runs them."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ..cache.place import Endpoint
from ..errors import FlowkeepError, UsageError
from ..flow import ReadOptions
from ..text import safe
from .api import archive, common, complete, docs, files, flow, rows, take, trim
from .guard import Door, Guard
from .library import Library

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class UiPlan:
    """What is served, and to whom."""

    paths: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()
    """Folders below which captures may be opened and results written; none: those of ``paths``, or the
    working folder."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: any that is free."""
    names: tuple[str, ...] = ()
    """Further names this server is reached by."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    password: str | None = None
    open_with: str | None = None
    """A program with its arguments, to open packets with."""
    most_upload: int = 2_000_000_000
    """Bytes of one upload."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant or would not be safe."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("TLS needs both --tls-cert and --tls-key")
        if self.loopback:
            return
        if self.tls_cert is None:
            raise UsageError(
                f"{safe(self.host)} is not this machine alone: what captures hold would cross the network in "
                "clear; give --tls-cert and --tls-key, or leave --host away"
            )
        if not self.password or len(self.password) < 10:
            raise UsageError(
                "beyond this machine a password is asked for: --password-file with 10 characters or more"
            )
        if self.open_with:
            raise UsageError("--open-with starts programs here: it goes with loopback only")

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return Endpoint(self.host, self.port).loopback

    def allowed_roots(self) -> list[Path]:
        """The folders that may be touched."""
        if self.roots:
            return list(self.roots)
        folders = []
        for path in self.paths:
            plain = path.split("*")[0].split("?")[0].split("[")[0]
            whole = plain == path and os.path.isdir(path)
            # Of a glob, the folder before its first sign.
            folders.append(Path(path) if whole else Path(os.path.dirname(plain) or "."))
        return folders or [Path.cwd()]


def application(plan: UiPlan, library: Library, door: Door) -> FastAPI:
    """The pages and the API, without the guard."""
    from nicegui import app as pages
    from nicegui import ui

    from . import pages as ours

    api = FastAPI(
        title="flowkeep", version="1", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    for part in (rows, complete, flow, take, files, trim, archive, docs):
        api.include_router(part.router)
    for error in (FlowkeepError, OSError):
        api.add_exception_handler(error, common.explain)
    grants = take.Grants()  # the links that the pages give out are those that the API knows
    for state in (api.state, pages.state):
        state.library, state.grants = library, grants
        state.open_with = shlex.split(plan.open_with) if plan.open_with else None
        state.most_upload, state.loopback = plan.most_upload, plan.loopback
    ours.register(library)
    pages.add_static_files("/static", STATIC)
    ui.run_with(api, title="flowkeep", favicon="🌊", dark=None, show_welcome_message=False)
    return api


class Server:
    """A server that is bound, and can be run and stopped."""

    def __init__(self, plan: UiPlan, options: ReadOptions | None = None) -> None:
        """Bind, and begin to read. Raises UsageError and OSError."""
        self.plan = plan
        family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((plan.host, plan.port))
            # From now on a browser waits for its answer and is not refused.
            self._socket.listen(128)
        except OSError as error:
            self._socket.close()
            raise UsageError(
                f"{safe(plan.host)} port {plan.port}: {error.strerror}: name another --port"
            ) from None
        self.port = self._socket.getsockname()[1]
        self.library = Library(plan.allowed_roots(), options)
        scheme = "https" if plan.tls_cert else "http"
        known = {plan.host, *plan.names, *(("localhost", "127.0.0.1", "::1") if plan.loopback else ())}
        hosts = {f"[{name}]:{self.port}" if ":" in name else f"{name.lower()}:{self.port}" for name in known}
        if self.port == (443 if plan.tls_cert else 80):
            hosts |= {host.rpartition(":")[0] for host in hosts}
        self.door = Door(frozenset(hosts), scheme, password=plan.password)
        try:
            # Read while the packages of the pages are loaded, which takes as long as a million flows.
            if plan.paths:
                self.library.open(plan.paths)
            self._server = _server(self._config())
        except BaseException:
            self.library.shut()
            self._socket.close()
            raise

    def _config(self) -> Any:
        import uvicorn

        plan = self.plan
        app: Any = Guard(application(plan, self.library, self.door), self.door)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="on", server_header=False, date_header=False,
            ssl_certfile=plan.tls_cert, ssl_keyfile=plan.tls_key, timeout_graceful_shutdown=2,
            access_log=False,
            h11_max_incomplete_event_size=1 << 20, ws_max_size=1 << 20,
        )  # fmt: skip
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"TLS: {safe(str(plan.tls_cert))}: {error}") from None
        return config

    @property
    def url(self) -> str:
        """What to open. On loopback the key is in it."""
        host = f"[{self.plan.host}]" if ":" in self.plan.host else self.plan.host
        base = f"{self.door.scheme}://{host}:{self.port}/"
        return base if self.plan.password else f"{base}?token={self.door.token}"

    def run(self, ready: Callable[[str], None] | None = None) -> None:
        """Serve until stopped."""
        try:
            if ready is not None:
                ready(self.url)
            self._server.run(sockets=[self._socket])
        finally:
            self.library.shut()
            self._socket.close()

    def stop(self) -> None:
        """Ask it to end; from any thread."""
        self._server.should_exit = True


def _server(config: Any) -> Any:
    import uvicorn

    class Calm(uvicorn.Server):
        """Ends with status 0 when it is told to end, and does not pass the signal on."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {}
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, self.handle_exit)
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return Calm(config)


def plain_roots(names: Sequence[str]) -> tuple[Path, ...]:
    """Folders as given. Raises UsageError for one that is none."""
    roots = tuple(Path(name) for name in names)
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"{safe(root)} is no folder")
    return roots
