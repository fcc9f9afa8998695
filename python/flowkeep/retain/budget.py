"""The gentlest ages at which a data set fits its budget.

The tiers of a policy are a curve: allowance by age. The solver multiplies the ages of its cutting tiers by
one factor and finds the largest factor at which the files fit. A tier that says ``after`` comes no later than
that (the factor counts up to 1), one without comes as late as the room allows. The sum over all files never
shrinks when the factor grows, so the factor is found by halving.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..units import DAY
from .model import Tier

ONE = 1 << 20
"""The factor 1. Factors are whole numbers, so that nothing depends on rounding."""
LARGEST = ONE << 20


def shape(tiers: Sequence[Tier]) -> list[int]:
    """The ages at factor 1: as the policy says; else twice that of the tier before, at first a day."""
    ages: list[int] = []
    before = DAY // 2
    for tier in tiers:
        before = 2 * before if tier.after is None else max(tier.after, 1)
        ages.append(before)
    return ages


def ages_at(tiers: Sequence[Tier], factor: int) -> list[int]:
    """The ages at a factor. Tiers that keep no packets are not hastened: bytes are cut before files go."""
    found = []
    for tier, age in zip(tiers, shape(tiers), strict=True):
        if tier.kind != "cut":
            found.append(LARGEST * DAY if tier.after is None else tier.after)
        elif tier.after is None:
            found.append(LARGEST * DAY if factor >= LARGEST else age * factor // ONE)
        else:
            found.append(age * min(factor, ONE) // ONE)
    return found


def level(ages: Sequence[int], age: int) -> int:
    """Number of the tightest tier that an age has reached, -1 for none."""
    reached = -1
    for n, at in enumerate(ages):
        if age >= at:
            reached = n
    return reached


@dataclass(frozen=True)
class Solution:
    """What was found."""

    factor: int
    """In units of 1 / :data:`ONE`; LARGEST: the budget asks for nothing."""
    bytes: int
    fits: bool


class Solver:
    """Files by age, with the bytes that each tier would leave of them."""

    def __init__(self, tiers: Sequence[Tier], ages: Sequence[int], sizes: Sequence[Sequence[int]]) -> None:
        """``sizes``: per file its bytes in no tier, in the first one, and so on; they must not grow."""
        self.tiers = tiers
        order = sorted(range(len(ages)), key=lambda i: ages[i])
        self.ages = [ages[i] for i in order]
        # Per level the sums over the youngest files.
        self.sums = [list(accumulate((sizes[i][n] for i in order), initial=0)) for n in range(len(tiers) + 1)]

    def total(self, factor: int) -> int:
        """Bytes of all files at a factor."""
        # A file is in the tightest tier that it has reached: tiers later in the list count first.
        total, end = 0, len(self.ages)
        limits = ages_at(self.tiers, factor)
        for n in range(len(limits) - 1, -1, -1):
            begin = min(bisect_left(self.ages, limits[n]), end)
            total += self.sums[n + 1][end] - self.sums[n + 1][begin]
            end = begin
        return total + self.sums[0][end]

    def solve(self, allowed: int) -> Solution:
        """The largest factor at which no more than ``allowed`` bytes are left; 0 if there is none."""
        if (whole := self.total(LARGEST)) <= allowed:
            return Solution(LARGEST, whole, True)
        if (least := self.total(0)) > allowed:
            return Solution(0, least, False)
        low, high = 0, LARGEST
        while high - low > 1:
            middle = (low + high) // 2
            if self.total(middle) <= allowed:
                low = middle
            else:
                high = middle
        return Solution(low, self.total(low), True)
