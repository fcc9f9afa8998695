"""In-place trimming killed at every single step that changes the folder, then run again.

The kills of `test_kill` are random; here each step is met once, by the audit events that Python raises
before it opens, locks, changes, renames or removes a file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import flowkeep
import pytest

from tests import wire
from tests.cli import command
from tests.fault import captures
from tests.fault.captures import LEDGER, PART
from tests.fault.steps import killed_at
from tests.wire import SECOND, Conversation, Packet, transport

STEPS, LOADED = "fcntl.flock os.chmod os.rename os.remove", "flowkeep.cli.trim_cmd flowkeep.ops.trim"


def trimmed(folder: Path, cutoff: str) -> dict[str, object]:
    """Trim to the end; what the folder holds then, ledgers as rows."""
    done = command.run("trim", cutoff, folder, "--in-place")
    assert done.returncode == 0, done.stderr.decode()
    return {
        path: captures.rows(data or b"") if path.endswith(LEDGER) else captures.content(data)
        for path, data in command.tree(folder).items()
    }


def flows(folder: Path) -> list[dict[str, object]]:
    """The flows with their true totals."""
    return flowkeep.open(folder).flows().to_dicts()


def shared(folder: Path) -> None:
    """Four captures with common flows."""
    captures.fill(folder, count=4, per_slice=40)


def trimmed_before(folder: Path) -> None:
    """Captures that a run with a larger cutoff has trimmed already."""
    shared(folder)
    trimmed(folder, "30kB")


def one_left_empty(folder: Path) -> None:
    """Three captures of one UDP flow; all packets of the second one are cut.

    The first and the third lie further apart than the silence that ends a flow.
    """
    folder.mkdir()
    talk = Conversation("10.0.0.1:40000", "10.0.0.2:40001")
    for _ in range(30):
        talk.put("c", transport.udp(*talk.ports("c"), bytes(900)))
    for n in range(3):
        moved = _later(talk.packets, n * 40 * SECOND)
        (folder / f"{n}.pcap").write_bytes(wire.pcap(moved))


def overlapping(folder: Path) -> None:
    """Of the first of two overlapping captures, the packets before the start of the second one are cut."""
    folder.mkdir()
    big = Conversation("10.0.0.1:40000", "10.0.0.2:40001")
    big.put("c", transport.udp(*big.ports("c"), bytes(20_000)))
    (folder / "1.pcap").write_bytes(wire.pcap(_later(big.packets, SECOND) + _later(_nine_kb(), 3 * SECOND)))
    (folder / "2.pcap").write_bytes(wire.pcap(_later(_nine_kb(), 2 * SECOND)))


def _nine_kb() -> list[Packet]:
    talk = Conversation("10.0.0.3:40000", "10.0.0.4:40001")
    for _ in range(9):
        talk.put("c", transport.udp(*talk.ports("c"), bytes(900)))
    return talk.packets


def _later(packets: list[Packet], ns: int) -> list[Packet]:
    return [Packet(p.ts_ns + ns, p.data) for p in packets]


@pytest.mark.parametrize(
    "fill", [shared, trimmed_before, one_left_empty, overlapping], ids=lambda f: f.__name__
)
def test_a_run_goes_on_where_a_kill_at_any_step_stopped_another(
    fill: Callable[[Path], None], tmp_path: Path
) -> None:
    fill(tmp_path / "pristine")
    true = flows(tmp_path / "pristine")
    shutil.copytree(tmp_path / "pristine", tmp_path / "whole")
    whole = trimmed(tmp_path / "whole", "10kB")
    old = command.tree(tmp_path / "pristine")
    step, wrong = 0, []
    while True:
        folder = tmp_path / f"step-{step}"
        shutil.copytree(tmp_path / "pristine", folder)
        if not killed_at(step, STEPS, LOADED, "trim", "10kB", folder, "--in-place"):
            break
        now = command.tree(folder)
        for path, data in now.items():
            if not path.endswith((LEDGER, PART)):
                assert data == old[path] or captures.content(data) == whole[path], path
        if flows(folder) != true:
            wrong.append(f"step {step}: the true totals changed")
        again = trimmed(folder, "10kB")
        for path in sorted(again.keys() | whole):
            if again.get(path) != whole.get(path):
                wrong.append(f"step {step}: {path} differs after the second run")
        if flows(folder) != true:
            wrong.append(f"step {step}: the true totals differ after the second run")
        shutil.rmtree(folder)
        step += 1
    # For each capture two files are locked, given a mode and renamed.
    assert step >= 6 * sum(not path.endswith(LEDGER) and data is not None for path, data in old.items())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("fill", [one_left_empty, overlapping], ids=lambda f: f.__name__)
def test_a_later_capture_is_cut_as_if_those_before_it_had_not_been_trimmed(
    fill: Callable[[Path], None], tmp_path: Path
) -> None:
    fill(tmp_path / "whole")
    whole = trimmed(tmp_path / "whole", "10kB")
    fill(tmp_path / "grown")
    late = (tmp_path / "grown" / "2.pcap").rename(tmp_path / "2.pcap")
    trimmed(tmp_path / "grown", "10kB")
    late.rename(tmp_path / "grown" / "2.pcap")
    assert trimmed(tmp_path / "grown", "10kB") == whole


@pytest.mark.parametrize(
    "rest",
    [
        (),
        ("--rest", "headers"),
        ("--tail", "5kB"),
        ("--tail", "5kB", "--per-direction", "--count", "wire"),
        ("--rest", "sample:5"),
        ("--control", "drop", "--count", "payload"),
    ],
    ids=" ".join,
)
def test_captures_trimmed_already_and_those_not_yet_give_what_one_run_gives(
    rest: tuple[str, ...], tmp_path: Path
) -> None:
    shared(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    line = ("trim", "10kB", "--in-place", *rest)
    assert command.run(*line, tmp_path / "whole").returncode == 0
    for name in ("0.pcap", "1.pcapng"):
        for suffix in ("", LEDGER):
            shutil.copy2(tmp_path / "whole" / (name + suffix), tmp_path / "half" / (name + suffix))
    assert command.run(*line, tmp_path / "half").returncode == 0
    whole, half = command.tree(tmp_path / "whole"), command.tree(tmp_path / "half")
    for path, data in whole.items():
        if not path.endswith(LEDGER):
            assert captures.content(half[path]) == captures.content(data), path
