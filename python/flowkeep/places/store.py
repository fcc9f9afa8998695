"""The stores behind URLs: which there are, what is in them, what goes wrong. fsspec does the work."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import OutputError, UsageError
from ..text import safe
from .url import Url, conceal

_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp",
    "sftp": "paramiko", "ssh": "paramiko", "hdfs": "pyarrow", "abfs": "adlfs", "az": "adlfs",
}  # fmt: skip
WEB = ("http", "https")
_LONGEST = 300
"""Characters of what a store says that are shown."""
_lock = threading.Lock()


@dataclass(frozen=True)
class About:
    """What a store says about a name."""

    folder: bool
    size: int | None
    """Bytes; None when it does not say."""
    mark: str
    """Another one when the content is another one, as far as the store tells."""


@dataclass(frozen=True)
class Trouble:
    """What went wrong, and whether it may go right the next time."""

    number: int
    """The ``errno`` that comes nearest."""
    text: str
    again: bool

    def error(self, url: Url) -> OSError:
        """As an exception."""
        return OSError(self.number, self.text, str(url))


def filesystem(url: Url) -> tuple[Any, str]:
    """The file system of fsspec for a URL, and the path in it.

    Raises UsageError when something must be installed.
    """
    try:
        import fsspec
    except ImportError:
        raise UsageError(f"{safe(url)}: for URLs fsspec is needed: pip install 'flowkeep[remote]'") from None
    try:
        kind = fsspec.get_filesystem_class(url.scheme)
        path = kind._strip_protocol(url.real)
        with _lock:
            return kind(**kind._get_kwargs_from_urls(url.real)), path
    except ImportError as error:
        package = _PACKAGES.get(url.scheme)
        how = f"pip install {package}" if package else conceal(str(error))
        raise UsageError(f"{safe(url)}: for {url.scheme}:// a package is missing: {how}") from None
    except ValueError as error:
        raise UsageError(f"{safe(url)}: {conceal(str(error))}") from None
    except Exception as error:
        raise judge(error).error(url) from None


def judge(error: BaseException) -> Trouble:
    """What an exception of a store means. The text holds no secrets."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(chain) < 8:
        chain.append(at)
        at = at.__cause__
    # fsspec says "not found" whatever a web server answered: the cause knows better.
    for one in reversed(chain):
        status = getattr(one, "status", None)
        if isinstance(status, int) and status >= 300:
            text = f"the server answered {status} {_line(str(getattr(one, 'message', '')))}".rstrip()
            return Trouble(_NUMBERS.get(status, errno.EIO), text, status in (408, 425, 429) or status >= 500)
    deepest = chain[-1]
    for kind, number in _KINDS:
        if isinstance(deepest, kind):
            return Trouble(number, _words(number), False)
    names = {k.__name__ for one in chain for k in type(one).__mro__}
    if names & {"NoCredentialsError", "PartialCredentialsError", "AuthenticationException"}:
        return Trouble(errno.EACCES, f"no credentials: {_said(deepest)}", False)
    final = names & {
        "InvalidURL",
        "TooManyRedirects",
        "NonHttpUrlClientError",
        "RedirectClientError",
        "RefusedError",
    }
    again = not final and (isinstance(deepest, OSError | TimeoutError | EOFError) or "ClientError" in names)
    number = deepest.errno if isinstance(deepest, OSError) and isinstance(deepest.errno, int) else errno.EIO
    if number <= 0 or number in (errno.ENOENT, errno.EACCES):
        number = errno.EIO
    return Trouble(number, _said(deepest), again)


class RefusedError(Exception):
    """The store gives something that will not be taken, however often it is asked."""


_NUMBERS = {401: errno.EACCES, 403: errno.EACCES, 404: errno.ENOENT, 410: errno.ENOENT}
_KINDS = (
    (FileNotFoundError, errno.ENOENT),
    (PermissionError, errno.EACCES),
    (IsADirectoryError, errno.EISDIR),
    (NotADirectoryError, errno.ENOENT),
)


def _words(number: int) -> str:
    return {
        errno.ENOENT: "there is no such file", errno.EACCES: "the store does not allow it",
        errno.EISDIR: "it is a folder",
    }[number]  # fmt: skip


def _said(error: BaseException) -> str:
    """What an exception says: one line of it, for some say more, and what a server wrote may be in it."""
    kind = type(error).__name__
    text = _line(str(error))
    if isinstance(error, RefusedError | EOFError) or kind == "ContentLengthError":
        return text
    if kind.startswith("NonHttpUrl"):
        return f"the server points to {text}, which is not followed"
    if isinstance(error, TimeoutError) and not text:
        return "it took too long"
    return f"{kind}: {text}" if text else kind


def _line(text: str) -> str:
    return safe(" ".join(conceal(text).split()[:40]))[:_LONGEST]


def about(url: Url) -> About | None:
    """What there is under a name; None: nothing, or nothing that may be seen.

    Raises OSError when nobody can say.
    """
    from . import reading

    fs, path = filesystem(url)
    if url.scheme in WEB:
        if not url.name:
            return About(True, None, "")
        return reading.ask(url)

    def look() -> About | None:
        if hasattr(fs, "invalidate_cache"):
            fs.invalidate_cache()
        info = fs.info(path)
        mark = next((str(info[k]) for k in _MARKS if info.get(k)), "")
        return About(info.get("type") == "directory", info.get("size"), f"{info.get('size')} {mark}")

    try:
        return reading.tried(url, look)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            return None
        raise


_MARKS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created", "modified")


def make_folder(url: Url) -> None:
    """Make a folder where the store has such; those that only have names need none."""
    fs, path = filesystem(url)
    if url.scheme in ("s3", "s3a", "gs", "gcs", "memory"):
        return
    try:
        fs.makedirs(path, exist_ok=True)
    except Exception as error:
        raise OutputError(f"{safe(url)}: the folder cannot be made: {judge(error).text}") from None


def below(url: Url) -> Iterator[tuple[Url, str]]:
    """All files below a folder, by name, and their names below it."""
    _lists(url)
    fs, path = filesystem(url)
    from . import reading

    root = path.rstrip("/")
    for name in sorted(reading.tried(url, lambda: fs.find(root))):
        yield _named(url, path, name), name.removeprefix(root).lstrip("/")


def matches(url: Url) -> list[Url]:
    """The files and folders that a pattern means, by name."""
    _lists(url)
    fs, path = filesystem(url)
    from . import reading

    return [_named(url, path, name) for name in sorted(reading.tried(url, lambda: fs.glob(path)))]


def has_magic(url: Url) -> bool:
    """Whether a URL is a pattern. A ``?`` begins the query of a web address."""
    return url.scheme not in WEB and any(c in url.real for c in "*?[")


def _lists(url: Url) -> None:
    if url.scheme in WEB:
        raise UsageError(f"{safe(url)}: a web server lists no folders: name each capture")


def _named(url: Url, path: str, name: str) -> Url:
    """The URL of another name in the same store."""
    if not url.real.rstrip("/").endswith(path.rstrip("/")):
        raise UsageError(f"{safe(url)}: its folder cannot be told from its name: write it without . and ..")
    return Url(url.real.rstrip("/").removesuffix(path.rstrip("/")) + name)
