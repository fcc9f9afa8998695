"""The real captures that the oracle tests read, if there are any."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

SAMPLE = 300
DAMAGED_ON_PURPOSE = "ndpi-fuzz"


def captures_folder() -> Path | None:
    """The folder named by FLOWKEEP_CAPTURES, else the one beside the project."""
    named = os.environ.get("FLOWKEEP_CAPTURES")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "captures"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def captures() -> Path:
    folder = captures_folder()
    if folder is None:
        pytest.skip("no real captures: FLOWKEEP_CAPTURES names no folder")
    return folder


def sample(paths: list[Path], root: Path) -> list[Path]:
    """About `SAMPLE` of these, the same on every run; all with FLOWKEEP_ORACLE=all."""
    if os.environ.get("FLOWKEEP_ORACLE") == "all":
        return paths
    return sorted(paths, key=lambda p: (zlib.crc32(str(p.relative_to(root)).encode()), p))[:SAMPLE]
