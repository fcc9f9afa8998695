"""The cache as a library: a packet store in this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

from .. import _native
from ..errors import UsageError
from ..flow import Flows, ReadOptions
from ..select.libpcap import compile_filter
from ..sink.atomic import Part
from ..units import parse_seconds, parse_size, parse_time
from .curve import Curve
from .wanted import wanted_flows

Format = Literal["pcapng", "pcap"]
PathLike = str | os.PathLike[str]
Time = int | str
"""Nanoseconds since the epoch, or text as ``--since`` takes it: ISO 8601, seconds, ``2h`` for so long ago."""


class Cache:
    """Packets in a fixed amount of memory: the present whole, of the past the beginning of every flow.

    ::

        with fk.Cache(memory="64MiB") as cache:
            cache.add(frame, time=time.time_ns())
            cache.read(filter="host 10.0.0.1").write("host.pcapng")

    All methods can be called from any thread.
    """

    def __init__(
        self,
        memory: int | str = "64MiB",
        *,
        curve: Curve | str | None = None,
        options: ReadOptions | None = None,
    ) -> None:
        """``memory``: bytes that everything takes together at most, or text such as ``"64MiB"``.
        ``curve``: how the
        allowance of a flow falls with the time since it was last seen, see docs/cache.md. ``options``:
        where flows
        begin and end. Raises UsageError.
        """
        self.curve = Curve.of(curve)
        self._native: _native.Cache | None = _native.Cache(
            parse_size(memory), list(self.curve.steps), **_sessions(options)
        )
        self._interfaces: dict[tuple[str, int], int] = {}

    @property
    def native(self) -> _native.Cache:
        """The native store, for classes that fill it. Raises UsageError once the cache is closed."""
        if self._native is None:
            raise UsageError("the cache is closed")
        return self._native

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the memory back."""
        self.close()

    def close(self) -> None:
        """Give the memory back, and make the last file of a spill whole. Readings that are open can be
        read to their
        end.
        """
        native, self._native = self._native, None
        if native is not None:
            native.spill_close()

    def __repr__(self) -> str:
        """Packets and memory."""
        if self._native is None:
            return "<flowkeep.Cache, closed>"
        status = self.status()
        return f"<flowkeep.Cache of {status['held']['packets']} packets in {status['bound']} bytes>"

    def add(
        self,
        data: bytes | bytearray | memoryview,
        time: int,
        *,
        original: int | None = None,
        interface: str = "",
        link: int = 1,
    ) -> None:
        """Take one packet.

        ``data``: its captured bytes, from the link header on. ``time``: nanoseconds since the epoch.
        ``original``: its
        length on the wire, if it was longer. ``interface``: the name of where it came from. ``link``:
        the link type
        (LINKTYPE registry; 1 is Ethernet).
        """
        native, key = self.native, (interface, link)
        number = self._interfaces.get(key)
        if number is None:
            number = self._interfaces[key] = native.interface(interface, link)
        native.add(number, time, data, original)

    def replay(self, path: PathLike) -> dict[str, Any]:
        """Take all packets of a capture (``-``: standard input); their times are the clock.

        Returns ``packets``, ``bytes``, and ``damage``: where and why reading stopped before the end, or
        None. Raises
        OSError, NotACaptureError.
        """
        return dict(self.native.replay(os.fspath(path)))

    def flows(self, *, community_seed: int = 0) -> Flows:
        """The flows of which something is held, one row each: the columns of ``Dataset.flows()`` with
        their true totals,
        then ``held_packets``, ``held_bytes``, and ``flow_number``, which names a flow as long as the
        cache is there.
        """
        return Flows(self.native.flows(community_seed=community_seed), [])

    def read(
        self,
        *,
        filter: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        flows: str | int | Iterable[str | int] | None = None,
        follow: bool = False,
        format: Format = "pcapng",
    ) -> Reading:
        """The packets that are held now, in the order of time, as a capture file.

        ``filter``: an expression as tcpdump takes it. ``flows``: numbers
        (``flow_number``), Community IDs, or text with two addresses and ports
        such as ``"tcp 10.0.0.1:40000 192.0.2.1:443"``. ``follow``: go on with what comes. Raises UsageError.
        """
        rules = None if filter is None else compile_filter(filter).rules
        wanted = None if flows is None else wanted_flows([flows] if isinstance(flows, str | int) else flows)
        return Reading(
            self.native.reader(
                program=rules,
                since=_time(since),
                until=_time(until),
                flows=wanted,
                follow=follow,
                format=format,
            )
        )

    def save(self, path: PathLike) -> None:
        """Write all that is held to a file, which only its owner may read, and which becomes visible
        when it is whole.

        Raises OSError, OutputError.
        """
        native = self.native
        with Part(Path(path)) as made:
            native.save(os.fspath(made.part))
            made.commit()

    @classmethod
    def load(
        cls,
        path: PathLike,
        memory: int | str = "64MiB",
        *,
        curve: Curve | str | None = None,
        options: ReadOptions | None = None,
    ) -> Self:
        """A cache with what another one has saved. It may have less memory or another curve. Raises
        OSError, and
        UsageError for a file that is damaged or something else.
        """
        cache = cls.__new__(cls)
        cache.curve, cache._interfaces = Curve.of(curve), {}
        cache._native = _native.Cache.load(
            os.fspath(path), parse_size(memory), list(cache.curve.steps), **_sessions(options)
        )
        return cache

    def spill(self, directory: PathLike, *, disk: int | str | None = None, every: int | str = "1h") -> None:
        """Keep what leaves the memory on disk: flows that are let go as a whole, in trimmed captures
        with ledgers.

        ``disk``: bytes of all files at most, then the oldest are deleted. ``every``: packet time in a
        file, in
        seconds, or text such as ``"1h"``. Raises OSError, UsageError.
        """
        bound = None if disk is None else parse_size(disk)
        self.native.spill(os.fspath(directory), disk=bound, every_ns=parse_seconds(every))

    def spill_status(self) -> dict[str, Any] | None:
        """How the spill fares: ``files``, ``bytes``, ``packets``, ``flows``, ``deleted``, ``lost``,
        ``error``; None
        without one.
        """
        return self.native.spill_status()

    def status(self) -> dict[str, Any]:
        """Memory, packets in, held and let go, ages: see docs/cache.md."""
        return dict(self.native.status())


class Reading:
    """A capture file out of a cache: an iterator of its pieces."""

    def __init__(self, native: _native.CacheReader) -> None:
        """See :meth:`Cache.read`."""
        self.native = native

    def __iter__(self) -> Iterator[bytes]:
        """The pieces. Of one that follows they never end."""
        while True:
            piece = self.native.read(0.2)
            if piece:
                yield piece
            elif self.native.ended:
                return

    def read(self, wait: float = 0.0) -> bytes:
        """The next piece; empty at the end. Of one that follows, empty when nothing came for ``wait``
        seconds."""
        return self.native.read(wait)

    def write(self, path: PathLike | BinaryIO) -> int:
        """Write all of it to a file and return the number of bytes. Raises OSError."""
        if isinstance(path, str | os.PathLike):
            with Path(path).open("wb") as file:
                return self.write(file)
        return sum(path.write(piece) for piece in self)

    def stop(self) -> None:
        """Come to an end with what is held now, if it follows. Can be called from any thread."""
        self.native.stop()

    @property
    def ended(self) -> bool:
        """Whether all was read."""
        return self.native.ended

    @property
    def matched(self) -> int:
        """Packets so far."""
        return self.native.matched

    @property
    def lost(self) -> int:
        """Packets that were let go before they were read, because reading took too long."""
        return self.native.lost


def _time(time: Time | None) -> int | None:
    return parse_time(time) if isinstance(time, str) else time


def _sessions(options: ReadOptions | None) -> dict[str, Any]:
    all_of_them = (options or ReadOptions()).sessions()
    return {name: all_of_them[name] for name in ("outer", "key_vlan", "idle_ns", "tcp_idle_ns")}
