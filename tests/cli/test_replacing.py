"""Nothing takes the place of a capture, a ledger or an index unless somebody says so."""

from __future__ import annotations

import gzip
from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.ops.carve import carve

from tests import wire
from tests.cli import command

TALK = wire.tcp_session(script=[("c", b"GET /"), ("s", bytes(20_000))])
CAPTURE = wire.pcap(TALK)
OTHER = wire.pcap(wire.tcp_session(script=[("c", b"other")]))
# What must stay; none of it is an input.
KEPT = (
    "other.pcap",
    "other.csv",
    "gz.csv",
    "broken.csv",
    "b.pcap.ledger.arrow",
    "b.pcap.flowkeep-index",
    "index",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.pcap").write_bytes(CAPTURE)
    for name in ("other.pcap", "other.csv"):
        Path(name).write_bytes(OTHER)
    Path("gz.csv").write_bytes(gzip.compress(OTHER))
    Path("broken.csv").write_bytes(wire.pcapng(TALK)[:14])
    fk.open("other.pcap").index()
    Path("index").write_bytes(Path("other.pcap.flowkeep-index").read_bytes())
    Path("other.pcap.flowkeep-index").rename("b.pcap.flowkeep-index")
    Path("b.pcap.ledger.arrow").write_bytes(b"ARROW1")
    return tmp_path


WRITERS: dict[str, tuple[str, ...]] = {
    "report": ("trim", "1kB", "a.pcap", "--output", "out", "--report"),
    "report of a dry run": ("trim", "1kB", "a.pcap", "--dry-run", "--report"),
    "flows": ("flows", "a.pcap", "-o"),
    "hosts": ("hosts", "a.pcap", "-f", "csv", "-o"),
    "services": ("services", "a.pcap", "-f", "csv", "-o"),
    "search": ("search", "GET", "a.pcap", "-f", "csv", "-o"),
    "protocols": ("protocols", "-f", "csv", "-o"),
    "extract": ("extract", "a.pcap", "-o"),
    "carve": ("carve", "a.pcap", "-o"),
    "carve, report": ("carve", "a.pcap", "-o", "out.pcapng", "--report"),
}


@pytest.mark.parametrize("args", WRITERS.values(), ids=WRITERS.keys())
def test_evidence_is_not_replaced(args: tuple[str, ...], here: Path) -> None:
    before = command.tree(here)
    for kept in KEPT:
        done = command.run(*args, kept)
        text = command.said(done)
        assert done.returncode == 2, text
        assert kept in text
        assert "another name" in text
        assert ("--force" in text) == (
            args[0] in ("extract", "carve") and "--report" not in args and "index" not in kept
            and "ledger" not in kept
        )  # fmt: skip
        assert command.tree(here) == before


@pytest.mark.parametrize("name", ["flows", "services", "search"])
def test_a_table_is_replaced_as_ever(name: str, here: Path) -> None:
    Path("old").write_text("an older table")
    assert command.run(*WRITERS[name], "old").returncode == 0
    assert "older" not in Path("old").read_text()


@pytest.mark.parametrize("name", ["extract", "carve"])
def test_force_replaces_a_capture_and_nothing_else(name: str, here: Path) -> None:
    assert command.run(*WRITERS[name], "other.pcap", "--force").returncode == 0
    assert len(wire.read(Path("other.pcap").read_bytes()).records) == len(TALK)
    before = command.tree(here)
    for kept in ("a.pcap", "b.pcap.ledger.arrow", "index"):
        assert command.run(*WRITERS[name], kept, "--force").returncode == 2
        assert command.tree(here) == before


def test_the_functions_refuse_as_the_commands_do(here: Path) -> None:
    data = fk.open("a.pcap")
    with pytest.raises(fk.UsageError, match=r"other\.pcap is a capture"):
        data.extract("other.pcap")
    with pytest.raises(fk.UsageError, match=r"other\.pcap is a capture"):
        carve(["a.pcap"], "other.pcap")
    assert Path("other.pcap").read_bytes() == OTHER
    assert data.extract("other.pcap", force=True).packets == len(TALK)


@pytest.mark.parametrize("name", ["out/a.pcap", "out/a.pcap.ledger.arrow"])
def test_a_report_does_not_replace_a_result(name: str, here: Path) -> None:
    Path("out").mkdir()
    done = command.run("trim", "1kB", "a.pcap", "--output", "out", "--ledger", "--report", name)
    assert done.returncode == 2
    assert "result" in command.said(done)
    assert list(Path("out").iterdir()) == []


def test_a_dry_run_names_the_report_it_wrote(here: Path) -> None:
    text = command.said(command.run("trim", "1kB", "a.pcap", "--dry-run", "--report", "r.json"))
    assert "only r.json was written" in text
    assert "nothing was written" not in text
    assert "nothing was written" in command.said(command.run("trim", "1kB", "a.pcap", "--dry-run"))
