"""Who is at the other end of a connection on this machine."""

from __future__ import annotations

import ipaddress
import os
import pwd
import select
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..text import safe

_CREDENTIALS = struct.Struct("3i")
_TABLES = ((Path("/proc/self/net/tcp"), False), (Path("/proc/self/net/tcp6"), True))
"""Tables of connections, and whether IPv4 addresses stand there mapped into IPv6."""


def user_of(name: str) -> int:
    """The number of a user, given by name or number. Raises UsageError."""
    if name.isascii() and name.isdigit() and len(name) < 11:
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        raise UsageError(f"there is no user {safe(name)!r} on this machine") from None


def unix_peer(sock: socket.socket) -> int:
    """The user who connected to a Unix socket (SO_PEERCRED). Raises OSError."""
    _, user, _ = _CREDENTIALS.unpack(
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return int(user)


def tcp_peer(sock: socket.socket) -> int | None:
    """The user who owns the other end of a TCP connection within this machine, None if it cannot be told.

    The kernel lists both ends of such a connection with their owners (proc_net(5)). What nobody holds any
    more it lists as root's, with no inode: that is nobody.
    """
    try:
        own, other = sock.getsockname(), sock.getpeername()
        for table, mapped in _TABLES:
            wanted = (_as_listed(other, mapped), _as_listed(own, mapped))
            with table.open() as lines:
                for line in lines:
                    fields = line.split()
                    if (fields[1], fields[2]) == wanted and fields[9] != "0":
                        return int(fields[7])
    except (OSError, IndexError, ValueError):
        pass
    return None


def left(sock: socket.socket) -> bool:
    """Whether a client on this machine that closed its side is gone, and not only done with asking."""
    if sock.family != socket.AF_UNIX:
        return tcp_peer(sock) is None
    poll = select.poll()
    poll.register(sock.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))


def _as_listed(address: Sequence[object], mapped: bool) -> str:
    """Address and port as the kernel lists them: words of four bytes in the machine's order."""
    ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and not mapped:
        ip = ip.ipv4_mapped or ip
    packed = ip.packed if ip.version == 6 or not mapped else bytes(10) + b"\xff\xff" + ip.packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{int(str(address[1])):04X}"


class Allowed:
    """Who may ask: the user of the service, root, and those who are named."""

    def __init__(self, named: Sequence[str] = ()) -> None:
        """Raises UsageError for a user there is not."""
        self.named = frozenset(user_of(name) for name in named)

    def __contains__(self, user: int | None) -> bool:
        """Whether this user may."""
        return user is not None and (user in (0, os.geteuid()) or user in self.named)
