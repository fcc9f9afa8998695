"""A URL that can be used where a path is used.

A ``pathlib.Path`` makes ``s3:/bucket`` of ``s3://bucket``. This class keeps the name as it was given, and
what is secret in it aside: the text of a :class:`Url` may be shown anywhere.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import IO, Any

from ..errors import UsageError
from ..text import safe

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CHAIN = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*::.*://|://.*::[A-Za-z][A-Za-z0-9+.-]*://")
_USERINFO = re.compile(r"(?<=://)([^/?#@]*)@")
_SECRET = re.compile(
    r"(?i)([?&][^=&]*(?:sig|token|key|secret|passw|credential|auth|policy|session)[^=&]*=)([^&]+)"
)
_HIDDEN = "***"

_INSIDE = {
    "zip", "tar", "libarchive", "simplecache", "filecache", "blockcache", "cached", "reference", "dir",
    "generic", "data", "async_wrapper", "root",
}  # fmt: skip
"""What fsspec has that is no place of its own, but a way to look into others."""

_real: dict[str, str] = {}
"""What is behind names that hide something."""


def _hide(text: str) -> str:
    """The URL without its password and tokens. Two that differ in these alone get two names."""

    def userinfo(match: re.Match[str]) -> str:
        user, colon, _ = match[1].partition(":")
        return f"{user}:{_HIDDEN}@" if colon else f"{_HIDDEN}@"

    base, mark, query = text.partition("?")
    shown = _USERINFO.sub(userinfo, base) + _SECRET.sub(rf"\g<1>{_HIDDEN}", mark + query)
    if shown == text:
        return text
    name, n = shown, 1
    while _real.setdefault(name, text) != text:
        n += 1
        name = shown.replace(_HIDDEN, f"{_HIDDEN}{n}")
    return name


def conceal(text: str) -> str:
    """A text of a library without the secrets of the URLs that were named."""
    for shown, real in list(_real.items()):
        text = text.replace(real, shown)
        for match in (*_USERINFO.finditer(real), *_SECRET.finditer(real)):
            secret = match[match.lastindex or 1].partition(":")[2] or match[match.lastindex or 1]
            if len(secret) > 2:
                text = text.replace(secret, _HIDDEN)
    return _SECRET.sub(rf"\g<1>{_HIDDEN}", _USERINFO.sub(f"{_HIDDEN}@", text))


class Url(os.PathLike[str]):
    """The name of a file or folder elsewhere. Two are equal when they name the same."""

    __slots__ = ("_real", "_shown")

    def __init__(self, text: str) -> None:
        """Take a URL, or the shown text of one that was made in this process.

        Raises UsageError for what is none.
        """
        text = _real.get(text, text)
        match = _SCHEME.match(text)
        if match is None:
            raise UsageError(f"{safe(conceal(text))} is no URL")
        scheme = match[1].lower()
        if scheme in _INSIDE:
            raise UsageError(
                f"{scheme}:// looks into other files: it is not read; unpack the file, or name it itself "
                "(gzip, zstd, lz4 and xz are read as they are)"
            )
        self._real = scheme + text[len(scheme) :]
        self._shown = _hide(self._real)

    @property
    def real(self) -> str:
        """The whole URL. Never to be shown."""
        return self._real

    @property
    def scheme(self) -> str:
        """What is before ``://``."""
        return self._real.partition("://")[0]

    def __fspath__(self) -> str:
        """The URL, as it may be shown."""
        return self._shown

    __str__ = __fspath__

    def __repr__(self) -> str:
        """The class and the URL, as it may be shown."""
        return f"Url({self._shown!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """A URL is just a name: it goes to other processes as it is."""
        return Url, (self._real,)

    def __eq__(self, other: object) -> bool:
        """Whether both name the same."""
        return isinstance(other, Url) and self._real == other._real

    def __hash__(self) -> int:
        """Of the name."""
        return hash(self._real)

    def __lt__(self, other: Place) -> bool:
        """By name."""
        return os.fspath(self) < os.fspath(other)

    def _split(self) -> tuple[str, str, str]:
        """Before the path, the path, behind it."""
        head, _, rest = self._real.partition("://")
        query = ""
        if head == "memory":
            return "memory://", rest, query
        if head in ("http", "https"):
            at = min((i for i in (rest.find("?"), rest.find("#")) if i >= 0), default=len(rest))
            rest, query = rest[:at], rest[at:]
        host, slash, path = rest.partition("/")
        return f"{head}://{host}", slash + path, query

    def _with(self, path: str) -> Url:
        head, _, query = self._split()
        return Url(head + path + query)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self._split()[1].rstrip("/"))

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> Url:
        """The folder it is in."""
        return self._with(posixpath.dirname(self._split()[1].rstrip("/")).rstrip("/"))

    @property
    def parents(self) -> tuple[Url, ...]:
        """All folders it is in."""
        found, at = [], self
        while (up := at.parent) != at:
            found.append(up)
            at = up
        return tuple(found)

    def with_name(self, name: str) -> Url:
        """Another one in the same folder."""
        return self._with(posixpath.join(posixpath.dirname(self._split()[1].rstrip("/")), name))

    def __truediv__(self, below: str | os.PathLike[str]) -> Url:
        """One below it."""
        path = self._split()[1].rstrip("/")
        return self._with(
            f"{path}/{os.fspath(below)}" if path or self.scheme != "memory" else os.fspath(below)
        )

    def resolve(self) -> Url:
        """The URL without a slash at its end."""
        head, path, query = self._split()
        return Url(head + path.rstrip("/") + query)

    def is_file(self) -> bool:
        """Whether there is such a file. Raises OSError when nobody can say."""
        from . import store

        about = store.about(self)
        return about is not None and not about.folder

    def is_dir(self) -> bool:
        """Whether there is such a folder. Raises OSError when nobody can say."""
        from . import store

        about = store.about(self)
        return about is not None and about.folder

    def exists(self) -> bool:
        """Whether there is anything. Raises OSError when nobody can say."""
        from . import store

        return store.about(self) is not None

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a folder, where the store has such."""
        from . import store

        store.make_folder(self)

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open for reading (``rb``), or for writing (``wb``) the hidden name of a ``writing.Upload``."""
        from . import reading, writing

        if mode == "wb":
            return writing.opened(self)
        return reading.opened(self)


Place = Path | Url


def is_url(name: str | os.PathLike[str]) -> bool:
    """Whether a name is a URL."""
    return _SCHEME.match(os.fspath(name)) is not None


def place(name: str | os.PathLike[str]) -> Place:
    """The path or URL of a name; of ``file://`` the path. Raises UsageError for other chains and wrappers."""
    if isinstance(name, Path | Url):
        return name
    text = os.fspath(name)
    bare = re.sub(r"\[[^\]/]*\]", "", text)
    if _CHAIN.search(bare):
        raise UsageError(
            f"{safe(conceal(text))}: a chain of URLs (::) is not read: name the capture itself; "
            "gzip, zstd, lz4 and xz are read as they are"
        )
    match = _SCHEME.match(text)
    if match is None:
        return Path(text)
    if match[1].lower() in ("file", "local"):
        rest = text[match.end() :]
        if not rest.startswith("/"):
            raise UsageError(f"{safe(text)}: a file of this machine is named by its whole path, file:///…")
        return Path(rest)
    return Url(text)


def same_file(one: Place, other: Place) -> bool:
    """Whether two names are one file that is there; of URLs the names decide. Raises OSError."""
    if isinstance(one, Path) and isinstance(other, Path):
        return one.exists() and other.exists() and one.samefile(other)
    return isinstance(one, Url) and isinstance(other, Url) and one.resolve() == other.resolve()
