"""Where a service is found: its socket, and the addresses of its network faces."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..text import safe

SYSTEM_SOCKET = Path("/run/flowkeep/cache.sock")
PCAP_OVER_IP_PORT = 57012
"""What everybody takes for PCAP-over-IP."""
METRICS_PORT = 57013
_LONGEST = 107
"""Bytes of a socket's path (unix(7))."""
_ENDPOINT = re.compile(
    r"(?:\[(?P<boxed>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s\[\]:/]*))(?::(?P<port>\d{1,5}))?", re.ASCII
)


def own_socket() -> Path:
    """Where a service of this user listens: below XDG_RUNTIME_DIR, or the system's place."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0 or not runtime.startswith("/"):
        return SYSTEM_SOCKET
    return Path(runtime) / "flowkeep" / "cache.sock"


def usual_socket() -> Path:
    """Where a service is looked for: the user's own if it is there, else the system's."""
    own = own_socket()
    return own if own.exists() else SYSTEM_SOCKET


def check_socket(path: Path) -> Path:
    """The absolute path of a socket. Raises UsageError when it is too long for one."""
    path = Path(os.path.abspath(path))
    if len(os.fsencode(path)) > _LONGEST:
        raise UsageError(f"{safe(path)} is too long for a socket: {_LONGEST} bytes are the most")
    return path


@dataclass(frozen=True)
class Endpoint:
    """A TCP address."""

    host: str
    port: int

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost may mean anything."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_endpoint(text: str, port: int, *, host: str = "127.0.0.1") -> Endpoint:
    """An address from ``HOST:PORT``, ``HOST``, ``:PORT``, ``PORT`` or ``[IPv6]:PORT``; what is left out is
    ``host`` and ``port``. Port 0 is any free one. Raises UsageError."""
    if re.fullmatch(r"\d{1,5}", text, re.ASCII):
        text = f":{text}"
    found = _ENDPOINT.fullmatch(text)
    number = int(found["port"]) if found and found["port"] else port
    name = (found["boxed"] or found["host"] or host) if found else ""
    if found and found["boxed"]:
        try:
            ipaddress.IPv6Address(found["boxed"])
        except ValueError:
            name = ""
    if not name or number > 65535:
        raise UsageError(
            f"{safe(text)!r} is no address: write HOST:PORT such as 127.0.0.1:{port} or [::1]:{port}"
        )
    return Endpoint(name, number)
