"""The rows at some places of a sorted table, found without sorting it.

The values at the first and at the last of these places are selected in linear time; what lies between is a
page, and that alone is sorted. So a page in the middle of millions of rows costs what the first one does, and
no order is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]


@dataclass(frozen=True)
class Key:
    """Integers that sort as the values of a column."""

    numbers: Array
    """One a row; anything below a null."""
    valid: Array | None = None
    """Whether a row has a value; None: all have."""
    texts: pl.Series | None = None
    """What is compared where numbers are the same; None: the same numbers stand for the same values."""
    own: int = 0
    """Bytes that are not shared with the table."""


def key_of(column: pl.Series, *, address: bool = False) -> Key:
    """The key of a column. Text is compared by its bytes; ``address``: as IPv4 and then IPv6 numbers."""
    import polars as pl

    if column.dtype == pl.List:
        column = column.list.len()
    if column.dtype == pl.String:
        return _ranked(column) if address else _text(column)
    physical = column.to_physical()
    valid = None
    if physical.null_count():
        valid = physical.is_not_null().to_numpy()
        physical = physical.fill_null(False if physical.dtype == pl.Boolean else 0)
    numbers = physical.to_numpy()
    if numbers.dtype == np.bool_:
        numbers = numbers.view(np.uint8)
    elif numbers.dtype.kind == "f":
        numbers = _float(numbers.astype(np.float64))
    shared = valid is None and np.shares_memory(numbers, _buffer(physical))
    own = (0 if shared else numbers.nbytes) + (0 if valid is None else valid.nbytes)
    return Key(numbers, valid, None, own)


def _buffer(column: pl.Series) -> Array:
    import polars as pl

    return np.empty(0) if column.dtype == pl.Boolean else column.to_numpy()


def _float(values: Array) -> Array:
    """Integers in the order of floating-point numbers; both zeros are one, what is no number comes last."""
    values = values + 0.0
    values[np.isnan(values)] = np.nan
    bits = values.view(np.int64)
    ordered: Array = bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))
    return ordered


def _text(column: pl.Series) -> Key:
    """Eight bytes of each text, behind those that all texts begin with."""
    import polars as pl

    valid = column.is_not_null().to_numpy() if column.null_count() else None
    if column.null_count() == len(column):
        return Key(np.zeros(len(column), np.uint8), valid, None, 2 * len(column))
    least, most = str(column.min()).encode(), str(column.max()).encode()
    same = next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), len(least))
    part = column.cast(pl.Binary).bin.slice(same, 8)
    numbers = part.bin.reinterpret(dtype=pl.UInt64, endianness="big")
    if numbers.null_count() > column.null_count():  # some are shorter
        padded = part.to_frame("part").select(pl.col("part") + pl.lit(bytes(8))).to_series()
        numbers = padded.bin.slice(0, 8).bin.reinterpret(dtype=pl.UInt64, endianness="big")
    array = numbers.fill_null(0).to_numpy()
    return Key(array, valid, column, array.nbytes + (0 if valid is None else valid.nbytes))


def _ranked(column: pl.Series) -> Key:
    """Addresses that are text: each is looked at once."""
    import polars as pl

    def packed(text: str) -> tuple[bool, bytes]:
        six = ":" in text
        return six, inet_pton(AF_INET6 if six else AF_INET, text)

    texts = sorted(column.unique().drop_nulls().to_list(), key=packed)
    ranks = pl.DataFrame({"text": texts, "rank": pl.int_range(len(texts), dtype=pl.UInt32, eager=True)},
                         schema={"text": pl.String, "rank": pl.UInt32})  # fmt: skip
    found = column.to_frame("text").join(ranks, on="text", how="left", maintain_order="left")["rank"]
    return key_of(found)


def rows_at(key: Key, mask: Array | None, start: int, stop: int, *, descending: bool) -> Array:
    """The rows at the places ``start`` to ``stop`` of those that a mask chooses, sorted by a key: null last,
    equal ones in their order in the table."""
    kept = mask if key.valid is None else key.valid if mask is None else mask & key.valid
    numbers, rows = key.numbers, None
    if kept is not None:
        rows = np.flatnonzero(kept)
        numbers = numbers[rows]
    if descending:
        numbers = ~numbers
    found = _places(numbers, rows, key.texts, start, stop, descending=descending)
    if key.valid is None:
        return found
    missing = np.flatnonzero(~key.valid if mask is None else mask & ~key.valid)
    count = len(numbers)
    return np.concatenate([found, missing[max(start - count, 0) : max(stop - count, 0)]])


def _places(
    numbers: Array, rows: Array | None, texts: pl.Series | None, start: int, stop: int, *, descending: bool
) -> Array:
    stop = min(stop, len(numbers))
    if start >= stop:
        return np.empty(0, np.int64)

    def settled(group: Array, *, same: bool = True) -> Array:
        """Rows, sorted; ``same``: their numbers are equal."""
        place = group if rows is None else rows[group]
        if texts is None or len(group) < 2:
            made: Array = place if same else place[np.argsort(numbers[group], kind="stable")]
            return made
        own = texts.gather(place).to_frame("text").with_row_index("n")
        order = own.sort("text", descending=descending, maintain_order=True)["n"].to_numpy()
        by_text: Array = place[order]
        return by_text

    both = np.partition(numbers, (start, stop - 1))
    low, high = both[start], both[stop - 1]
    del both
    before = int(np.count_nonzero(numbers < low))
    first = settled(np.flatnonzero(numbers == low))[start - before : stop - before]
    if low == high:
        return first
    between = settled(np.flatnonzero((numbers > low) & (numbers < high)), same=False)
    left = stop - start - len(first) - len(between)
    return np.concatenate([first, between, settled(np.flatnonzero(numbers == high))[:left]])
