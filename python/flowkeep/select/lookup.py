"""Looks tuples and Community IDs up in a table of flows, by hash joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tuples import Wanted

if TYPE_CHECKING:
    import polars

_FLOW = {
    "a": "client_ip", "ap": "client_port", "b": "server_ip", "bp": "server_port", "proto": "proto",
}  # fmt: skip
_BACK = _FLOW | {"a": "server_ip", "ap": "server_port", "b": "client_ip", "bp": "client_port"}


def look_up(frame: polars.DataFrame, wanted: Wanted) -> tuple[polars.Series, list[int]]:
    """For each flow whether it is wanted, and the lines of all finds that are no flow's."""
    import polars as pl

    places = pl.int_range(pl.len(), dtype=pl.UInt32).alias("row")
    flows = frame.select(places, *_FLOW.values(), "community_id")
    rows, finds = [], []

    def joined(left: list[str], listed: polars.DataFrame, right: list[str]) -> None:
        rows.append(flows.join(listed, left_on=left, right_on=right, how="semi")["row"])
        finds.append(listed.join(flows, left_on=right, right_on=left, how="semi")["find"])

    communities = pl.DataFrame(
        {"id": list(wanted.communities), "find": list(wanted.communities.values())},
        schema={"id": pl.String, "find": pl.UInt32},
    )
    joined(["community_id"], communities, ["id"])
    schema = {"a": pl.String, "ap": pl.UInt16, "b": pl.String, "bp": pl.UInt16, "proto": pl.String}
    tuples = pl.DataFrame(list(wanted.ends), schema=schema, orient="row").with_columns(
        pl.Series("find", list(wanted.ends.values()), dtype=pl.UInt32)
    )
    # What is not said is not compared: one join for each set of columns that are.
    unsaid = ["ap", "bp", "proto"]
    for key, part in tuples.group_by([pl.col(name).is_null() for name in unsaid]):
        there = ["a", "b", *(name for name, null in zip(unsaid, key, strict=True) if not null)]
        for way in (_FLOW, _BACK):
            joined([way[name] for name in there], part, there)
    found = set(pl.concat(finds).to_list()) if finds else set()
    vain = [line for find, line in enumerate(wanted.lines) if find not in found]
    chosen = frame.select(places).to_series().is_in(pl.concat(rows).unique().implode())
    return chosen, vain
