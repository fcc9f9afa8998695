"""A page at any place is that part of the whole table, sorted: beside Python's own sort."""

from __future__ import annotations

import ipaddress
import math
from typing import Any

import polars as pl
import pytest
from flowkeep.ui.table import Chosen, Ordered, Step
from flowkeep.ui.view import Sort
from flowkeep.ui.window import key_of
from hypothesis import given, settings
from hypothesis import strategies as st

FEW = st.sampled_from(
    ["", "a", "ab", "common/a", "common/b", "common/bbbbbbbbbX", "common/bbbbbbbbbY", "é", "a\0", "日本"]
)
ADDRESS = st.ip_addresses(v=4, network="10.0.0.0/28").map(str) | st.ip_addresses(
    v=6, network="2001:db8::/124"
).map(str)
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "number": (pl.UInt64, st.integers(0, 3) | st.integers(0, 2**64 - 1)),
    "signed": (pl.Int64, st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)),
    "small": (pl.UInt8, st.integers(0, 255)),
    "real": (pl.Float64, st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, math.nan])),
    "flag": (pl.Boolean, st.booleans()),
    "text": (pl.String, FEW),
    "alike": (pl.String, st.sampled_from(["same/prefix/x", "same/prefix/x/longer", "same/prefix/y", "same/prefix/"])),
    "ip": (pl.String, ADDRESS),
    "coded": (pl.Enum(["z", "a", "m"]), st.sampled_from(["z", "a", "m"])),
    "time": (pl.Datetime("ns", "UTC"), st.integers(0, 2**62)),
    "span": (pl.Duration("ns"), st.integers(-5, 5)),
    "list": (pl.List(pl.String), st.lists(FEW, max_size=3)),
}  # fmt: skip


def plainly(kind: str, value: Any) -> Any:
    if kind == "ip":
        address = ipaddress.ip_address(value)
        return address.version, int(address)
    if kind == "real":
        return math.isnan(value), 0.0 if math.isnan(value) else value
    if kind in ("text", "alike"):
        return value.encode()
    if kind == "coded":
        return ["z", "a", "m"].index(value)
    return len(value) if kind == "list" else value


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(data=st.data(), descending=st.booleans(), nulls=st.booleans())
def test_a_page_is_a_part_of_the_whole(kind: str, data: st.DataObject, descending: bool, nulls: bool) -> None:
    dtype, values = KINDS[kind]
    column = data.draw(st.lists(st.none() | values if nulls else values, max_size=40))
    mask = data.draw(st.none() | st.lists(st.booleans(), min_size=len(column), max_size=len(column)))
    offset, n = data.draw(st.integers(0, 45)), data.draw(st.integers(0, 45))
    rows = [i for i in range(len(column)) if mask is None or mask[i]]
    there = [i for i in rows if column[i] is not None]
    # Equal ones stay in their order, also where it descends.
    there.sort(key=lambda i: plainly(kind, column[i]), reverse=descending)
    wanted = there + [i for i in rows if column[i] is None]
    table = Ordered(pl.DataFrame({kind: pl.Series(column, dtype=dtype)}))
    chosen = None
    if mask is not None:
        chosen = Chosen((Step("all", len(rows), 0),), pl.Series(mask, dtype=pl.Boolean))
    found = table.rows(chosen, Sort(kind, descending), offset, n).to_list()
    assert found == wanted[offset : offset + n]
    unsorted = table.rows(chosen, None, offset, n).to_list()
    assert unsorted == rows[offset : offset + n]


@pytest.mark.parametrize("kind", ["number", "coded", "time"])
def test_a_key_of_numbers_takes_no_memory_of_its_own(kind: str) -> None:
    values = {"number": [1, 2], "coded": ["a", "z"], "time": [5, 6]}[kind]
    assert key_of(pl.Series(values, dtype=KINDS[kind][0])).own == 0


def test_keys_that_take_memory_are_kept_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowkeep.ui.table._KEY_BYTES", 3000)
    texts = [f"text {n}" for n in range(100)]
    table = Ordered(pl.DataFrame(dict.fromkeys("abcdef", texts)))
    for name in "abcdef":
        assert table.rows(None, Sort(name, True), 0, 1).to_list() == [99]
    assert 0 < table._keys.bytes <= 3000 and len(table._keys) < 6
