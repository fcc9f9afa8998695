"""What the native core calls for names that are URLs."""

from __future__ import annotations

from .reading import Reader
from .url import Url
from .writing import Sink, making


def open(name: str) -> Reader:
    """Begin to open a remote file for reading."""
    return Reader(Url(name))


def create(name: str) -> Sink:
    """The file in the making that has this hidden name, empty."""
    return Sink(making(name))
