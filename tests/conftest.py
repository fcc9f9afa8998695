"""What tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes expected files anew."""
    parser.addoption(
        "--update-golden", action="store_true", help="Write the expected files of golden tests anew."
    )


@pytest.fixture(scope="session")
def captures() -> Path:
    """A folder of real captures: FLOWKEEP_CAPTURES, or shared/captures beside the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "captures"
    folder = Path(os.environ.get("FLOWKEEP_CAPTURES", beside))
    if not folder.is_dir():
        pytest.skip(f"no real captures at {folder}")
    return folder
