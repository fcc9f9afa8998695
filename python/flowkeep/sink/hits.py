"""Hits of a search in the formats of other tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol

from .. import units
from ..flow import Flows
from ..text import escaped, safe

COLUMNS = (
    "flow_id", "proto", "client_ip", "client_port", "server_ip", "server_port", "community_id",
    "from", "offset", "length", "file", "packet", "time", "before", "match", "after",
)  # fmt: skip


class Report(Protocol):
    """Hits and their flows."""

    @property
    def hits(self) -> list[Any]: ...  # noqa: D102
    @property
    def flows(self) -> Flows: ...  # noqa: D102


def rows(report: Report) -> Iterator[dict[str, Any]]:
    """One dict a hit, with :data:`COLUMNS`. Bytes are escaped, file names harmless."""
    ids = sorted({hit.flow_id for hit in report.hits})
    flows = {row["flow_id"]: row for row in report.flows.take(ids).to_dicts()} if ids else {}
    for hit in report.hits:
        before, match, after = map(escaped, hit.excerpt)
        flow = flows[hit.flow_id]
        yield {
            **{column: flow[column] for column in COLUMNS[:7]},
            "from": hit.sender,
            "offset": hit.offset,
            "length": hit.length,
            "file": safe(hit.path),
            "packet": hit.packet,
            "time": units.time(hit.ts),
            "before": before,
            "match": match,
            "after": after,
        }


def write_csv(report: Report, out: IO[bytes]) -> None:
    """Comma-separated, with a head line."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(report))
    text.flush()
    text.detach()


def write_ndjson(report: Report, out: IO[bytes]) -> None:
    """One JSON object a line."""
    for row in rows(report):
        out.write(json.dumps(row).encode() + b"\n")


def write_json(report: Report, out: IO[bytes]) -> None:
    """One JSON array of objects."""
    out.write(json.dumps(list(rows(report)), indent=1).encode() + b"\n")


WRITERS: dict[str, Callable[[Report, IO[bytes]], None]] = {
    "csv": write_csv,
    "json": write_json,
    "ndjson": write_ndjson,
}
