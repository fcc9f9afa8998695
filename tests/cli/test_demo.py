"""``flowkeep demo`` as a new user meets it."""

from __future__ import annotations

import re
from pathlib import Path

import flowkeep as fk

from .command import run, said


def test_demo_shows_its_work_and_says_where_the_files_are(tmp_path: Path) -> None:
    done = run("demo", "--size", "3MB", cwd=tmp_path)
    assert done.returncode == 0, said(done)
    shown = done.stdout.decode()
    named = re.findall(r"^ +[\d.]+ [kMG]?B  (/.*)$", shown, re.M)
    folder = tmp_path.resolve() / "flowkeep-demo"
    capture, trimmed = folder / "demo.pcapng", folder / "trimmed" / "demo.pcapng"
    assert named == [str(capture), str(trimmed), f"{trimmed}.ledger.arrow"]
    assert trimmed.stat().st_size < capture.stat().st_size
    before, after = fk.open(capture).flows().to_dicts(), fk.open(trimmed).flows().to_dicts()
    assert before == after, "the ledger gives the true totals"
    assert f"{len(before):,} of {len(before):,} flows are still there" in shown


def test_commands_the_demo_names_work(tmp_path: Path) -> None:
    shown = run("demo", "--size", "1MB", cwd=tmp_path).stdout.decode()
    _, _, hints = shown.partition("What to type next\n")
    lines = [line.partition("#")[0].split() for line in hints.splitlines()]
    assert len(lines) == 5
    for name, *words in lines:
        assert name == "flowkeep"
        words = ["flowkeep-demo/demo.pcapng" if word == "YOUR-CAPTURES/" else word for word in words]
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 0, said(done)


def test_demo_runs_again_to_the_same_bytes(tmp_path: Path) -> None:
    first = run("demo", "--size", "1MB", "--folder", "d", cwd=tmp_path)
    made = {p: p.read_bytes() for p in (tmp_path / "d").rglob("*.pcapng")}
    again = run("demo", "--size", "1MB", "--folder", "d", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert len(made) == 2
    assert made == {p: p.read_bytes() for p in made}


def test_demo_with_a_cutoff_that_leaves_nothing_of_some_flows_says_so(tmp_path: Path) -> None:
    done = run("demo", "--size", "1MB", "--cutoff", "0", cwd=tmp_path)
    left, of = re.search(r"([\d,]+) of ([\d,]+) flows are still there", done.stdout.decode()).groups()  # type: ignore[union-attr]
    assert 0 < int(left.replace(",", "")) < int(of.replace(",", ""))


def test_demo_leaves_a_file_alone_that_it_did_not_make(tmp_path: Path) -> None:
    mine = tmp_path / "demo.pcapng"
    mine.write_bytes(b"mine")
    done = run("demo", "--folder", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "was not made by flowkeep demo" in said(done)
    assert mine.read_bytes() == b"mine"


def test_demo_leaves_a_trimmed_capture_alone_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "trimmed").mkdir()
    mine = tmp_path / "trimmed" / "demo.pcapng"
    mine.write_bytes(b"mine")
    done = run("demo", "--folder", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "was not made by flowkeep demo" in said(done)
    assert mine.read_bytes() == b"mine"
    assert not (tmp_path / "demo.pcapng").exists()


def test_demo_advises_to_remove_only_what_it_made(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    shown = run("demo", "--size", "1MB", "--folder", ".", cwd=tmp_path).stdout.decode()
    assert "remove these three files" in shown
    assert "remove the folder" not in shown
