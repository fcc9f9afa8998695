"""How regular a series of starts is, and what its period most likely is.

The method, its bounds and its false alarms are described in docs/guide/beacons.md; keep both in step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

MOST_STARTS = 4096
"""Starts of one series that are looked at: the first ones."""
FEWEST_STARTS = 5
"""With fewer starts nothing is said."""
BURST_NS = 200_000_000
"""A start so soon after another one belongs to the same burst; only the first of a burst counts."""
SHORTEST_S = 2.0
"""Periods from here on are looked for, up to a third of the series' length."""
LAGS = 6
"""Each start is compared with so many that follow."""
WIDTHS = (0.04, 0.26, 0.8)
"""Widths of the windows for a period, as natural logarithms: for about 0, 10 and 30 % jitter."""
PHASES = (2, 4, 4)
"""For each width: so many rows of windows, shifted against each other."""
CROWDS = (6.0, 3.0, 1.5)
"""For each width: starts in one period, on average, up to which it is tried. In a crowd, something always
follows in a wide window."""
ALARM = 1e-3
"""The chance at which a series without any period is taken for regular, by the bound of the test."""

_FEWEST_HITS = 4
_WINDOWS = 1 << 12
"""More than there are windows of the smallest width between 1 ns and the end of time."""


def _divergence(share: pl.Expr, chance: pl.Expr) -> pl.Expr:
    """Kullback and Leibler's divergence of two shares; 0 where the first is the smaller one."""
    import polars as pl

    rest = pl.when(share < 1).then((1 - share) * ((1 - share) / (1 - chance)).log()).otherwise(0.0)
    return pl.when(share > chance).then(share * (share / chance).log() + rest).otherwise(0.0)


def _thinned(starts: pl.DataFrame) -> pl.DataFrame:
    """The first starts of bursts, at most :data:`MOST_STARTS` a series, in order."""
    import polars as pl

    # Shifts over the whole sorted table are many times faster than one shift for each series.
    anew = pl.col("series") != pl.col("series").shift(1)
    gap = pl.col("start") - pl.col("start").shift(1)
    first = (
        starts.sort("series", "start").filter(anew.fill_null(True) | (gap >= BURST_NS)).with_row_index("at")
    )
    begins = first.group_by("series").agg(begin=pl.col("at").min(), n=pl.len())
    first = first.join(begins.filter(pl.col("n") >= FEWEST_STARTS), on="series", maintain_order="left")
    return first.filter(pl.col("at") - pl.col("begin") < MOST_STARTS).select("series", "start")


def _windows(apart: list[pl.Series], series: pl.Series, width: float, phase: float) -> pl.DataFrame:
    """Windows of one width: series, window, hits (starts that another one follows in it), mean distance."""
    import polars as pl

    # Series and window in one number: grouping by one column takes half the time.
    base = series.cast(pl.Int64) * _WINDOWS
    parts, before = [], None
    for lag in apart:
        number = (lag.log() / width + phase).floor().cast(pl.Int64) + _WINDOWS // 2
        fresh = number if before is None else number.set(before.eq_missing(number), None)
        before = number
        parts.append(pl.DataFrame({"key": base + fresh, "s": lag}).drop_nulls("key"))
    windows = pl.concat(parts).group_by("key").agg(hits=pl.len().cast(pl.Float64), period=pl.col("s").mean())
    return windows.select(
        pl.col("key"),
        pl.col("hits"),
        pl.col("period"),
        series=pl.col("key") // _WINDOWS,
        low=((pl.col("key") % _WINDOWS - _WINDOWS // 2 - phase) * width).exp(),
        high=((pl.col("key") % _WINDOWS - _WINDOWS // 2 + 1 - phase) * width).exp(),
    )


def _candidates(windows: pl.DataFrame, series: pl.DataFrame, crowd: float) -> pl.DataFrame:
    """The best windows of each series, with the chance that a start hits one without any period."""
    import polars as pl

    found = windows.filter(pl.col("hits") >= _FEWEST_HITS).join(series, on="series")
    span, n, period = pl.col("span"), pl.col("n"), pl.col("period")
    reach = pl.col("high") - pl.col("low")
    crowded = (n - 1) / span * period > crowd
    found = found.filter((period >= SHORTEST_S) & (period * 3 <= span) & ~crowded).with_columns(
        # Starts behind which a whole period was observed.
        able=pl.max_horizontal((n * (1 - period / span)).ceil(), pl.col("hits")),
        # Between the first starts of bursts nothing can follow at once.
        chance=1 - (-(n - 1) / (span - (n - 1) * BURST_NS / 1e9) * reach).exp(),
    )
    share = pl.col("hits") / pl.col("able")
    found = found.with_columns(score=pl.col("able") * _divergence(share, pl.col("chance")))
    best = found.filter(pl.col("score") > 0).sort("series", "score", descending=[False, True])
    best = best.group_by("series", maintain_order=True).head(4)
    # The windows beside tell what is usual in this series at such distances, Poisson or not.
    for offset in (-2, -1, 1, 2):
        beside = windows.select(pl.col("key") - offset, pl.col("hits").alias(f"beside{offset}"))
        best = best.join(beside, on="key", how="left")
    usual = pl.sum_horizontal(pl.col(f"beside{o}").fill_null(0) for o in (-2, -1, 1, 2)) / 4
    chance = pl.max_horizontal("chance", pl.min_horizontal(usual / pl.col("able"), 0.999))
    best = best.with_columns(chance=chance, share=share)
    tested = sum(p / w for w, p in zip(WIDTHS, PHASES, strict=True)) * (
        pl.col("span") / 3 / SHORTEST_S
    ).log().clip(lower_bound=1.0)
    return best.with_columns(score=pl.col("able") * _divergence(share, chance) - tested.log())


def _distances(apart: pl.DataFrame, best: pl.DataFrame) -> pl.DataFrame:
    """Median and standard deviation of the distances in each series' window."""
    import polars as pl

    chosen = apart.join(best.select(pl.col("series"), "low", "high"), on="series")
    long = chosen.unpivot(index=["series", "low", "high"], value_name="s").drop_nulls("s")
    inside = long.filter((pl.col("s") >= pl.col("low")) & (pl.col("s") < pl.col("high")))
    return inside.group_by("series").agg(middle=pl.col("s").median(), spread=pl.col("s").std())


def periods(starts: pl.DataFrame) -> pl.DataFrame:
    """The regularity of many series of starts at once.

    ``starts`` has the columns ``series`` (any integer) and ``start`` (nanoseconds, integer). The result
    has a row a series that has at least :data:`FEWEST_STARTS` bursts: ``series``, ``regularity`` (0 to 1: the
    share of starts that another one follows after one period, less what chance would give; 0 when no period
    is beyond chance), ``period`` (seconds) and ``jitter`` (standard deviation of the distances taken for one
    period, as a share of it); the last two are null when the regularity is 0.
    """
    import polars as pl

    frame = _thinned(starts.with_columns(pl.col("series").cast(pl.Int64)))
    series = (
        frame.group_by("series")
        .agg(n=pl.len().cast(pl.Float64), span=(pl.col("start").max() - pl.col("start").min()) / 1e9)
        .filter(pl.col("n") >= FEWEST_STARTS)
    )
    if frame.is_empty():
        empty: dict[str, Any] = {"regularity": pl.Float64, "period": pl.Float64, "jitter": pl.Float64}
        return series.select("series").with_columns(pl.lit(None, dtype=t).alias(n) for n, t in empty.items())
    lags = (
        pl.when(pl.col("series").shift(-k) == pl.col("series"))
        .then((pl.col("start").shift(-k) - pl.col("start")) / 1e9)
        .alias(str(k))
        for k in range(1, LAGS + 1)
    )
    apart = frame.select("series", *lags)
    found = [
        _candidates(_windows(apart.get_columns()[1:], apart["series"], width, phase), series, crowd)
        for width, phases, crowd in zip(WIDTHS, PHASES, CROWDS, strict=True)
        for phase in (i / phases for i in range(phases))
    ]
    columns = ["series", "score", "share", "chance", "period", "low", "high"]
    best = pl.concat(f.select(columns) for f in found).filter(pl.col("score") > -math.log(ALARM))
    best = best.sort("series", "score", "period", descending=[False, True, False]).unique(
        "series", keep="first", maintain_order=True
    )
    share, chance = pl.col("share"), pl.col("chance")
    spread = _distances(apart, best)
    best = best.join(spread, on="series").select(
        "series",
        regularity=((share - chance) / (1 - chance)).clip(0.0, 1.0),
        period="middle",
        jitter=pl.col("spread") / pl.col("middle"),
    )
    told = series.select("series").join(best, on="series", how="left")
    return told.with_columns(pl.col("regularity").fill_null(0.0)).select(
        "series", "regularity", "period", "jitter"
    )
