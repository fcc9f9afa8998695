"""Options that the questions to a cache share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..cache.client import Place

F = TypeVar("F", bound=Callable[..., Any])

_WHERE = [
    click.option("--socket", metavar="PATH",
                 help="Socket of the cache.  [default: flowkeep/cache.sock below XDG_RUNTIME_DIR,"
                 " else below /run]"),
    click.option("--connect", "url", metavar="tls://HOST:PORT", help="A cache on another machine."),
    click.option("--token-file", metavar="FILE", help="With --connect: holds the token."),
    click.option("--tls-ca", metavar="FILE",
                 help="With --connect: certificates to trust instead of those of the system."),
]  # fmt: skip


def asking(command: F) -> F:
    """Add the options that say which cache is asked; they arrive as keywords, see :func:`place`."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


def place(given: dict[str, Any]) -> Place:
    """The :class:`Place` of a command's keywords, which are taken out. Raises UsageError."""

    def path(name: str) -> Path | None:
        value = given.pop(name)
        return None if value is None else Path(value)

    return Place(path("socket"), given.pop("url"), path("token_file"), path("tls_ca"))
