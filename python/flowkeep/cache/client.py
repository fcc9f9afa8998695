"""Asks a running cache, over its Unix socket or over TLS."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import CacheError, UsageError
from ..text import safe
from .place import PCAP_OVER_IP_PORT, Endpoint, check_socket, parse_endpoint, usual_socket
from .protocol import LENGTH, MAX_FRAME, MAX_HEADER, Request, parse_header
from .token import read_token

SECONDS = 60.0
"""In which something has to come, unless live packets are waited for."""


@dataclass(frozen=True)
class Place:
    """Where a cache is, and what is needed to be let in."""

    socket: Path | None = None
    """Its Unix socket; None: the usual one."""
    url: str | None = None
    """``tls://HOST:PORT``: a cache on another machine."""
    token_file: Path | None = None
    """With ``url``: holds the secret."""
    tls_ca: Path | None = None
    """With ``url``: certificates to trust instead of the system's."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.url is None:
            if self.token_file or self.tls_ca:
                raise UsageError("a token file and certificates go with --connect tls://HOST:PORT")
            return
        if self.socket is not None:
            raise UsageError("a cache is reached by --socket or by --connect, not by both")
        if self.token_file is None:
            raise UsageError(
                f"{safe(self.url)} asks for a token: name the file that holds it with --token-file"
            )
        self.endpoint()

    def endpoint(self) -> Endpoint:
        """The address in ``url``. Raises UsageError."""
        scheme, _, rest = (self.url or "").partition("://")
        if scheme != "tls" or not rest:
            raise UsageError(f"{safe(self.url or '')!r} is no cache: write tls://HOST:{PCAP_OVER_IP_PORT}")
        return parse_endpoint(rest.rstrip("/"), PCAP_OVER_IP_PORT)

    def __str__(self) -> str:
        """For messages."""
        return safe(self.url if self.url is not None else self.socket or usual_socket())


class Answer:
    """What a cache answers: ``header``, then bytes, then ``trailer``."""

    def __init__(self, place: Place, request: Request, body: bytes = b"") -> None:
        """Ask; ``body`` belongs to the request. Raises CacheError, UsageError, BusyError, OSError."""
        self._place = str(place)
        if place.token_file is not None:
            request = replace(request, token=read_token(place.token_file))
        line = request.line()
        self._sock = _connected(place)
        try:
            self._file = self._sock.makefile("rb", 1 << 18)
            self._sock.settimeout(SECONDS)
            self._send(line + body)
            self.header: dict[str, Any] = self._line()
            self.trailer: dict[str, Any] = {}
        except BaseException:
            self._sock.close()
            raise
        self._follow = request.follow

    def _send(self, data: bytes) -> None:
        # Who refuses at once has closed already; what it said is still to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(data)

    def _line(self) -> dict[str, Any]:
        with _told(self._place):
            line = self._file.readline(MAX_HEADER)
        if not line.endswith(b"\n"):
            raise CacheError(f"{self._place}: the cache closed the connection before it answered")
        return parse_header(line, self._place)

    def blocks(self) -> Iterator[bytes]:
        """The bytes, in blocks that end where a block of the capture ends. Then ``trailer`` is there.

        Raises CacheError when the answer ends early.
        """
        if self._follow:
            self._sock.settimeout(None)
        while True:
            with _told(self._place):
                head = self._file.read(LENGTH.size)
                (length,) = LENGTH.unpack(head) if len(head) == LENGTH.size else (-1,)
                data = self._file.read(length) if 0 < length <= MAX_FRAME else b""
            if length == 0:
                self.trailer = self._line()
                return
            if len(data) != length:
                raise CacheError(
                    f"{self._place}: the answer ended early: the cache was stopped, or the connection broke"
                )
            yield data

    def enough(self) -> None:
        """Want no more live packets: the cache brings its answer to an end, which is still to be read."""
        self._sock.settimeout(SECONDS)
        self._send(b"\n")

    def __enter__(self) -> Answer:
        """The answer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self._file.close()
        self._sock.close()


class _told:  # noqa: N801
    """Turns errors of a connection into a CacheError that names the place."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, TimeoutError):
            raise CacheError(f"{self._place}: no answer for {SECONDS:.0f} s") from error
        if isinstance(error, OSError):
            raise CacheError(f"{self._place}: the connection broke: {error.strerror or error}") from error


def _connected(place: Place) -> socket.socket:
    return _unix(place) if place.url is None else _tls(place)


def _unix(place: Place) -> socket.socket:
    path = check_socket(place.socket or usual_socket())
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # A queue that is full is waited for, which a socket with a time-out of Python does not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(SECONDS), 0))
        sock.connect(os.fspath(path))
    except OSError as error:
        sock.close()
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            raise CacheError(
                f"{safe(path)}: no cache is running there: start one with flowkeep cache run, or name its "
                "socket with --socket"
            ) from None
        if isinstance(error, PermissionError):
            raise CacheError(
                f"{safe(path)}: this user may not ask the cache: ask as the user it runs as, or as root"
            ) from None
        raise CacheError(f"{safe(path)}: cannot be reached: {error.strerror or error}") from error
    return sock


def _tls(place: Place) -> socket.socket:
    import ssl

    endpoint = place.endpoint()
    context = ssl.create_default_context(cafile=None if place.tls_ca is None else os.fspath(place.tls_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        plain = socket.create_connection((endpoint.host, endpoint.port), SECONDS)
        try:
            # A connection that died silently is noticed within minutes.
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
            return context.wrap_socket(plain, server_hostname=endpoint.host)
        except BaseException:
            plain.close()
            raise
    except ssl.SSLCertVerificationError as error:
        raise CacheError(
            f"{place}: its certificate is not trusted ({error.verify_message}): name the certificate to "
            "trust with --tls-ca"
        ) from None
    except OSError as error:
        raise CacheError(f"{place}: cannot be reached: {error.strerror or error}") from error
