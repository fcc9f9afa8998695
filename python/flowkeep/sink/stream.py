"""Standard output and other places that take bytes as they come, with errors that name them."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from ..errors import OutputError
from ..text import safe

STANDARD = "standard output"


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn what the operating system says about a place into an OutputError that names it.

    A reader that left stays a BrokenPipeError: it has seen enough, and nothing is wrong.
    """
    try:
        yield
    except (OutputError, BrokenPipeError):
        raise
    except OSError as error:
        why = "it is not open" if error.errno == errno.EBADF else error.strerror or str(error)
        raise OutputError(f"{safe(name)}: cannot be written: {why}") from error


@contextmanager
def standard_output() -> Iterator[IO[bytes]]:
    """Standard output for bytes. Raises OutputError, BrokenPipeError.

    Python's own may be unbuffered; then it writes a part, says so, and nobody listens.
    """
    if sys.stdout is None:
        raise OutputError(f"{STANDARD}: cannot be written: it is not open")
    with naming(STANDARD):
        sys.stdout.flush()
        try:
            fd = sys.stdout.fileno()
        except io.UnsupportedOperation:
            # A notebook or a test took it over.
            yield cast(IO[bytes], sys.stdout.buffer)
            sys.stdout.flush()
            return
        out = open(fd, "wb", closefd=False)  # noqa: SIM115
        try:
            yield out
            out.flush()
        finally:
            # After an error it would try again what is left, and fail again.
            with suppress(OSError):
                out.close()


class Watched(io.RawIOBase):
    """A file for libraries that hide the errors of the system behind their own; ``failed`` keeps it."""

    def __init__(self, out: IO[bytes]) -> None:
        """Write to ``out``."""
        self._out = out
        self.failed: OSError | None = None

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Write; the first error is kept and raised."""
        try:
            return self._out.write(data)
        except OSError as error:
            self.failed = self.failed or error
            raise

    def flush(self) -> None:
        """Flush; an error is kept and raised."""
        try:
            self._out.flush()
        except OSError as error:
            self.failed = self.failed or error
            raise
