"""The use case behind ``flowkeep cache status``."""

from __future__ import annotations

from typing import Any

from ..cache.client import Answer, Place
from ..cache.protocol import Request


def cache_status(place: Place) -> dict[str, Any]:
    """What a running cache says of itself; docs/formats/cache.md lists the fields.

    Raises CacheError when it cannot be reached."""
    with Answer(place, Request("status")) as answer:
        status: dict[str, Any] = answer.header["status"]
    return status
