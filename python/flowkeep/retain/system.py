"""What the daemon asks of the operating system: low priority, quiet hours."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from ..units import DAY
from .model import Limits, Quiet

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "armv7l": 314, "riscv64": 30, "ppc64le": 273, "s390x": 282}
_CLASS = {"best-effort": 2 << 13 | 7, "idle": 3 << 13}


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
