"""PCAP-over-IP: whoever connects gets a capture, without a question.

Nothing in it asks who is there. So it is for this machine alone: the kernel says whose the other end is. Over
a network the same port speaks the service's own protocol, inside TLS, to clients that know a token.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError, UsageError
from ..text import safe
from ..units import Moment
from .place import Endpoint
from .protocol import Form
from .token import read_token

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter

    from .server import Service


@dataclass(frozen=True)
class Outside:
    """What lets clients of other machines in."""

    certificate: Path
    key: Path
    token: str

    @classmethod
    def read(cls, certificate: Path | None, key: Path | None, token_file: Path | None) -> Outside | None:
        """From files; None when none is named. Raises UsageError when one is missing, OSError."""
        if certificate is None and key is None and token_file is None:
            return None
        if certificate is None or key is None or token_file is None:
            raise UsageError("over a network all three are needed: --tls-cert, --tls-key and --token-file")
        return cls(certificate, key, read_token(token_file))

    def context(self) -> ssl.SSLContext:
        """Raises UsageError when the certificate or its key is of no use."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(
                f"{safe(self.certificate)}, {safe(self.key)}: no certificate with its key, in PEM, without a "
                f"password: {safe(str(error))}"
            ) from None
        return context


def _no_password() -> str:
    raise OSError("the key has a password")


@dataclass(frozen=True)
class Face:
    """How PCAP-over-IP is spoken."""

    endpoint: Endpoint
    outside: Outside | None = None
    """None: plain, for this machine alone."""
    history: int | None = 0
    """Nanoseconds before the newest packet from which on a client gets packets; None: all that is held."""
    format: Form = "pcapng"

    def __post_init__(self) -> None:
        """Raise UsageError for a face that anybody could reach."""
        if self.outside is None and not self.endpoint.loopback:
            raise UsageError(
                f"{self.endpoint} can be reached from other machines, and PCAP-over-IP asks nobody who he "
                "is: add --tls-cert, --tls-key and --token-file, or take 127.0.0.1"
            )


def listen_tcp(endpoint: Endpoint) -> socket.socket:
    """A listening socket. Raises OutputError."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind | socket.SOCK_CLOEXEC, number)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(128)
        except BaseException:
            sock.close()
            raise
        return sock
    except OSError as error:
        raise OutputError(f"{endpoint}: cannot listen there: {error.strerror or error}") from error


async def face(
    service: Service, how: Face, tls: ssl.SSLContext | None, reader: StreamReader, writer: StreamWriter
) -> None:
    """Answer one client."""
    if tls is not None:
        await service.remote(reader, writer, tls)
        return
    # Before the newest packet, not before now: what is replayed has its own time.
    await service.plain(
        reader, writer, None if how.history is None else Moment("end", how.history), how.format
    )
