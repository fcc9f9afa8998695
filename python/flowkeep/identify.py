"""Models of learnt protocols, loaded from files; docs/formats/model.md describes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import _native
from .errors import ModelError, UsageError
from .text import safe

SUFFIX = ".model"
"""Of files in a folder, those with this ending are models."""
MAX_FILE = 4 << 20
"""Bytes of the largest model file."""

Given = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Model files and folders of them."""


def listed(given: Given) -> tuple[str | os.PathLike[str], ...]:
    """One path or several as several. Raises UsageError for what is no path."""
    paths = (given,) if isinstance(given, str | os.PathLike) else tuple(given)
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise UsageError(f"models are paths of model files or folders, not {type(path).__name__}")
    return paths


def model_files(given: Given) -> list[Path]:
    """The files meant: of a folder those that end in ``.model``, by name.

    Raises OSError, and ModelError for a folder without any."""
    files: list[Path] = []
    for each in listed(given):
        path = Path(each)
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(entry for entry in path.iterdir() if entry.suffix == SUFFIX and entry.is_file())
        if not inside:
            raise ModelError(f"{safe(path)}: there is no model in this folder: their names end in {SUFFIX}")
        files += inside
    return files


def read_models(files: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Name (harmless for a terminal) and content of each file.

    Raises OSError, and ModelError for what is too large."""
    found = []
    for path in files:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise ModelError(f"{safe(path)}: a model file has at most {MAX_FILE} bytes, this one has more")
        found.append((safe(path), data))
    return found


def load_models(given: Given) -> _native.Models | None:
    """The models, ready to be asked; None if none are meant.

    Raises OSError, and ModelError, which names file and line."""
    files = model_files(given)
    return _native.Models(read_models(files)) if files else None
