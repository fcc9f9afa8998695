"""What was made last, kept within a bound; what several ask for at the same time is made once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Recent:
    """The things that were looked up last."""

    def __init__(
        self, most: int, most_bytes: int | None = None, size: Callable[[Any], int] = lambda _: 0
    ) -> None:
        """``most``: things; ``most_bytes``: what they may take together by ``size``. A thing that alone takes
        more is made each time."""
        self._most, self._most_bytes, self._size = most, most_bytes, size
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()
        self.bytes = 0
        """What they take now."""

    def __len__(self) -> int:
        """Things that are kept."""
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key, or else what ``make`` makes. Who asks while it is being made waits for
        it, and gets its error too; errors are not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key][0]
                return found
            making = self._making.get(key)
            if making is None:
                mine: Future[T] = Future()
                self._making[key] = mine
        if making is not None:
            waited: T = making.result()
            return waited
        try:
            made = make()
            size = self._size(made)
        except BaseException as error:
            with self._lock:
                del self._making[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, made, size)
        mine.set_result(made)
        return made

    def _keep(self, key: Hashable, made: Any, size: int) -> None:
        if self._most_bytes is not None and size > self._most_bytes:
            return
        self._kept[key] = made, size
        self.bytes += size
        while len(self._kept) > self._most or (
            self._most_bytes is not None and self.bytes > self._most_bytes
        ):
            self.bytes -= self._kept.popitem(last=False)[1][1]
