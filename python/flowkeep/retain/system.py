"""What the daemon asks of the operating system: low priority, a word to systemd, quiet hours."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from .model import Limits, Quiet

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "armv7l": 314, "riscv64": 30, "ppc64le": 273, "s390x": 282}
_CLASS = {"best-effort": 2 << 13 | 7, "idle": 3 << 13}
DAY = 86_400_000_000_000


def lower(limits: Limits) -> list[str]:
    """Take the priorities that a policy gives; what could not be had, in words."""
    trouble = []
    if limits.ionice != "none":
        number = _IOPRIO_SET.get(platform.machine())
        if number is None:
            trouble.append(f"ionice is not known for {platform.machine()}")
        elif ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, _CLASS[limits.ionice]) != 0:
            trouble.append(f"ionice {limits.ionice}: {os.strerror(ctypes.get_errno())}")
    try:
        now = os.getpriority(os.PRIO_PROCESS, 0)
        if limits.nice > now:
            os.setpriority(os.PRIO_PROCESS, 0, limits.nice)
    except OSError as error:
        trouble.append(f"nice {limits.nice}: {error.strerror}")
    return trouble


def notify(text: str) -> bool:
    """Tell systemd, when it started this process and listens (sd_notify(3)); whether it was told."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as talk:
        talk.sendto(
            text.encode("utf-8", "replace"), place.replace("@", "\0", 1) if place[0] == "@" else place
        )
        return True
    return False


def watchdog_seconds() -> float | None:
    """How often systemd wants to hear from this process; None: it does not."""
    micros = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(micros) / 2e6 if micros.isdecimal() and int(micros) and mine else None


def is_quiet(quiet: Sequence[Quiet], now: int) -> bool:
    """Whether a moment is in a quiet time."""
    of_day, weekday = now % DAY, datetime.fromtimestamp(now // 1_000_000_000, UTC).weekday()
    for each in quiet:
        if each.start <= each.end:
            if weekday in each.days and each.start <= of_day < each.end:
                return True
        elif (weekday in each.days and of_day >= each.start) or (
            (weekday - 1) % 7 in each.days and of_day < each.end
        ):
            return True
    return False
