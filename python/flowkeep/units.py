"""Numbers as people write and read them: sizes, durations, times."""

from __future__ import annotations

import re
import time as clock
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Literal

from .errors import UsageError

_SIZES: dict[str, int | Fraction] = {
    "": 1, "b": 1,
    "k": 1000, "kb": 1000, "m": 1000**2, "mb": 1000**2, "g": 1000**3, "gb": 1000**3,
    "t": 1000**4, "tb": 1000**4,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}  # fmt: skip
_TIMES: dict[str, int | Fraction] = {
    "": 1,
    "s": 1,
    "ms": Fraction(1, 1000),
    "min": 60,
    "m": 60,
    "h": 3600,
    "d": 86400,
}
DAY = 86_400_000_000_000
"""Nanoseconds."""
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)
_LARGEST = (1 << 63) - 1
_ISO = re.compile(
    r"(?P<moment>\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?)(\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def _scaled(text: str, units: dict[str, int | Fraction]) -> Fraction | None:
    found = _NUMBER.fullmatch(text)
    if not found or found[2].lower() not in units or len(found[1]) > 40:
        return None
    return Fraction(found[1]) * units[found[2].lower()]


def parse_size(text: str | int) -> int:
    """Bytes of a size: ``100kB`` is 100,000, ``100KiB`` 102,400, a bare number bytes.

    Raises UsageError.
    """
    value = Fraction(text) if isinstance(text, int) else _scaled(text, _SIZES)
    if value is None or value.denominator != 1 or not 0 <= value <= _LARGEST:
        raise UsageError(
            f"{text!r} is not a size: write bytes such as 102400, 100kB (1000), 100KiB (1024), 1MB"
        )
    return int(value)


def parse_seconds(text: str | float) -> int:
    """Nanoseconds of a duration in seconds: ``60``, ``0.5``, ``90s``, ``5min``, ``1h``.

    Raises UsageError.
    """
    value = _scaled(str(text), _TIMES)
    if value is None or value * 1_000_000_000 > _LARGEST:
        raise UsageError(f"{text!r} is not a duration: write seconds such as 60, 0.5, 90s, 5min, 1h")
    return int(value * 1_000_000_000)


def parse_time(text: str, *, now_ns: int | None = None) -> int:
    """Nanoseconds since the epoch of a time: ISO 8601 such as ``2024-05-01T12:00:00.5Z`` (UTC unless it
    says otherwise), a date, seconds since the epoch (``1714564800.25``), or a duration before now (``2h``).

    Raises UsageError.
    """
    text = text.strip()
    ago = None if re.fullmatch(r"[\d.]*", text) else _scaled(text, _TIMES)
    if ago is not None:
        now = clock.time_ns() if now_ns is None else now_ns
        return max(now - int(ago * 1_000_000_000), -_LARGEST)
    seconds = _scaled(text, {"": 1}) if re.fullmatch(r"\d{9,}(\.\d*)?", text) else None
    if seconds is not None and seconds * 1_000_000_000 <= _LARGEST:
        return int(seconds * 1_000_000_000)
    found = _ISO.fullmatch(text)
    if found:
        try:
            moment = datetime.fromisoformat(found["moment"] + (found["zone"] or "+00:00"))
        except ValueError:
            moment = None
        if moment is not None:
            whole = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
            return whole * 1_000_000_000 + int((found["fraction"] or "").ljust(9, "0")[:9] or 0)
    raise UsageError(
        f"{text!r} is not a time: write 2024-05-01, 2024-05-01T12:00:00Z, seconds since 1970, 2h for "
        "two hours ago, or end-2h for two hours before the last packet"
    )


@dataclass(frozen=True)
class Moment:
    """A time that is known once the captures are: so long after their first or before their last packet."""

    anchor: Literal["start", "end"]
    offset_ns: int

    def at(self, first_ns: int, last_ns: int) -> int:
        """Nanoseconds since the epoch."""
        return first_ns + self.offset_ns if self.anchor == "start" else last_ns - self.offset_ns


def parse_moment(text: str) -> int | Moment:
    """A time as :func:`parse_time` takes it, or one by the captures: ``start+10min`` after their first
    packet, ``end-2h`` before their last one.

    Raises UsageError.
    """
    found = re.fullmatch(r"\s*(start|end)\s*(?:([+-])\s*([\d.]+\s*[A-Za-z]*))?\s*", text, re.ASCII)
    if not found:
        return parse_time(text)
    anchor: Literal["start", "end"] = "start" if found[1] == "start" else "end"
    if found[2] and found[2] != ("+" if anchor == "start" else "-"):
        raise UsageError(f"{text!r} is outside of the captures: write start+10min or end-2h")
    return Moment(anchor, parse_seconds(found[3]) if found[3] else 0)


def size(n: float) -> str:
    """Bytes in the unit that reads best, in powers of 1000."""
    value = float(n)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5 or unit == "TB":
            break
        value /= 1000
    if unit == "B":
        return f"{int(value)} B"
    return f"{value:.0f} {unit}" if abs(value) >= 99.95 else f"{value:.1f} {unit}"


def count(n: int, one: str, many: str | None = None) -> str:
    """A number of things: ``1 flow``, ``2,000 flows``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def cutoff(n: int) -> str:
    """A cutoff as it is written on the command line."""
    for unit, factor in (("GB", 1000**3), ("MB", 1000**2), ("kB", 1000)):
        if n and n % factor == 0:
            return f"{n // factor}{unit}"
    return str(n)


def duration(ns: int) -> str:
    """A duration in the unit that reads best."""
    if ns < 1_000_000:
        return f"{ns / 1000:.0f} us"
    if ns < 1_000_000_000:
        return f"{ns / 1_000_000:.0f} ms"
    seconds = ns / 1_000_000_000
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h"


def time(ns: int | None, *, digits: int = 6) -> str:
    """A time in UTC, ISO 8601, with this many digits of the second (0 to 9)."""
    if ns is None:
        return "-"
    seconds, rest = divmod(ns, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns"
    fraction = f".{rest:09d}"[: digits + 1] if digits else ""
    return f"{text}{fraction}Z"


def percent(part: float, whole: float) -> str:
    """A share; never 0 or 100 % where it is not exactly that."""
    if not whole or part == 0:
        return "0 %"
    share = 100 * part / whole
    if share >= 99.95 and part != whole:
        return "> 99.9 %"
    return "< 0.1 %" if share < 0.05 else f"{share:.1f} %"
