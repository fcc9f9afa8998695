"""Keeps the C library from hoarding memory that blocks of packets had."""

from __future__ import annotations

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of mallopt(3)."""
_LARGE = 1 << 16


def give_back() -> None:
    """From now on large pieces go back to the system when they are freed, and threads share their heaps.

    Else each of many clients leaves a hole behind. Without glibc nothing happens.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in ((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, 2 * _LARGE), (_ARENA_MAX, 2)):
            mallopt(name, value)
