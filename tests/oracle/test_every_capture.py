"""Every real capture, damaged ones included, is read and trimmed to an end with no packet lost."""

from __future__ import annotations

from pathlib import Path

import flowkeep as fk
import pytest
from flowkeep.cli.app import run

from tests.oracle.conftest import DAMAGED_ON_PURPOSE, sample


@pytest.fixture(scope="module")
def paths(captures: Path) -> list[Path]:
    """All mutated captures, and a sample of the others."""
    found = fk.open(captures).paths
    mutated = [p for p in found if DAMAGED_ON_PURPOSE in p.parts]
    return mutated + sample([p for p in found if p not in set(mutated)], captures)


@pytest.mark.parametrize("cutoff", [0, 3000])
def test_packets_and_bytes_are_kept_or_cut(
    captures: Path, paths: list[Path], cutoff: int, tmp_path: Path
) -> None:
    for number, path in enumerate(paths):
        out = tmp_path / str(number)
        report = fk.open(path).trim(cutoff, output=out)
        (result,) = report.files
        trim = result.trim
        assert trim is not None, path
        assert trim["packets_dropped"] == trim["bytes_dropped"] == 0, path
        assert trim["packets"] == trim["packets_kept"] + trim["packets_cut"], path
        assert trim["bytes"] == trim["bytes_kept"] + trim["bytes_cut"], path
        (before,) = fk.open(path).flows().files
        assert (before["packets"], before["bytes"]) == (trim["packets"], trim["bytes"]), path
        if DAMAGED_ON_PURPOSE in path.parts:
            continue  # what remains of such bytes may look like another dialect of pcap
        (after,) = fk.open(out / path.name).flows().files
        assert (after["packets"], after["bytes"]) == (trim["packets_kept"], trim["bytes_kept"]), path
        assert after["damage"] is None, path


@pytest.mark.parametrize("command", [("flows", "--format", "csv"), ("trim", "2kB", "--dry-run")])
def test_the_commands_finish_with_0_or_1_for_damage(
    paths: list[Path], command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    for path in paths:
        status = run([*command, str(path)])
        said = capfd.readouterr()
        (file,) = fk.open(path).flows().files
        assert status == (0 if file["damage"] is None else 1), (path, said.err)
