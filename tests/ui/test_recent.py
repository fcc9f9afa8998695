"""What is kept, how much of it, and that nothing is made twice at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flowkeep.ui.recent import Recent
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60), st.integers(1, 5))
def test_it_keeps_the_last_within_both_bounds(asked: list[tuple[int, int]], most: int) -> None:
    sizes: dict[int, int] = {}
    recent = Recent(most, 100, lambda made: int(made[1]))
    model: list[int] = []
    for key, size in asked:
        made = recent.get(key, lambda key=key, size=size: (key, size))  # type: ignore[misc]
        if key in model:
            assert made == (key, sizes[key])  # not made anew
            model.remove(key)
        else:
            sizes[key] = size
        model.append(key)
        while len(model) > most or sum(sizes[k] for k in model) > 100:
            model.pop(0)
        assert len(recent) == len(model) and recent.bytes == sum(sizes[k] for k in model) <= 100


def test_what_alone_is_too_large_pushes_nothing_out() -> None:
    recent = Recent(5, 100, len)
    recent.get("small", lambda: bytes(10))
    assert len(recent.get("large", lambda: bytes(101))) == 101
    assert (len(recent), recent.bytes) == (1, 10)


def test_who_asks_at_the_same_time_waits_for_the_one_who_makes_it() -> None:
    recent, going, go, made = Recent(5), threading.Event(), threading.Event(), []

    def make() -> object:
        going.set()
        assert go.wait(60)
        made.append(object())
        return made[-1]

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(recent.get, "key", make)
        assert going.wait(60)
        others = [pool.submit(recent.get, "key", make) for _ in range(3)]
        go.set()
        results = {id(each.result(60)) for each in (first, *others)}
    assert len(made) == 1 and results == {id(made[0])}


def test_an_error_reaches_all_and_is_not_kept() -> None:
    recent = Recent(5)
    with pytest.raises(ZeroDivisionError):
        recent.get("key", lambda: 1 // 0)
    assert recent.get("key", lambda: 7) == 7
