"""What keeps the service itself small."""

from __future__ import annotations

import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of mallopt(3)."""
_LARGE = 1 << 16


def without_tls() -> None:
    """Load asyncio without the library for TLS, which would take 4 MB."""
    if "asyncio" in sys.modules or "ssl" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # so says the import system: there is none
    try:
        import asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]


def give_back() -> None:
    """From now on large pieces go back to the system when they are freed, and threads share their heaps.

    Else each of many clients leaves a hole behind. Without glibc nothing happens.
    """
    for name, value in ((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, 2 * _LARGE), (_ARENA_MAX, 2)):
        _libc("mallopt", name, value)


def trim() -> None:
    """Give all memory that is free back to the system."""
    _libc("malloc_trim", 0)


def _libc(name: str, *args: int) -> None:
    import ctypes

    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*args)
