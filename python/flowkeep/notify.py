"""Tells the service manager how things are: sd_notify(3)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(**states: str | int) -> bool:
    """Send states such as ``READY=1`` and ``STATUS="..."`` to systemd; whether it was told, which is when it
    started this process and listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    text = "\n".join(f"{name}={str(value).splitlines()[0]}" for name, value in states.items() if str(value))
    # That nobody listens any more is no reason to stop.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect("\0" + address[1:] if address[0] == "@" else address)
        sock.setblocking(False)
        sock.send(text.encode("utf-8", "replace"))
        return True
    return False


def watchdog_seconds() -> float | None:
    """How often a sign of life is wanted: half the time after which systemd gives this process up."""
    pid, limit = os.environ.get("WATCHDOG_PID", ""), os.environ.get("WATCHDOG_USEC", "")
    if pid not in ("", str(os.getpid())) or not limit.isdecimal() or not 0 < int(limit) < 1 << 53:
        return None
    return int(limit) / 2e6
