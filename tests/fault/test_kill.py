"""In-place trimming killed with SIGKILL at random moments: every file is the old or the new one, whole."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import flowkeep
import pytest

from tests.cli import command
from tests.fault import captures
from tests.fault.captures import LEDGER, PART

CUTOFF = "20kB"
KILLS = 120
EARLY = 8  # one kill of so many falls before the first file
EVERY = 6  # after so many kills a run is left alone, then the folder is made anew
Tree = dict[str, bytes | None]


@dataclass(frozen=True)
class Case:
    """A folder before and after a whole run; seconds to the first hidden file, and from there to the last."""

    pristine: Path
    old: Tree
    new: Tree
    flows: list[dict[str, object]]
    start: float
    work: float


def _flows(folder: Path) -> list[dict[str, object]]:
    return flowkeep.open(folder).flows().to_dicts()


def _part_in(folder: Path) -> bool:
    return any(entry.name.endswith(PART) for entry in folder.iterdir())


def _wait_for_part(process: subprocess.Popen[bytes], folder: Path) -> None:
    while process.poll() is None and not _part_in(folder):
        pass


def _trim(folder: Path) -> subprocess.Popen[bytes]:
    return command.start(
        "trim", CUTOFF, folder, "--in-place", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    base = tmp_path_factory.mktemp("kill")
    captures.fill(base / "pristine")
    shutil.copytree(base / "pristine", base / "whole")
    began = time.time()
    process = _trim(base / "whole")
    _wait_for_part(process, base / "whole")
    seen = time.time()
    assert process.wait() == 0
    # A rename sets the change time; the end of the program after the last one is of no interest.
    ended = max(path.stat().st_ctime for path in (base / "whole").rglob("*"))
    old, new = command.tree(base / "pristine"), command.tree(base / "whole")
    assert all(new[name] != data for name, data in old.items() if data is not None)
    assert {name for name in new if name not in old} == {
        name + LEDGER for name, data in old.items() if data is not None
    }
    return Case(base / "pristine", old, new, _flows(base / "pristine"), seen - began, max(ended - seen, 0.01))


def _part_of(path: str) -> str:
    """The visible file that a hidden one would become."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name[1:]}".lstrip("/").removesuffix(PART)


def examine(case: Case, folder: Path) -> str:
    """Check what a killed run left; says how far it had come."""
    now = command.tree(folder)
    debris = {path for path in now if path.endswith(PART)}
    assert all(path.rpartition("/")[2].startswith(".") for path in debris)
    assert {_part_of(path) for path in debris} <= case.new.keys()
    assert case.old.keys() <= now.keys()
    assert now.keys() - debris <= case.new.keys(), "debris that is not hidden"
    done = 0
    for path, data in now.items():
        if data is None or path in debris:
            continue
        if path.endswith(LEDGER):
            # A run over files that are trimmed already notes other digests: the rows tell.
            assert captures.rows(data) == captures.rows(case.new[path] or b""), path
            continue
        trimmed = captures.content(data) == captures.content(case.new[path])
        assert trimmed or data == case.old[path], f"{path} is neither the old nor the new file"
        done += trimmed
        # Once the original is gone, only the ledger knows the true totals.
        assert not trimmed or path + LEDGER in now, f"{path} is trimmed without a ledger"
    if not done and not debris and now.keys() == case.old.keys():
        return "before the first file"
    return "after the last file" if now.keys() == case.new.keys() and not debris else "at work"


def finish(case: Case, folder: Path) -> None:
    """A run that is left alone ends as if none had been killed."""
    done = command.run("trim", CUTOFF, folder, "--in-place")
    assert done.returncode == 0, done.stderr.decode()
    now = command.tree(folder)
    assert now.keys() == case.new.keys()
    for path, data in now.items():
        if path.endswith(LEDGER):
            assert captures.rows(data or b"") == captures.rows(case.new[path] or b""), path
        else:
            assert captures.content(data) == captures.content(case.new[path]), path
    assert _flows(folder) == case.flows


def restore(case: Case, folder: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(case.pristine, folder)


def test_a_kill_at_any_moment_leaves_every_file_old_or_new(case: Case, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    folder, stages, kills = tmp_path / "captures", Counter[str](), 0
    restore(case, folder)
    for attempt in range(20 * KILLS):
        process = _trim(folder)
        if attempt % EARLY == 0:
            time.sleep(rng.uniform(0, case.start))  # the start of the program is killed, too
        else:
            # Most of a run is the start of Python: the time is drawn from what comes after it.
            _wait_for_part(process, folder)
            time.sleep(rng.uniform(0, case.work))
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        kills += killed
        stage = examine(case, folder)
        stages[stage] += killed
        assert _flows(folder) == case.flows, "the true totals changed"
        if attempt % EVERY == EVERY - 1 or stage == "after the last file":
            finish(case, folder)
            restore(case, folder)
        if kills == KILLS:
            break
    where = ", ".join(f"{n} {stage}" for stage, n in sorted(stages.items()))
    print(f"\n{kills} kills of {attempt + 1} runs: {where} (seed {seed})")
    assert kills == KILLS
    assert stages["at work"] >= KILLS // 2
