"""Tables that are made of the flow table, with the same face as the flow table itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .errors import UsageError

if TYPE_CHECKING:
    import pandas
    import polars

    from . import _native


class Rows(Protocol):
    """What a table of rows can do, so that it can be written."""

    files: list[_native.FileScan]

    def __len__(self) -> int:
        """Rows."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""

    def slice(self, offset: int, n: int) -> Rows:
        """Some rows."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict a row; times and durations are integer nanoseconds."""

    def to_polars(self) -> polars.DataFrame:
        """As a Polars data frame."""


class Frame:
    """A table in a Polars data frame. ``files`` says what was found in each capture."""

    def __init__(self, frame: polars.DataFrame, files: Sequence[_native.FileScan]) -> None:
        """Wrap a data frame."""
        self._frame = frame
        self.files = list(files)

    def __len__(self) -> int:
        """Rows."""
        return self._frame.height

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table as an Arrow C stream (PyCapsule)."""
        return self._frame.__arrow_c_stream__(requested_schema)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._frame.columns

    def top(self, column: str, n: int, *, descending: bool = True) -> Frame:
        """The first ``n`` rows by a column, null last; ties stay in order.

        Raises UsageError for an unknown column.
        """
        if column not in self.columns:
            raise UsageError(f"there is no column {column!r}; there are {', '.join(self.columns)}")
        import polars as pl

        key = pl.col(column)
        if self._frame[column].dtype == pl.List:
            key = key.list.len()
        ordered = self._frame.sort(key, descending=descending, nulls_last=True, maintain_order=True)
        return Frame(ordered.head(n), self.files)

    def slice(self, offset: int, n: int) -> Frame:
        """``n`` rows from ``offset`` on."""
        return Frame(self._frame.slice(offset, n), self.files)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict a row; times and durations are integer nanoseconds."""
        import polars as pl

        times = pl.selectors.temporal().cast(pl.Int64)
        return self._frame.with_columns(times).to_dicts()

    def to_polars(self) -> polars.DataFrame:
        """As a Polars data frame."""
        return self._frame

    def to_pandas(self) -> pandas.DataFrame:
        """As a pandas data frame (needs pandas and pyarrow)."""
        return self._frame.to_pandas()
