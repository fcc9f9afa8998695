"""What may happen to an archive while it is worked on: nothing is lost, nothing outside is touched, and it is said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.ops.retain_apply import Keeper, apply_policy, verify
from flowkeep.retain.model import Keep
from flowkeep.retain.policy import read_policy

from tests import wire
from tests.cli import command
from tests.fault.captures import LEDGER
from tests.retain import archive
from tests.retain.archive import at, write_day, write_policy
from tests.retain.mounts import small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n in range(3):
        write_day(tmp_path, n)
    write_policy(tmp_path)
    return tmp_path


def outcomes(folder: Path, between: Callable[[], object], now: float = 8) -> dict[str, tuple[str, str]]:
    """Plan, let something happen, apply; per file what became of it and why."""
    keeper = Keeper(read_policy(folder / "policy.toml"), clock=lambda: at(now))
    try:
        [dataset] = keeper.policy.datasets
        plan = keeper.plan(dataset)
        between()
        applied = keeper.apply(dataset, plan)
    finally:
        keeper.close()
    return {Path(o.decision.file.path).name: (o.state, o.why) for o in applied.outcomes}


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(wire.pcap(archive.day(0))[24:])


def test_a_file_that_grew_since_the_plan_is_left_alone(folder: Path) -> None:
    path = folder / "nsm" / "001.pcap"
    found = outcomes(folder, lambda: append(path))
    assert found["001.pcap"][0] == "left" and "changed since the plan" in found["001.pcap"][1]
    assert found["000.pcap"][0] == found["002.pcap"][0] == "done", "the others go on"
    assert not path.with_name(path.name + LEDGER).exists() and not archive.parts(folder)
    assert len(wire.read(path.read_bytes()).records) == len(archive.day(0)) + len(archive.day(1))


def test_a_file_that_is_being_written_waits(folder: Path) -> None:
    path = folder / "nsm" / "002.pcap"
    before = path.read_bytes()
    with path.open("ab"):
        found = outcomes(folder, lambda: None)
        assert found["002.pcap"][0] in ("kept", "left") and path.read_bytes() == before
    assert outcomes(folder, lambda: None)["002.pcap"][0] == "done"


def test_a_file_that_somebody_opens_for_writing_after_the_plan_waits(folder: Path) -> None:
    path = folder / "nsm" / "002.pcap"
    before = path.read_bytes()
    opened = []
    found = outcomes(folder, lambda: opened.append(path.open("ab")))
    opened[0].close()
    assert found["002.pcap"][0] == "left" and "is writing it" in found["002.pcap"][1]
    assert path.read_bytes() == before


def test_a_file_that_vanished_is_no_trouble(folder: Path) -> None:
    found = outcomes(folder, (folder / "nsm" / "001.pcap").unlink)
    assert found["001.pcap"][0] == "left"
    assert not (folder / "nsm" / ("001.pcap" + LEDGER)).exists()
    assert verify(folder / "policy.toml").clean


def test_a_file_replaced_by_another_or_by_a_link_is_left_alone(folder: Path) -> None:
    path, outside = folder / "nsm" / "001.pcap", folder / "outside.pcap"
    shutil.copy2(path, outside)
    before = outside.read_bytes()

    def swap() -> None:
        path.unlink()
        path.symlink_to(outside)

    found = outcomes(folder, swap)
    assert found["001.pcap"][0] == "left" and path.is_symlink() and outside.read_bytes() == before
    path.unlink()
    shutil.copy2(outside, path)
    # Same content, size and time: another file all the same.
    found = outcomes(folder, lambda: os.replace(shutil.copy2(outside, folder / "copy"), path))
    assert found["001.pcap"][0] == "left"


def test_links_are_not_followed_and_names_outside_keep_their_content(folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir()
    shutil.copy2(folder / "nsm" / "000.pcap", outside / "a.pcap")
    shutil.copy2(folder / "nsm" / "000.pcap", outside / "b.pcap")
    os.symlink(outside / "a.pcap", folder / "nsm" / "linked.pcap")
    os.link(outside / "b.pcap", folder / "nsm" / "hard.pcap")
    os.symlink(outside, folder / "nsm" / "below")
    write_policy(folder, text=archive.POLICY.replace("nsm/*.pcap", "nsm/**/*.pcap"))
    before = {p.name: p.read_bytes() for p in outside.iterdir()}
    report = apply_policy(folder / "policy.toml", now=at(100))
    assert {p.name: p.read_bytes() for p in outside.iterdir()} == before
    assert (folder / "nsm" / "linked.pcap").is_symlink() and (folder / "nsm" / "hard.pcap").exists()
    warned = " ".join(report.applied[0].plan.warnings)
    assert "symbolic link" in warned and "hard links" in warned
    assert not (folder / "nsm" / "000.pcap").exists()


def as_nobody(folder: Path, work: Callable[[], object]) -> str:
    """What ``work`` gives, as text, in a child that is not root; the folder is its own."""
    root = os.geteuid() == 0
    for path in (folder, *folder.rglob("*")):
        if root:
            os.chown(path, 65534, 65534)
    result = folder / "result"
    above = [parent for parent in folder.parents if root and not parent.stat().st_mode & 1]
    modes = [parent.stat().st_mode for parent in above]
    for parent in above:
        parent.chmod(parent.stat().st_mode | 1)
    pid = os.fork()
    if pid == 0:
        try:
            if root:
                os.setgid(65534)
                os.setuid(65534)
            result.write_text(str(work()))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    for parent, mode in zip(above, modes, strict=True):
        parent.chmod(mode)
    return result.read_text()


def test_a_file_that_cannot_be_read_is_named_and_the_others_go_on(folder: Path) -> None:
    (folder / "nsm" / "001.pcap").chmod(0)

    def work() -> object:
        report = apply_policy(folder / "policy.toml", now=at(8))
        return report.applied[0].plan.warnings, [o.why for o in report.applied[0].outcomes]

    text = as_nobody(folder, work)
    assert "001.pcap" in text and "Permission denied" in text
    assert (folder / "nsm" / ("000.pcap" + LEDGER)).exists()
    assert (folder / "nsm" / ("002.pcap" + LEDGER)).exists()
    assert not (folder / "nsm" / ("001.pcap" + LEDGER)).exists()


def test_a_damaged_file_is_left_alone(folder: Path) -> None:
    path = folder / "nsm" / "001.pcap"
    changed = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-7])
    os.utime(path, ns=(changed, changed))
    before = path.read_bytes()
    found = outcomes(folder, lambda: None)
    assert path.read_bytes() == before and not archive.parts(folder)
    assert found["001.pcap"][0] in ("failed", "kept") and "damaged" in found["001.pcap"][1]
    assert found["002.pcap"][0] == "done"
    assert verify(folder / "policy.toml").clean


def test_a_ledger_of_another_file_is_never_overwritten(folder: Path) -> None:
    outcomes(folder, lambda: None, now=3)
    wrong = folder / "nsm" / ("001.pcap" + LEDGER)
    shutil.copy2(folder / "nsm" / ("000.pcap" + LEDGER), wrong)
    kept, capture = wrong.read_bytes(), (folder / "nsm" / "001.pcap").read_bytes()
    found = outcomes(folder, lambda: None, now=8)
    assert found["001.pcap"][0] == "failed" and "not its own" in found["001.pcap"][1]
    assert wrong.read_bytes() == kept and (folder / "nsm" / "001.pcap").read_bytes() == capture


def test_a_clock_that_steps_back_or_far_ahead_undoes_nothing_and_loses_nothing_at_once(folder: Path) -> None:
    apply_policy(folder / "policy.toml", now=at(8))
    state = archive.content(folder)
    for now in (4, -20_000, 8):
        apply_policy(folder / "policy.toml", now=max(at(now), 1))
        assert archive.content(folder) == state, f"at day {now}"
    assert verify(folder / "policy.toml").clean


def test_a_capture_on_another_file_system_is_worked_on_there(folder: Path) -> None:
    with small(folder / "nsm" / "other", 4096) as other:
        shutil.copy2(folder / "nsm" / "001.pcap", other / "001.pcap")
        write_policy(folder, text=archive.POLICY.replace("nsm/*.pcap", "nsm/**/*.pcap"))
        report = apply_policy(folder / "policy.toml", now=at(8))
        assert report.clean and (other / ("001.pcap" + LEDGER)).exists()
        assert verify(folder / "policy.toml").clean


def test_a_full_disk_in_the_middle(tmp_path: Path) -> None:
    """No room for a result: the file stays. No room for a record of the journal: room is set aside for that."""
    with small(tmp_path / "disk", 1024) as disk:
        for n in range(4):
            write_day(disk, n)
        write_policy(disk)
        assert apply_policy(disk / "policy.toml", now=at(2.9)).applied[0].count("done") == 0
        with (disk / "filler").open("wb") as filler:
            while True:
                try:
                    os.write(filler.fileno(), bytes(4096))
                except OSError:
                    break
        before = {p.name: p.read_bytes() for p in (disk / "nsm").iterdir()}
        report = apply_policy(disk / "policy.toml", now=at(6))
        [applied] = report.applied
        assert applied.count("failed") + applied.count("done") == 4 and applied.count("failed") >= 1
        assert "No space left" in " ".join(o.why for o in applied.outcomes)
        for name, data in before.items():
            ledger = disk / "nsm" / (name + LEDGER)
            assert (disk / "nsm" / name).read_bytes() == data or ledger.exists(), name
        assert not archive.parts(disk) and verify(disk / "policy.toml").broken is None
        # What only removes has room to be written down.
        report = apply_policy(disk / "policy.toml", now=at(95))
        assert report.applied[0].count("done") == 4, [o.why for o in report.applied[0].outcomes]
        assert verify(disk / "policy.toml").clean and not list((disk / "nsm").iterdir())


def test_a_plan_that_keeps_all_writes_nothing(folder: Path) -> None:
    before = command.tree(folder / "nsm")
    report = apply_policy(folder / "policy.toml", now=at(2.5))
    assert all(isinstance(o.decision.action, Keep) for o in report.applied[0].outcomes)
    assert command.tree(folder / "nsm") == before and archive.journal(folder) == []
    assert len(fk.open(folder / "nsm").flows()) > 0
