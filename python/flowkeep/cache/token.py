"""The secret that a client beyond this machine has to know."""

from __future__ import annotations

import hmac
import os
import stat
from hashlib import sha256
from pathlib import Path

from ..errors import UsageError
from ..text import safe

LEAST, MOST = 16, 1024
"""Characters of a token."""


def read_token(path: Path) -> str:
    """The token in a file: its one line of text. Raises OSError, and UsageError when others may read it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise UsageError(f"{safe(path)} is no plain file: put the token into one")
        if mode & 0o027:
            raise UsageError(
                f"{safe(path)} has mode {stat.S_IMODE(mode):04o}: others could read or change the token; "
                f"chmod 600 {safe(path)}"
            )
        data = file.read(MOST + 3)
    token = data.decode("ascii", "replace").rstrip("\r\n")
    if not LEAST <= len(token) <= MOST or not all(" " < c <= "~" for c in token):
        raise UsageError(
            f"{safe(path)} holds no token: one line of {LEAST} to {MOST} printable characters is needed, "
            "such as openssl rand -hex 32 writes"
        )
    return token


def same(given: object, token: str) -> bool:
    """Whether a client knows the token, in a time that tells nothing about it."""
    text = given if isinstance(given, str) else ""
    return hmac.compare_digest(
        sha256(text.encode("utf-8", "replace")).digest(), sha256(token.encode()).digest()
    )
