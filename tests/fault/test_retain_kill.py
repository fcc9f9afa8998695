"""``retain apply`` killed at any moment: the archive is whole, the journal tells, and the next run goes on.

Children are forked from a process that has everything loaded, so that hundreds of them take a minute. A third is killed
before a step that Python's audit events tell of, a third at a byte of a file being written, a third at any time.
FLOWKEEP_KILLS says how many (60 without it).
"""

from __future__ import annotations

import os
import random
import resource
import select
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowkeep as fk
import flowkeep.cli.retain_apply_cmd
import flowkeep.ops.retain_apply as retain
import pytest
from flowkeep.retain.journal import read

from tests.fault import captures
from tests.fault.captures import LEDGER, PART
from tests.retain import archive
from tests.retain.archive import at, write_day, write_policy

KILLS = int(os.environ.get("FLOWKEEP_KILLS", "60"))
NOW = 91
_STEPS = {
    "fcntl.flock",
    "os.chmod",
    "os.rename",
    "os.remove",
    "os.truncate",
    "open",
    "os.scandir",
    "shutil.copystat",
}


def prepared(folder: Path) -> None:
    """Files of all ages; at the next run one is deleted, one loses its packets, four are cut, two of them first."""
    for n in (0, 30, 60, 84, 87, 88):
        write_day(folder, n, packets=25)
    write_policy(folder)
    assert retain.apply_policy(folder / "policy.toml", now=at(NOW - 2)).clean


def run_and_die(folder: Path, how: str, seed: int) -> int:
    """Apply in a child that is killed; its wait status. 0 when it came to its end."""
    chance = random.Random(seed)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read_end)
            _die(how, chance)
            retain.apply_policy(folder / "policy.toml", now=at(NOW))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(9)
    os.close(write_end)
    if how == "time":
        # The pipe ends when the child does.
        select.select([read_end], [], [], chance.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)
    os.close(read_end)
    return os.waitpid(pid, 0)[1]


def _die(how: str, chance: random.Random) -> None:
    if how == "bytes":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = chance.choice([chance.randrange(0, 4000), chance.randrange(0, 30_000)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if how == "step":
        left = chance.randrange(0, 150)

        def hook(event: str, args: Any) -> None:
            nonlocal left
            if event in _STEPS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)


def records(folder: Path) -> Iterator[dict[str, Any]]:
    yield from read(folder / "journal.jsonl")


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An archive before the run and after it."""
    base = tmp_path_factory.mktemp("kills")
    before, after = base / "before", base / "after"
    prepared(before)
    return before, after


def test_killed_at_any_moment_and_run_again(templates: tuple[Path, Path], tmp_path: Path) -> None:
    before, _ = templates
    place = tmp_path / "archive"
    # The policy names the place, so that all runs happen there.
    shutil.copytree(before, place)
    write_policy(place)
    shutil.copytree(place, tmp_path / "old")
    assert retain.apply_policy(place / "policy.toml", now=at(NOW)).clean
    old, new = archive.content(tmp_path / "old"), archive.content(place)
    kinds = [r["action"]["name"] for r in records(place) if r["kind"] == "intent"]
    assert sorted(kinds[-6:]) == ["cut"] * 4 + ["delete", "flows-only"]
    true = fk.open(place / "nsm").flows().to_dicts()
    died = 0
    for n in range(KILLS):
        how = ("step", "bytes", "time")[n % 3]
        shutil.rmtree(place)
        shutil.copytree(tmp_path / "old", place)
        status = run_and_die(place, how, n)
        assert status == 0 or os.WIFSIGNALED(status), f"{how} {n}: exit status {status}"
        died += status != 0
        where = f"{how}, seed {n}"
        for path in (place / "nsm").iterdir():
            name = path.name
            if not name.endswith((LEDGER, PART)):
                assert path.read_bytes() in (old.get(name), new.get(name)), (
                    f"{where}: {name} is neither old nor new"
                )
            elif name.endswith(LEDGER):
                captures.rows(path.read_bytes())
        for name in old:
            if not name.endswith(LEDGER) and name in new:
                assert (place / "nsm" / name).exists(), f"{where}: {name} is lost"
        # Restart: what was begun is told, the rest is done, and the second run finds nothing to do.
        report = retain.apply_policy(place / "policy.toml", now=at(NOW))
        assert all(d.count("failed") == 0 for d in report.applied), where
        assert archive.content(place) == new, f"{where}: the archive differs after the second run"
        assert not archive.parts(place), where
        assert retain.verify(place / "policy.toml").clean, where
        ends: dict[int, str] = {}
        for record in records(place):
            if record["kind"] == "intent":
                ends[record["n"]] = ""
            elif "intent" in record:
                assert ends[record["intent"]] == "", f"{where}: an intent ends twice"
                ends[record["intent"]] = record["kind"]
        assert all(ends.values()), f"{where}: an intent has no end"
        done = [r["path"] for r in records(place) if r["kind"] == "done"]
        assert len(done) >= len(kinds) - 6 + 6, where
        assert fk.open(place / "nsm").flows().to_dicts() == true, where
    print(f"{died} of {KILLS} runs were killed before their end")
    assert died > KILLS // 3
