"""The solver against brute force, and what happens when nothing fits."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from flowkeep.retain.budget import LARGEST, ONE, Solver, ages_at, level, shape
from flowkeep.retain.model import Budget, Cut, DataSet, Delete, FlowsOnly, Keep, Tier
from flowkeep.retain.plan import plan
from hypothesis import given
from hypothesis import strategies as st

from .made import DAY, NOW, carried_out, file

CUTS = (Tier(None, 1_000_000), Tier(None, 100_000), Tier(None, 10_000))
NSM = DataSet("nsm", ("/nsm/*",), tiers=CUTS)
afters = st.lists(st.one_of(st.none(), st.integers(1, 8)), min_size=1, max_size=4)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Tier], list[int], list[list[int]]]:
    """Tiers of which some say an age, ages of files, and their sizes at each level."""
    tiers, last = [], 0
    for n, after in enumerate(draw(afters)):
        if after is not None:
            last += after
        tiers.append(Tier(None if after is None else last * DAY, 10_000 - n))
    rows = draw(st.lists(st.tuples(st.integers(0, 30 * 24), st.lists(st.integers(0, 50), min_size=len(tiers) + 1,
                                                                   max_size=len(tiers) + 1)), max_size=7))  # fmt: skip
    return tiers, [hours * DAY // 24 for hours, _ in rows], [sorted(row, reverse=True) for _, row in rows]


def at(tiers: list[Tier], ages: list[int], sizes: list[list[int]], factor: int) -> tuple[list[int], int]:
    """Levels and bytes at a factor, file by file."""
    limits = ages_at(tiers, factor)
    levels = [level(limits, age) for age in ages]
    return levels, sum(row[n + 1] for row, n in zip(sizes, levels, strict=True))


@given(cases(), st.integers(0, 400))
def test_the_solver_finds_the_gentlest_factor(
    case: tuple[list[Tier], list[int], list[list[int]]], allowed: int
) -> None:
    tiers, ages, sizes = case
    solver = Solver(tiers, ages, sizes)
    found = solver.solve(allowed)
    # The levels change only where a file's age meets the age of a tier; and just below that.
    candidates = {0, LARGEST, ONE}
    for age in ages:
        for tier_age in shape(tiers):
            exact = int(Fraction(age * ONE, tier_age))
            candidates |= {c for c in range(exact - 2, exact + 3) if 0 <= c <= LARGEST}
    for factor in candidates:
        assert solver.total(factor) == at(tiers, ages, sizes, factor)[1]
    fitting = [f for f in candidates if at(tiers, ages, sizes, f)[1] <= allowed]
    assert found.fits == bool(fitting)
    if fitting:
        best = max(fitting)
        assert at(tiers, ages, sizes, found.factor)[1] <= allowed
        assert at(tiers, ages, sizes, found.factor) == at(tiers, ages, sizes, best)
    else:
        assert found.factor == 0


@given(cases(), st.lists(st.integers(0, LARGEST), min_size=2, max_size=2).map(sorted))
def test_older_files_have_no_more_and_larger_factors_are_gentler(
    case: tuple[list[Tier], list[int], list[list[int]]], factors: list[int]
) -> None:
    tiers, ages, sizes = case
    less, more = (at(tiers, ages, sizes, f) for f in factors)
    assert all(a >= b for a, b in zip(less[0], more[0], strict=True)) and less[1] <= more[1]
    for levels, _ in (less, more):
        by_age = [n for _, n in sorted(zip(ages, levels, strict=True))]
        assert by_age == sorted(by_age)


def test_a_tier_comes_no_later_than_it_says() -> None:
    tiers = [Tier(3 * DAY, 1000), Tier(None, 100)]
    assert ages_at(tiers, LARGEST)[0] == ages_at(tiers, 5 * ONE)[0] == 3 * DAY
    assert ages_at(tiers, ONE // 2)[0] == 3 * DAY // 2
    assert ages_at(tiers, 5 * ONE)[1] == 30 * DAY


def test_tiers_that_keep_no_packets_are_not_hastened() -> None:
    tiers = [Tier(3 * DAY, 1000), Tier(30 * DAY, kind="flows-only"), Tier(90 * DAY, kind="delete")]
    assert ages_at(tiers, 0) == [0, 30 * DAY, 90 * DAY]


budgets = st.integers(0, 30_000_000)
flows = st.lists(st.integers(0, 3000).map(lambda n: n * n // 100 * 100), min_size=1, max_size=6)
archives = st.lists(st.tuples(st.floats(0, 100), flows), min_size=1, max_size=10)


@given(archives, budgets)
def test_a_plan_stays_within_its_budget_and_cuts_from_the_old_end(
    made: list[tuple[float, list[int]]], allowed: int
) -> None:
    dataset = replace(NSM, budget=Budget(disk=allowed, headroom=0))
    files = [file(n, age, sizes) for n, (age, sizes) in enumerate(made)]
    result = plan(dataset, files, NOW)
    assert result.fits == (result.bytes_after <= allowed)
    actions = [d.action for d in result.decisions]
    # Deleted are the oldest, and only when every flow of all others is at its first bytes.
    deleted = [isinstance(a, Delete) for a in actions]
    assert deleted == sorted(deleted, reverse=True) and not deleted[-1]
    if any(deleted):
        at_least = [a for a in actions if isinstance(a, Cut)]
        assert all(a.cutoff <= 10_000 for a in at_least)
        for d in result.decisions:
            if not isinstance(d.action, Delete):
                emergency = plan(replace(NSM, tiers=(Tier(1, 1000),)), [d.file], NOW).decisions[0]
                assert d.bytes_after_estimate <= max(emergency.bytes_after_estimate, d.bytes_after_estimate)
    # What fits without is not touched.
    if sum(f.size for f in files) <= allowed:
        assert actions == [Keep()] * len(files)


def test_every_flow_keeps_its_first_bytes_before_a_file_goes() -> None:
    files = [file(n, 10 - n, [100_000] * 10) for n in range(5)]
    tight = sum(
        d.bytes_after_estimate for d in plan(replace(NSM, tiers=(Tier(0, 10_000),)), files, NOW).decisions
    )
    first = plan(replace(NSM, budget=Budget(disk=tight - 1, headroom=0)), files, NOW)
    assert first.fits and [d.action for d in first.decisions] == [
        Cut(1000, emergency=True), *[Cut(10_000)] * 4,
    ]  # fmt: skip
    floor = sum(
        d.bytes_after_estimate for d in plan(replace(NSM, tiers=(Tier(0, 1000),)), files, NOW).decisions
    )
    second = plan(replace(NSM, budget=Budget(disk=floor - 1, headroom=0)), files, NOW)
    assert [d.action for d in second.decisions] == [
        Delete(emergency=True), *[Cut(1000, emergency=True)] * 4,
    ]  # fmt: skip
    assert "the oldest files go" in second.decisions[0].reason
    assert (
        plan(replace(NSM, budget=Budget(disk=floor - 1, headroom=0)), carried_out(second), NOW).bytes_after
        <= floor
    )


def test_where_flow_tables_are_wanted_they_outlive_the_captures() -> None:
    files = [file(n, 10 - n, [100_000] * 10) for n in range(5)]
    dataset = replace(
        NSM, tiers=(*CUTS, Tier(60 * DAY, kind="flows-only")), budget=Budget(disk=125_000, headroom=0)
    )
    made = plan(dataset, files, NOW)
    assert [type(d.action) for d in made.decisions] == [FlowsOnly] * 4 + [Cut]
    assert made.fits


def test_the_newest_stays_and_the_report_says_that_it_does_not_fit() -> None:
    files = [file(n, 10 - n) for n in range(3)]
    made = plan(replace(NSM, budget=Budget(disk=10, headroom=0)), files, NOW)
    assert not made.fits
    assert [type(d.action) for d in made.decisions] == [Delete, Delete, Cut]


def test_files_that_cannot_be_cut_count_and_stay() -> None:
    growing = file(9, 0, [20_000_000], growing=True)
    files = [file(n, 10 - n) for n in range(3)]
    made = plan(replace(NSM, budget=Budget(disk=growing.size + 100_000, headroom=0)), [*files, growing], NOW)
    assert made.fits and made.decisions[-1].action == Keep()
    assert made.hasten is not None and made.hasten < 10


def test_room_is_left_for_what_is_written_meanwhile() -> None:
    files = [file(n, 10 - n) for n in range(3)]
    largest = max(f.size for f in files)
    made = plan(replace(NSM, budget=Budget(disk=100 * largest)), files, NOW)
    assert made.allowed == 98 * largest
    assert plan(replace(NSM, budget=Budget(disk=4 * largest)), files, NOW).allowed == 3 * largest
