"""A lake that somebody broke or forged is refused with a word that says which file and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli import command

from .made import FIRST, day, lake

LAKE_ERROR = 14


@pytest.fixture
def made(tmp_path: Path) -> Path:
    lake(day(tmp_path / "in", 2), tmp_path / "lake")
    return tmp_path / "lake"


def first(made: Path) -> Path:
    return sorted((made / "flows").rglob("*.parquet"))[0]


def change(file: Path, **columns: object) -> None:
    frame = pl.read_parquet(file, hive_partitioning=False, glob=False)
    frame.with_columns(
        **{n: v if isinstance(v, pl.Expr) else pl.lit(v) for n, v in columns.items()}
    ).write_parquet(file)


def cut(made: Path) -> None:
    first(made).write_bytes(first(made).read_bytes()[:-100])


def garbage(made: Path) -> None:
    first(made).write_bytes(b"PAR1" + bytes(1000) + b"PAR1")


def nothing(made: Path) -> None:
    first(made).write_bytes(b"")


def folder(made: Path) -> None:
    path = first(made)
    path.unlink()
    path.mkdir()


def less(made: Path) -> None:
    pl.read_parquet(first(made)).drop("community_id").write_parquet(first(made))


def other_type(made: Path) -> None:
    change(first(made), client_port=pl.lit("1"))


def moved(made: Path) -> None:
    path = first(made)
    target = made / "flows/date=2001-01-01/hour=00" / path.name
    target.parent.mkdir(parents=True)
    path.rename(target)


def late(made: Path) -> None:
    change(first(made), last_ts=pl.col("last_ts") + pl.duration(days=300))


def strange_name(made: Path) -> None:
    (first(made).parent / "evil\x1b[2J.parquet").write_bytes(b"")


def strange_folder(made: Path) -> None:
    (made / "flows/date=2023-99-99/hour=01").mkdir(parents=True)


def no_address(made: Path) -> None:
    change(first(made), client_ip="\x1b[2J")


def unknown_capture(made: Path) -> None:
    (listed,) = (made / "captures").iterdir()
    change(listed, capture=pl.lit("f" * 16))


def version(made: Path) -> None:
    (made / "flowkeep-lake.json").write_text(json.dumps({"flowkeep_lake": "\x1b2"}))


def no_mark(made: Path) -> None:
    (made / "flowkeep-lake.json").unlink()


def deep(made: Path) -> None:
    (made / "flowkeep-lake.json").write_text("[" * 4000)


FORGERIES: list[Callable[[Path], None]] = [
    cut, garbage, nothing, folder, less, other_type, moved, late, strange_name, strange_folder, no_address,
    unknown_capture, version, no_mark, deep,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda f: f.__name__)
def test_refused(made: Path, forge: Callable[[Path], None]) -> None:
    forge(made)
    done = command.run("find", made, "10.0.0.0/7")
    text = command.said(done)
    assert done.returncode == LAKE_ERROR, text
    assert str(made) in text or "lake" in text
    assert done.stdout == b""


@pytest.mark.parametrize("path", ["relative.pcap", "/dev/zero", "/etc/passwd", "/no/such\x1b[2J.pcap"])
def test_lying_paths(made: Path, path: str) -> None:
    (listed,) = (made / "captures").iterdir()
    change(listed, path=pl.lit(path))
    done = command.run("find", made, "10.0.0.0/7", "-o", made.parent / "out.pcap")
    text = command.said(done)
    assert done.returncode in (1, 4, LAKE_ERROR), text
    assert not (made.parent / "out.pcap").exists()
    listed_ = command.run("find", made, "10.0.0.0/7", "--captures")
    assert b"\x1b" not in listed_.stdout


@pytest.mark.parametrize("settings_", ["", "{}", '{"idle_ns": "x"}', "[" * 4000])
def test_forged_settings(made: Path, settings_: str) -> None:
    (listed,) = (made / "captures").iterdir()
    change(listed, settings=pl.lit(settings_))
    done = command.run("find", made, "10.0.0.0/7", "-o", made.parent / "out.pcap")
    command.said(done)
    assert done.returncode in (2, LAKE_ERROR)


def test_text_of_a_forger_reaches_no_terminal(made: Path) -> None:
    change(first(made), state="\x1b[2J[bold]", proto="\x1b]0;x\x07", server_name="[red]\x1b[2J")
    done = command.run("find", made, "10.0.0.0/7")
    assert done.returncode == 0
    assert not {b for b in done.stdout if b < 32 and b != 10}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_changed_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    from flowkeep.errors import LakeError
    from flowkeep.ops.find import Question, find_flows

    root = tmp_path_factory.mktemp("forged")
    lake(day(root / "in", 1), root / "lake")
    path = first(root / "lake")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        find_flows(root / "lake", Question(networks=("10.0.0.0/8",), since_ns=FIRST))
    except LakeError as error:
        assert str(path) in str(error) or "lake" in str(error)
