"""Answers clients of a cache. Blocks of capture bytes pass through; packets are never looked at here."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _native
from ..errors import BusyError, CacheError, FlowkeepError, UsageError
from ..select import compile_filter
from ..select.libpcap import compile_for_flows
from ..select.query import parse_networks
from ..units import Moment
from . import token as secret
from .lean import trim
from .listen import BACKLOG
from .peers import Allowed, left, tcp_peer, unix_peer
from .protocol import (
    LENGTH,
    MAX_REQUEST,
    NUMBER,
    REQUEST_SECONDS,
    Form,
    Request,
    header,
    parse_request,
    refusal,
)

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from ssl import SSLContext

T = TypeVar("T")
Numbers = tuple[int, ...]

ROOM = {"local": 256, "outside": 32, "numbers": 16}
"""Connections at once, by face: who fills one room keeps nobody out of another."""
MAX_READERS = 128
STALL_SECONDS = 600.0
"""A client that takes nothing for so long is given up."""
COUNTED = ("connections", "refused", "queries", "failed", "stalled", "sent_bytes")
"""What :attr:`Service.counts` counts."""
_PAUSE = 0.1
"""Seconds between two looks for live packets, when there were none."""
_READING = 4
_OTHER = 2
"""Threads. Few, for each takes memory besides that of the store."""
_BUFFER = 1 << 16
"""Bytes that wait in this process for a client to take them."""
_PIECE = 1 << 18


class Service:
    """What all faces of a cache share: the cache, its limits, its counters."""

    def __init__(
        self, cache: _native.Cache, describe: Callable[[], dict[str, Any]], *,
        say: Callable[[str], None], allowed: Allowed | None = None, token: str | None = None,
    ) -> None:  # fmt: skip
        """``describe`` gives the status, and is called in a thread; ``say`` tells the operator."""
        self.cache = cache
        self.allowed = allowed or Allowed()
        self.counts: Counter[str] = Counter()
        """Since the start: connections, refused, queries, failed, stalled, sent_bytes."""
        self.readers = 0
        self.describe, self._say = describe, say
        self._token = token
        self._open: dict[asyncio.Task[None], str] = {}
        self._stopping = asyncio.Event()
        self._listing = asyncio.Lock()
        self._reading = ThreadPoolExecutor(_READING, thread_name_prefix="reading")
        self._others = ThreadPoolExecutor(_OTHER, thread_name_prefix="other")

    async def thread(self, work: Callable[..., T], *args: Any) -> T:
        """Have something done in a thread, that readers do not keep busy."""
        return await asyncio.get_running_loop().run_in_executor(self._others, work, *args)

    async def stop(self, seconds: float = 5.0) -> None:
        """Bring all answers to an end; what is not done in time is cut off."""
        self._stopping.set()
        if self._open:
            await asyncio.wait(self._open, timeout=seconds)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for pool in (self._reading, self._others):
            pool.shutdown(wait=False, cancel_futures=True)

    async def local(self, reader: StreamReader, writer: StreamWriter) -> None:
        """A client at the Unix socket."""
        await self.guard("local", writer, partial(self._local, reader, writer))

    async def remote(self, reader: StreamReader, writer: StreamWriter, tls: SSLContext) -> None:
        """A client over TLS, who has to know the token."""
        await self.guard("outside", writer, partial(self._remote, reader, writer, tls))

    async def plain(
        self, reader: StreamReader, writer: StreamWriter, since: int | Moment | None, form: Form
    ) -> None:
        """A client of PCAP-over-IP on this machine: gets a capture and is asked nothing."""
        await self.guard("outside", writer, partial(self._plain, reader, writer, since, form))

    async def guard(self, room: str, writer: StreamWriter, talk: Callable[[], Awaitable[None]]) -> None:
        """Run one conversation, if there is room; whatever goes wrong in it stays in it."""
        task = asyncio.current_task()
        assert task is not None
        self.counts["connections"] += 1
        if sum(other == room for other in self._open.values()) >= ROOM[room]:
            self.counts["refused"] += 1
            writer.transport.abort()
            return
        self._open[task] = room
        try:
            writer.transport.set_write_buffer_limits(high=_BUFFER)
            await talk()
            # What still waits may take as long as all before it.
            writer.transport.set_write_buffer_limits(high=0)
            await asyncio.wait_for(writer.drain(), STALL_SECONDS)
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), REQUEST_SECONDS)
        except TimeoutError:
            self.counts["stalled"] += 1
        except (OSError, EOFError):
            pass  # the client left
        except asyncio.CancelledError:
            pass  # the service stops
        except Exception as error:
            # What is wrong with one question must not end the capture.
            self.counts["failed"] += 1
            self._say(f"a question failed: {type(error).__name__}: {error}")
        finally:
            writer.transport.abort()
            del self._open[task]

    async def _remote(self, reader: StreamReader, writer: StreamWriter, tls: SSLContext) -> None:
        try:
            await writer.start_tls(tls, ssl_handshake_timeout=REQUEST_SECONDS)
        except OSError:  # also what TLS itself objects to
            self.counts["refused"] += 1
            return
        writer.transport.set_write_buffer_limits(high=_BUFFER)
        await self._talk(reader, writer, trusted=False)

    async def _local(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            user = unix_peer(writer.get_extra_info("socket"))
        except OSError:
            return
        if user not in self.allowed:
            await self._refuse(
                writer, CacheError(f"user {user} may not ask this cache: its own user and root may")
            )
            return
        await self._talk(reader, writer, trusted=True)

    async def _plain(
        self, reader: StreamReader, writer: StreamWriter, since: int | Moment | None, form: Form
    ) -> None:
        user = await self.thread(tcp_peer, writer.get_extra_info("socket"))
        if user not in self.allowed:
            self.counts["refused"] += 1
            return
        request = Request("read", since=since, follow=True, format=form, frames=False)
        try:
            source = await self._source(request)
        except BusyError:
            self.counts["refused"] += 1
            return
        await self._stream(reader, writer, request, source)

    async def _talk(self, reader: StreamReader, writer: StreamWriter, *, trusted: bool) -> None:
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), REQUEST_SECONDS)
            request = parse_request(line)
            if not trusted and not (self._token and secret.same(request.token, self._token)):
                raise CacheError("the token is missing or wrong")
            self.counts["queries"] += 1
            flows = await self._named(reader, request)
        except (ValueError, asyncio.LimitOverrunError) as error:
            if not isinstance(error, FlowkeepError):
                error = UsageError(f"request: no end of the line within {MAX_REQUEST:,} bytes")
            await self._refuse(writer, error)
            return
        except CacheError as error:
            await self._refuse(writer, error)
            return
        except TimeoutError:
            await self._refuse(writer, UsageError(f"request: not there within {REQUEST_SECONDS:.0f} s"))
            return
        try:
            await getattr(self, f"_{request.ask}")(reader, writer, request, flows)
        except FlowkeepError as error:
            await self._refuse(writer, error)

    async def _named(self, reader: StreamReader, request: Request) -> Numbers | None:
        """The numbers of flows that belong to a request."""
        if request.flows is None:
            return None
        data = await asyncio.wait_for(reader.readexactly(NUMBER * request.flows), REQUEST_SECONDS)
        return struct.unpack(f">{request.flows}Q", data)

    async def _refuse(self, writer: StreamWriter, error: FlowkeepError) -> None:
        self.counts["refused"] += 1
        writer.write(refusal(error))
        await asyncio.wait_for(writer.drain(), REQUEST_SECONDS)

    async def _status(self, _r: StreamReader, writer: StreamWriter, _q: Request, _n: object) -> None:
        await self._put(writer, header(status=await self.thread(self.describe)))

    async def _flows(self, _r: StreamReader, writer: StreamWriter, request: Request, _n: object) -> None:
        async with self._listing:  # a table takes memory besides that of the store: one at a time
            table, masks = await self.thread(partial(_listed, self.cache, request))
        try:
            await self._put(writer, header(rows=len(masks[0]) if masks else None))
            size = os.fstat(table).st_size
            for start in range(0, size, _PIECE):
                self._frame(writer, os.pread(table, _PIECE, start), request.frames)
                await self._drain(writer)
        finally:
            os.close(table)
        for mask in masks:
            for start in range(0, len(mask), _PIECE):
                self._frame(writer, mask[start : start + _PIECE], request.frames)
                await self._drain(writer)
        if request.frames:
            await self._put(writer, LENGTH.pack(0) + header(table=size, masks=[len(mask) for mask in masks]))

    async def _read(
        self, reader: StreamReader, writer: StreamWriter, request: Request, flows: Numbers | None
    ) -> None:
        source = await self._source(request, flows)
        await self._put(writer, header())
        await self._stream(reader, writer, request, source)
        if request.frames:
            await self._put(writer, LENGTH.pack(0) + header(matched=source.matched, lost=source.lost))

    async def _source(self, request: Request, flows: Numbers | None = None) -> _native.CacheReader:
        """The snapshot that a request asks for. Raises BusyError, UsageError."""
        if self.readers >= MAX_READERS:
            raise BusyError(f"{MAX_READERS} clients read already: wait until one is done")
        return await self.thread(partial(_reader, self.cache, request, flows))

    async def _stream(
        self, reader: StreamReader, writer: StreamWriter, request: Request, source: _native.CacheReader
    ) -> None:
        """Send a capture. A client that has enough of live packets says something, or hangs up."""
        self.readers += 1
        done = asyncio.create_task(_silence(reader, request.frames))
        loop, stopped = asyncio.get_running_loop(), not request.follow
        try:
            while True:
                block = await loop.run_in_executor(self._reading, source.read)
                size = len(block)
                if block:
                    self._frame(writer, block, request.frames)
                elif source.ended:
                    break
                del block  # a client that takes its time has one copy of it, not two
                await self._drain(writer)
                if stopped:
                    continue
                if self._stopping.is_set() or (done.done() and request.frames):
                    stopped = True
                    await self.thread(source.stop)  # what came until now is still read
                elif not size:
                    if done.done() and await self.thread(left, writer.get_extra_info("socket")):
                        break
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), _PAUSE)
        finally:
            self.readers -= 1
            done.cancel()

    def _frame(self, writer: StreamWriter, data: bytes, framed: bool) -> None:
        self.counts["sent_bytes"] += len(data)
        if framed:
            writer.write(LENGTH.pack(len(data)))
        writer.write(data)

    async def _put(self, writer: StreamWriter, data: bytes) -> None:
        writer.write(data)
        await self._drain(writer)

    async def _drain(self, writer: StreamWriter) -> None:
        await asyncio.wait_for(writer.drain(), STALL_SECONDS)


async def _silence(reader: StreamReader, at_once: bool) -> None:
    """Wait until a client says something (``at_once``), or has closed its side."""
    with suppress(OSError):
        while await reader.read(1 << 12) and not at_once:
            pass


def _reader(cache: _native.Cache, request: Request, flows: Numbers | None) -> _native.CacheReader:
    """The snapshot that a request asks for. Raises UsageError."""
    program = None if request.filter is None else list(compile_filter(request.filter).rules)
    since, until = _resolved(cache, request.since), _resolved(cache, request.until)
    return cache.reader(
        program=program, since=since, until=until, flows=flows, follow=request.follow, format=request.format
    )


def _resolved(cache: _native.Cache, when: int | Moment | None) -> int | None:
    if when is None or isinstance(when, int):
        return when
    status = cache.status()
    oldest, newest = status["oldest"], status["newest"]
    return None if oldest is None or newest is None else when.at(oldest, newest)


def _listed(cache: _native.Cache, request: Request) -> tuple[int, list[bytes]]:
    """The flow table as an Arrow file without a name, and the masks asked for. Raises UsageError."""
    blocks = parse_networks(request.networks)
    program = None if request.flow_filter is None else compile_for_flows(request.flow_filter)
    table = cache.flows(community_seed=request.community_seed)
    masks = [table.inside(blocks)] if blocks else []
    if program is not None:
        masks.append(table.matching(program[0], tags=program[1]))
    fd = os.memfd_create("flows", os.MFD_CLOEXEC)
    try:
        table.write_arrow(f"/proc/self/fd/{fd}")
    except BaseException:
        os.close(fd)
        raise
    del table
    trim()
    return fd, masks


async def serve(
    face: Callable[[StreamReader, StreamWriter], Awaitable[None]], sock: socket.socket
) -> asyncio.Server:
    """Answer at a listening socket."""
    if sock.family == socket.AF_UNIX:
        return await asyncio.start_unix_server(face, sock=sock, limit=MAX_REQUEST, backlog=BACKLOG)
    return await asyncio.start_server(face, sock=sock, limit=MAX_REQUEST, backlog=BACKLOG)
