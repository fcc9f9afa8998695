"""The plan: pure, in order, each tier at its age, and nothing the second time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flowkeep.retain.model import (
    Budget,
    Compress,
    Cut,
    DataSet,
    Delete,
    Depth,
    FileState,
    FlowsOnly,
    Keep,
    Plan,
    Sizes,
    Stage,
    Tier,
)
from flowkeep.retain.plan import Room, age_text, plan
from hypothesis import given
from hypothesis import strategies as st

from .made import DAY, NOW, carried_out, file, sizes

LADDER = (
    Tier(3 * DAY, 1_000_000, line=7),
    Tier(6 * DAY, 100_000, line=11),
    Tier(30 * DAY, 10_000, rest="headers", line=15),
    Tier(60 * DAY, kind="flows-only", line=20),
    Tier(90 * DAY, kind="delete", line=23),
)
NSM = DataSet("nsm", ("/nsm/*",), tiers=LADDER)


def only(made: Plan) -> tuple[object, str]:
    (decision,) = made.decisions
    return decision.action, decision.reason


@pytest.mark.parametrize(
    ("age", "action", "reason"),
    [
        (2.99, Keep(), "2d 23h old: the first tier begins at 3d"),
        (3, Cut(1_000_000), "3d old: 1MB from 3d on (line 7)"),
        (6, Cut(100_000), "6d old: 100kB from 6d on (line 11)"),
        (30.5, Cut(10_000, "headers"), "30d 12h old: 10kB, headers from 30d on (line 15)"),
        (60, FlowsOnly(), "60d old: only the ledger is kept from 60d on (line 20)"),
        (1000, Delete(), "1000d old: nothing is kept from 90d on (line 23)"),
    ],
)
def test_each_tier_begins_at_its_age(age: float, action: object, reason: str) -> None:
    assert only(plan(NSM, [file(0, age)], NOW)) == (action, reason)


def test_a_file_is_as_old_as_its_last_packet() -> None:
    state = file(0, 2, first_ts=NOW - 5 * DAY)
    assert only(plan(NSM, [state], NOW))[0] == Keep()


def test_decisions_stand_in_order_of_first_packets_whatever_the_names() -> None:
    files = [file(n, age) for n, age in enumerate([1, 40, 7, 3])]
    made = plan(NSM, files, NOW)
    assert [d.file.path for d in made.decisions] == [files[i].path for i in (1, 2, 3, 0)]
    assert made == plan(NSM, files[::-1], NOW)


ages = st.floats(0, 120)
flows = st.lists(st.integers(0, 30_000).map(lambda n: n * n // 100 * 100), min_size=1, max_size=8)


@given(st.lists(st.tuples(ages, flows), max_size=12), st.booleans(), st.integers(0, 40_000_000))
def test_a_second_run_does_nothing(made: list[tuple[float, list[int]]], limited: bool, room: int) -> None:
    dataset = replace(NSM, budget=Budget(disk=room, headroom=0) if limited else None)
    files = [file(n, age, sizes_) for n, (age, sizes_) in enumerate(made)]
    first = plan(dataset, files, NOW)
    after = carried_out(first)
    second = plan(dataset, after, NOW)
    if first.fits:
        assert [d.action for d in second.decisions] == [Keep()] * len(after)
        assert second.bytes_after == second.bytes_before == first.bytes_after
    assert first.bytes_after <= first.bytes_before or not limited


def test_what_is_cut_already_is_not_cut_again() -> None:
    stage = Stage("cut", 50_000)
    assert only(plan(NSM, [file(0, 4, stage=stage)], NOW))[0] == Keep()
    assert only(plan(NSM, [file(0, 7, stage=stage)], NOW)) == (
        Keep(),
        "at its tier: 100kB from 6d on (line 11)",
    )
    assert only(plan(NSM, [file(0, 31, stage=stage)], NOW))[0] == Cut(10_000, "headers")
    cut = Stage("cut", 10_000, "cut")
    assert only(plan(NSM, [file(0, 31, stage=cut)], NOW))[0] == Keep()


def test_a_tier_with_the_same_cutoff_and_less_of_the_rest_cuts() -> None:
    tiers = (Tier(DAY, 1000, "headers"), Tier(2 * DAY, 1000, "cut"))
    headers = file(0, 3, stage=Stage("cut", 1000, "headers"))
    assert only(plan(replace(NSM, tiers=tiers), [headers], NOW))[0] == Cut(1000)


def test_other_depths_are_another_cut_once() -> None:
    depths = (Depth(64_000, service="tls", line=9),)
    dataset = replace(NSM, depths=depths)
    state = file(0, 4, stage=Stage("cut", 1_000_000))
    (decision,) = plan(dataset, [state], NOW).decisions
    assert decision.action == Cut(1_000_000, depths=(Depth(64_000, service="tls"),))
    again = replace(state, stage=Stage("cut", 1_000_000, depths=decision.action.depths))
    assert only(plan(dataset, [again], NOW))[0] == Keep()


def test_compression_comes_with_its_tier_and_stays_with_later_ones() -> None:
    tiers = (Tier(DAY, compress="zstd", line=3), Tier(3 * DAY, 1000))
    dataset = replace(NSM, tiers=tiers)
    assert only(plan(dataset, [file(0, 2)], NOW)) == (Compress(), "2d old: zstd from 1d on (line 3)")
    assert only(plan(dataset, [file(0, 2, stage=Stage(compression="gzip"))], NOW))[0] == Keep()
    assert only(plan(dataset, [file(0, 4)], NOW))[0] == Cut(1000, compress="zstd")
    done = Stage("cut", 1000, compression="zstd")
    assert only(plan(dataset, [file(0, 4, stage=done)], NOW))[0] == Keep()


def test_files_that_grow_or_are_no_captures_stay_and_are_told() -> None:
    growing = file(0, 40, growing=True)
    odd = FileState("/nsm/x\x1b[2J.pcap", problem="it is no capture: text")
    made = plan(NSM, [growing, odd], NOW)
    assert {type(d.action) for d in made.decisions} == {Keep}
    assert made.warnings == (r"/nsm/x\x1b[2J.pcap: left alone: it is no capture: text",)


def test_a_ledger_alone_stays_until_everything_goes() -> None:
    alone = file(0, 61, size=0, ledger="there", ledger_size=5000, stage=Stage("flows-only"))
    assert only(plan(NSM, [alone], NOW)) == (
        Keep(),
        "only its ledger is left (only the ledger is kept from 60d on (line 20))",
    )
    late = replace(alone, last_ts=NOW - 91 * DAY, first_ts=NOW - 91 * DAY)
    made = plan(NSM, [late], NOW)
    assert only(made)[0] == Delete() and made.bytes_after == 0


def test_a_file_with_locked_flows_keeps_them() -> None:
    whole = sizes([5_000_000, 2000])
    locked = sizes([2000])
    own = Sizes(**{**whole.__dict__, "classes": ((locked.held, locked.packets, locked.curve),)})
    state = file(0, 100, (5_000_000, 2000), sizes=own)
    (decision,) = plan(NSM, [state], NOW).decisions
    assert decision.action == Cut(0) and "locked flows stay" in decision.reason
    assert 2000 < decision.bytes_after_estimate < 25_000
    again = replace(state, stage=Stage("cut", 0))
    assert only(plan(NSM, [again], NOW))[0] == Keep()


def test_a_packet_from_the_future_does_not_make_a_file_young_for_ever() -> None:
    state = file(0, 10, last_ts=NOW + 400 * DAY)
    made = plan(NSM, [state], NOW)
    assert only(made)[0] == Cut(100_000)
    assert "which is yet to come" in made.warnings[0]
    # Nothing tells how old it is: it is the newest.
    assert only(plan(NSM, [replace(state, mtime_ns=NOW + DAY)], NOW))[0] == Keep()


def test_a_clock_that_was_not_set_does_not_make_a_file_old() -> None:
    state = file(0, 1, first_ts=0, last_ts=60_000_000_000)
    old = file(1, 50)
    made = plan(NSM, [state, old], NOW)
    assert [d.file.path for d in made.decisions] == [old.path, state.path]
    assert made.decisions[1].action == Keep() and "a clock was not set" in made.warnings[0]


def test_a_file_of_which_nothing_is_known_ages_by_its_change() -> None:
    state = file(0, 10, first_ts=NOW - 20 * DAY, last_ts=None, sizes=None)
    (decision,) = plan(NSM, [state], NOW).decisions
    assert decision.action == Cut(100_000) and decision.bytes_after_estimate == state.size


def test_free_space_is_a_budget_by_what_is_there_now() -> None:
    files = [file(n, n + 1) for n in range(4)]
    total = sum(f.size for f in files)
    dataset = replace(NSM, tiers=(Tier(None, 10_000),), budget=Budget(free_share=0.1, headroom=0))
    made = plan(dataset, files, NOW, room=Room(free=100, total=1_000_000))
    assert made.allowed == total + 100 - 100_000
    assert [d.action.name for d in made.decisions] == ["cut", "keep", "keep", "keep"]


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0s"), (59_000_000_000, "59s"), (61_000_000_000, "1min"), (3_600_000_000_000, "1h"),
     (DAY - 1, "23h 59min"), (DAY, "1d"), (2 * DAY - 1, "1d 23h"), (400 * DAY, "400d")],
)  # fmt: skip
def test_ages_read_well(ns: int, text: str) -> None:
    assert age_text(ns) == text


def test_a_file_that_holds_no_more_than_the_cutoff_is_not_written_anew() -> None:
    assert only(plan(NSM, [file(0, 4, [900_000, 1_000_000])], NOW)) == (
        Keep(),
        "at its tier: 1MB from 3d on (line 7)",
    )
    assert only(plan(NSM, [file(0, 4, [900_000, 1_000_100])], NOW))[0] == Cut(1_000_000)
