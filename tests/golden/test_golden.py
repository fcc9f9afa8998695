"""What flowkeep says of each case, and what it makes of it, against files that people can read.

``pytest tests/golden --update-golden`` writes the files anew; ``git diff`` then shows what changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest

from .cases import CASES, CUTOFF, FORMATS, LINK_TYPES, Case
from .links import LINKS

EXPECTED = Path(__file__).with_name("expected")
HUGE = 1 << 62
names = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def capture(name: str, tmp_path: Path) -> Path:
    path = tmp_path / "capture"
    path.write_bytes(CASES[name].data)
    return path


def trimmed(case: Case, capture: Path, cutoff: int) -> bytes:
    """The bytes of the trimmed capture, without compression."""
    out = capture.parent / "out"
    report = fk.open(capture).trim(cutoff, output=out)
    assert report.clean, report.files[0].problem
    return case.unpack((out / capture.name).read_bytes())


def page(capture: Path, after: bytes, before: bytes) -> str:
    """Everything about a case, one fact a line."""
    info = fk.open(capture).info(cutoffs=[CUTOFF])
    scan = info.files[0]
    lines = [f"format {scan['format']} compression {scan['compression'] or 'none'}"]
    lines += [f"link type {name}: {packets} packets" for name, packets in scan["link_types"].items()]
    lines += [f"no flow: {reason} {packets}" for reason, packets in scan["no_flow"].items()]
    lines += [f"anomaly: {what} {packets}" for what, packets in scan["anomalies"].items()]
    lines += [f"packets {scan['packets']} bytes {scan['bytes']} wire {scan['wire_bytes']}", ""]
    lines += [_row(row) for row in fk.open(capture).flows().to_dicts()]
    lines += ["", f"trimmed to {CUTOFF}: {len(after)} of {len(before)} bytes"]
    return "\n".join(lines) + "\n" + _dump(after)


def _row(row: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in row.items())


def _dump(data: bytes) -> str:
    return "".join(f"{at:06x}  {data[at : at + 32].hex(' ', 4)}\n" for at in range(0, len(data), 32))


@names
def test_case_gives_what_is_expected(name: str, capture: Path, request: pytest.FixtureRequest) -> None:
    case, path = CASES[name], EXPECTED / f"{name}.txt"
    got = page(capture, trimmed(case, capture, CUTOFF), case.unpack(case.data))
    if request.config.getoption("--update-golden"):
        path.write_text(got)
    assert path.exists(), f"{path} is missing: run pytest tests/golden --update-golden and look at it"
    assert got == path.read_text()


@names
def test_trimmed_bytes_are_those_of_a_capture_built_from_the_kept_packets(name: str, capture: Path) -> None:
    case = CASES[name]
    kept = case.packets if name == "link-unknown" else case.kept(CUTOFF)
    assert trimmed(case, capture, CUTOFF) == case.unpack(case.build(kept))


@names
def test_trimming_with_a_huge_cutoff_gives_the_same_bytes(name: str, capture: Path) -> None:
    case = CASES[name]
    assert trimmed(case, capture, HUGE) == case.unpack(case.data)


def test_every_expected_file_has_a_case() -> None:
    assert {path.stem for path in EXPECTED.glob("*.txt")} == set(CASES)


def test_formats_differ_and_link_types_are_all_there() -> None:
    assert len({case.data for case in CASES.values()}) == len(CASES)
    known = {
        0,
        1,
        9,
        12,
        14,
        50,
        51,
        101,
        104,
        105,
        108,
        113,
        119,
        127,
        163,
        166,
        178,
        179,
        181,
        192,
        204,
        205,
    }
    assert {link for link, _ in LINKS.values()} == known | {228, 229, 274, 276}
    assert len(LINK_TYPES) == len(LINKS) + 1
    assert all(case.kept(CUTOFF) != case.packets for case in FORMATS.values())
