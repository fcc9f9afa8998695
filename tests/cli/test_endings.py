"""Without ``--format`` the ending of the file says how it is written."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests import wire
from tests.cli import command

READ = {
    "x.csv": lambda p: pl.read_csv(p),
    "x.JSON": lambda p: pl.DataFrame(json.loads(p.read_text())),
    "x.ndjson": lambda p: pl.read_ndjson(p),
    "x.jsonl": lambda p: pl.read_ndjson(p),
    "x.parquet": lambda p: pl.read_parquet(p),
    "x.arrow": lambda p: pl.read_ipc(p),
    "x.feather": lambda p: pl.read_ipc(p),
}
CALLS = {
    "flows": ("flows", "a.pcap"),
    "hosts": ("hosts", "a.pcap"),
    "services": ("services", "a.pcap"),
    "search": ("search", "GET", "a.pcap"),
}
NOT_WRITTEN = {
    "flows": (),
    "hosts": ("x.arrow", "x.feather"),
    "services": ("x.arrow", "x.feather"),
    "search": ("x.parquet", "x.arrow", "x.feather"),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pcap").write_bytes(wire.pcap(wire.tcp_session(script=[("c", b"GET /")])))
    return tmp_path


@pytest.mark.parametrize("name", CALLS)
def test_an_ending_says_the_format(name: str) -> None:
    for file, read in READ.items():
        done = command.run(*CALLS[name], "-o", file)
        if file in NOT_WRITTEN[name]:
            assert done.returncode == 2
            assert "--format" in command.said(done)
            assert not Path(file).exists()
        else:
            assert done.returncode == 0, command.said(done)
            assert read(Path(file)).height == (2 if name == "hosts" else 1)


@pytest.mark.parametrize("name", CALLS)
def test_a_format_that_is_given_and_an_unknown_ending_decide_as_ever(name: str) -> None:
    for args in (
        ("-o", "x.txt"),
        ("-o", "x"),
        ("-f", "table", "-o", "x.csv"),
        ("-f", "table", "-o", "x.arrow"),
    ):
        assert command.run(*CALLS[name], *args).returncode == 0
    assert len({Path(file).read_bytes() for file in ("x.txt", "x", "x.csv", "x.arrow")}) == 1
    assert command.run(*CALLS[name], "-f", "json", "-o", "y.csv").returncode == 0
    assert len(json.loads(Path("y.csv").read_text())) == (2 if name == "hosts" else 1)


def test_plain_lines_of_a_search_heed_no_ending() -> None:
    assert command.run(*CALLS["search"], "--count", "-o", "x.csv").returncode == 0
    assert Path("x.csv").read_text() == "1\n"
