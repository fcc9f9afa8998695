"""Text from captures and file names, made harmless for a terminal."""

from __future__ import annotations

import os
import unicodedata

_BAD = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe(text: str | os.PathLike[str]) -> str:
    """The text with everything a terminal might obey or hide written as escapes."""
    out = []
    for c in os.fspath(text):
        if unicodedata.category(c) in _BAD:
            code = ord(c)
            out.append(
                f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
            )
        else:
            out.append(c)
    return "".join(out)


def escaped(data: bytes) -> str:
    """Bytes as text: printable ASCII as it is, the rest as ``\\xNN``, a backslash as two."""
    return "".join("\\\\" if b == 0x5C else chr(b) if 0x20 <= b < 0x7F else f"\\x{b:02x}" for b in data)
