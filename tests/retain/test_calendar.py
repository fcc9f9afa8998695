"""The calendar in the guide is what the planner does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flowkeep.retain.model import Action, Cut, DataSet, Delete, FileState, FlowsOnly, Keep, Plan
from flowkeep.retain.plan import plan
from flowkeep.retain.policy import parse_policy
from flowkeep.units import cutoff

from .made import DAY, carried_out, file

GUIDE = (Path(__file__).parents[2] / "docs/guide/retain.md").read_text()


def policy() -> DataSet:
    found = re.search(r"```toml\n(# sensor\.toml\n.*?)```", GUIDE, re.S)
    assert found is not None
    return parse_policy(found[1]).datasets[0]


def rows(head: str) -> list[list[str]]:
    _, _, table = GUIDE.partition(f"| {head} |")
    lines = table.split("\n")[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[: lines.index("")]]


def at(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def capture(date: str) -> FileState:
    """A day's capture, from 0:00 to 24:00: few large flows, and many that are whole at 100 kB."""
    end = at(date) + DAY
    return file(0, 0, [900_000_000] * 10 + [50_000] * 100, path=f"/nsm/{date}.pcap", first_ts=at(date), last_ts=end,
                mtime_ns=end)  # fmt: skip


def is_now(action: Action) -> str:
    if isinstance(action, Cut):
        return f"cut to {cutoff(action.cutoff)}"
    return {Keep: "whole", FlowsOnly: "flows only", Delete: "deleted"}[type(action)]


def test_the_life_of_one_capture() -> None:
    told = rows("Plan on | Is | Why")
    assert len(told) == 7
    for date, state, why in told:
        (decision,) = plan(policy(), [capture("2024-03-01")], at(date)).decisions
        assert is_now(decision.action) == state, date
        assert re.sub(r" \(line \d+\)", "", decision.reason) == why


def test_the_archive_on_a_day() -> None:
    told = rows("Captures of | Is")
    now = at("2024-04-01")
    first, last = datetime(2024, 1, 1), datetime(2024, 3, 31)
    days = [(first + timedelta(n)).date().isoformat() for n in range((last - first).days + 1)]
    made = plan(policy(), [capture(day) for day in days], now)
    states = {Path(d.file.path).stem: is_now(d.action) for d in made.decisions}
    covered = []
    for span, state in told:
        begin, _, end = span.partition(" to ")
        own = [day for day in days if begin <= day <= end]
        assert own and {states[day] for day in own} == {state}, span
        covered += own
    assert sorted(covered) == days


def test_day_by_day_it_comes_to_the_same() -> None:
    """Planned and carried out every day, each file goes through its tiers one after the other."""
    dataset, files = policy(), [capture("2024-03-01")]
    seen: list[tuple[int, str]] = []
    for n in range(2, 400):
        made: Plan = plan(dataset, files, at("2024-03-01") + n * DAY)
        seen += [(n - 1, is_now(d.action)) for d in made.decisions if not isinstance(d.action, Keep)]
        files = carried_out(made)
    assert seen == [
        (3, "cut to 1MB"), (6, "cut to 100kB"), (30, "cut to 10kB"), (180, "flows only"), (365, "deleted"),
    ]  # fmt: skip
    assert files == []
