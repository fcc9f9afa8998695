"""Runs the command line in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flowkeep

# Tests change the working directory, and PYTHONPATH may be relative. What the user has set for Python's
# own output must not decide what is tested.
ENV = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    "PYTHONPATH": str(Path(flowkeep.__file__).parents[1]),
    "PYTHONDONTWRITEBYTECODE": "1",
}
DEADLINE = 60
"""Seconds after which a process hangs; no test waits for it unless it fails."""

Argument = str | bytes | Path


def command(*args: Argument) -> list[Argument]:
    """The command line of ``flowkeep``."""
    return [sys.executable, "-m", "flowkeep", *args]


def run(*args: Argument, **rest: Any) -> subprocess.CompletedProcess[bytes]:
    """Run to the end; standard output and error are captured unless given."""
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENV}
    if "input" not in rest:
        given["stdin"] = subprocess.DEVNULL
    return subprocess.run(command(*args), timeout=DEADLINE, check=False, **(given | rest))


def start(*args: Argument, **rest: Any) -> subprocess.Popen[bytes]:
    """Start and leave running, in a process group of its own."""
    given: dict[str, Any] = {
        "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        "env": ENV, "start_new_session": True,
    }  # fmt: skip
    return subprocess.Popen(command(*args), **(given | rest))


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a run said on stderr, checked to be fit for a person: no traceback, nothing raw."""
    text = done.stderr.decode()
    fit(text)
    return text


def fit(text: str) -> None:
    """Assert that a message is for people: no traceback, nothing a terminal would obey."""
    assert "Traceback" not in text, text
    assert "panicked" not in text, text
    odd = [c for c in text if not c.isprintable() and c != "\n"]
    assert not odd, f"{odd!r} in {text!r}"


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, hidden files too: path to content, None for what is not a plain file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
