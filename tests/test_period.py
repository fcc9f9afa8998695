"""Periods of made beacons are found, and noise has none."""

from __future__ import annotations

import random

import polars as pl
import pytest
from flowkeep.ops import period
from flowkeep.ops.period import periods

SECOND = 1_000_000_000
Row = tuple[float | None, float | None, float | None]


def beacon(
    dice: random.Random, every: float, jitter: float, count: int, *, missing: float = 0, first: float = 0
) -> list[int]:
    """Starts of a beacon that sleeps ``every`` seconds ± ``jitter`` (uniform); some beats are missing."""
    now, starts = first, []
    for _ in range(count):
        if dice.random() >= missing:
            starts.append(round(now * SECOND))
        now += every * (1 + dice.uniform(-jitter, jitter))
    return starts


def poisson(dice: random.Random, rate: float, count: int) -> list[int]:
    now, starts = 0.0, []
    for _ in range(count):
        now += dice.expovariate(rate)
        starts.append(round(now * SECOND))
    return starts


def told(*series: list[int]) -> list[Row]:
    """(regularity, period, jitter) of each series; null where nothing is said."""
    rows = [(i, start) for i, starts in enumerate(series) for start in starts]
    frame = pl.DataFrame(rows, schema={"series": pl.Int64, "start": pl.Int64}, orient="row")
    found = {i: tuple(rest) for i, *rest in periods(frame).iter_rows()}
    return [found.get(i, (None, None, None)) for i in range(len(series))]


@pytest.mark.parametrize("every", [5.0, 60.0, 3600.0, 86_400.0])
@pytest.mark.parametrize(
    ("jitter", "missing", "count", "least"),
    [(0.0, 0.0, 8, 1.0), (0.1, 0.0, 20, 0.9), (0.3, 0.0, 60, 0.9), (0.0, 0.2, 30, 0.5), (0.1, 0.2, 60, 0.5),
     (0.3, 0.2, 300, 0.4)],
)  # fmt: skip
def test_beacons(every: float, jitter: float, missing: float, count: int, least: float) -> None:
    dice = random.Random(f"{every} {jitter} {missing}")
    for regularity, found, spread in told(
        *(beacon(dice, every, jitter, count, missing=missing) for _ in range(5))
    ):
        assert regularity is not None
        assert found is not None
        assert spread is not None
        assert least <= regularity <= 1
        assert found == pytest.approx(every, rel=0.01 + jitter / 2)
        assert spread == pytest.approx(jitter / 3**0.5, abs=0.07)  # of a uniform distribution


def test_of_two_interleaved_periods_the_more_frequent_is_found() -> None:
    for jitter in (0.0, 0.1):
        dice = random.Random(5)
        both = beacon(dice, 60, jitter, 100) + beacon(dice, 97, jitter, 62, first=7)
        ((regularity, found, _),) = told(both)
        assert found == pytest.approx(60, rel=0.03)
        assert regularity is not None
        assert 0.4 < regularity < 0.8


@pytest.mark.parametrize("rate", [10.0, 1.0, 0.1, 0.001])
def test_noise_is_taken_for_a_beacon_in_less_than_one_of_a_thousand(rate: float) -> None:
    dice = random.Random(f"noise {rate}")
    series = [poisson(dice, rate, 10) for _ in range(2000)]
    series += [poisson(dice, rate, 40) for _ in range(1000)] + [poisson(dice, rate, 300) for _ in range(100)]
    alarms = [row for row in told(*series) if row[0]]
    assert len(alarms) <= len(series) // 1000


def test_bursts_are_one_start() -> None:
    """A browser opens some connections at once; that is not a period of some milliseconds, nor hides the minute."""
    dice = random.Random(3)
    starts = [t + round(dice.random() * 0.1 * SECOND) for t in beacon(dice, 60, 0, 20) for _ in range(6)]
    ((regularity, found, _),) = told(starts)
    assert found == pytest.approx(60, rel=0.01)
    assert regularity == pytest.approx(1, abs=0.01)


def test_with_few_starts_nothing_is_said() -> None:
    few = [i * 60 * SECOND for i in range(period.FEWEST_STARTS - 1)]
    assert told(few, [], [7] * 100) == [(None, None, None)] * 3
    # Five in a row may be chance: there are not hits enough to be sure.
    ((regularity, *_),) = told([0, 61 * SECOND, 130 * SECOND, 150 * SECOND, 400 * SECOND])
    assert regularity == 0


def test_only_the_first_starts_count() -> None:
    regular = [i * 10 * SECOND for i in range(period.MOST_STARTS)]
    dice = random.Random(4)
    noise = [regular[-1] + t for t in poisson(dice, 1, 2000)]
    ((regularity, found, _),) = told(regular + noise)
    assert (regularity, found) == (1.0, 10.0)


def test_order_and_other_series_change_nothing() -> None:
    dice = random.Random(6)
    a, b = beacon(dice, 30, 0.1, 50), poisson(dice, 0.01, 60)
    shuffled = dice.sample(a, len(a))
    assert told(a)[0] == pytest.approx(told(shuffled, b)[0])
