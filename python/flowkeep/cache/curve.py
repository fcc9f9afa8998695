"""How the allowance of a flow falls with the time since it was last seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..errors import UsageError
from ..text import safe
from ..units import parse_seconds, parse_size

ALL = -1
"""Bytes of a step that keeps all."""

_MOST_STEPS = 16
_UNITS = ((1 << 40, "TiB"), (10**12, "TB"), (1 << 30, "GiB"), (10**9, "GB"), (1 << 20, "MiB"), (10**6, "MB"),
          (1 << 10, "KiB"), (1000, "kB"))  # fmt: skip
_TIMES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Curve:
    """Steps (age in ns, bytes): up to this age a flow keeps so many bytes, :data:`ALL` for all of them.
    After the
    last one it is let go.

    These are proportions: the cache stretches or shrinks the ages so that its memory is always used and never
    exceeded.
    """

    steps: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Raise UsageError for what is no curve."""
        if not 1 <= len(self.steps) <= _MOST_STEPS:
            raise UsageError(f"a curve has 1 to {_MOST_STEPS} steps, not {len(self.steps)}")
        before = (0, ALL)
        for n, (age, size) in enumerate(self.steps):
            if age <= before[0]:
                raise UsageError(f"curve: ages rise from step to step, but step {n + 1} does not")
            if size != ALL and size < 1:
                raise UsageError(f"curve: step {n + 1} keeps {size} bytes; 1 or more, or all")
            if n and (size == ALL or (before[1] != ALL and size >= before[1])):
                raise UsageError(f"curve: bytes fall from step to step, but step {n + 1} does not")
            before = (age, size)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A curve from text such as ``1h=all,6h=1MB,1d=100kB,3d=10kB``. Raises UsageError."""
        steps = []
        for part in text.split(","):
            age, equals, size = part.partition("=")
            if not equals:
                raise UsageError(
                    f"curve {safe(text)!r}: {safe(part)!r} is no step; "
                    "write AGE=BYTES, such as 1h=all,6h=1MB,1d=10kB"
                )
            nanoseconds = parse_seconds(age.strip())
            steps.append((nanoseconds, ALL if size.strip().lower() == "all" else parse_size(size)))
        return cls(tuple(steps))

    @classmethod
    def of(cls, curve: Curve | str | None) -> Curve:
        """A curve, the curve of a text, or the default. Raises UsageError."""
        if curve is None:
            return DEFAULT
        return cls.parse(curve) if isinstance(curve, str) else curve

    def __str__(self) -> str:
        """The text that :meth:`parse` reads."""
        return ",".join(f"{_age(age)}={_size(size)}" for age, size in self.steps)


def _size(size: int) -> str:
    if size == ALL:
        return "all"
    for unit, name in _UNITS:
        if size % unit == 0:
            return f"{size // unit}{name}"
    return f"{size}B"


def _age(age: int) -> str:
    seconds, rest = divmod(age, 10**9)
    if rest:
        return f"{seconds}.{rest:09}".rstrip("0") + "s"
    for unit, name in _TIMES:
        if seconds % unit == 0:
            return f"{seconds // unit}{name}"
    raise AssertionError  # seconds are whole


DEFAULT = Curve.parse("1h=all,4h=1MB,1d=100kB,7d=10kB,14d=1kB")
"""The curve without ``--curve``; docs/cache.md says why."""
