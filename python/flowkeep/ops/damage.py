"""What is said of a damaged capture."""

from __future__ import annotations

from .. import _native
from ..text import safe


def damage(scan: _native.FileScan) -> str | None:
    """What is damaged in a capture, in words, with file and byte offset."""
    found = scan["damage"]
    if found is None:
        return None
    return f"{safe(scan['path'])}: damaged at byte {found['offset']}: {found['detail']}"
