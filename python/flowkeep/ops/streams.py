"""The use case behind ``flowkeep streams``: the bytes of every connection, in files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from .. import _native, units
from ..errors import OutputError, UsageError
from ..flow import DETAILS, IDENTIFIED, Flows, ReadOptions
from ..paths import Capture, Found
from ..select.query import FlowQuery
from ..sink.folder import PartFolder
from ..text import safe
from .damage import damage
from .flows import list_flows
from .meter import Meter, Progress
from .reading import check_filter

Gaps = Literal["split", "omit", "zero", "sparse"]
MANIFEST = "streams.json"
OVERLAPS = tuple(_native.overlap_policies())
"""Names of the rules for conflicting bytes, see docs/streams.md."""

_ROWS = 4096


@dataclass(frozen=True)
class StreamsPlan:
    """How streams are written."""

    output: Path
    """The folder to make; new or empty."""
    gaps: Gaps = "split"
    """What stands for missing bytes. ``split``: a new file begins behind them; ``omit``: nothing;
    ``zero``: zeros; ``sparse``: a hole, which reads as zeros."""
    overlap: str = "first"
    """Whose bytes stay where two segments differ."""
    frames: bool = False
    """Write a table of the frames that the bytes came from beside each file."""
    all_versions: bool = False
    """Write each version of conflicting ranges into files of their own."""
    min_bytes: int = 0
    """Flows with fewer bytes, of both directions together, get no files."""
    udp: bool = False
    """Write UDP payload, too: datagrams one after another, with a table of them."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.overlap not in OVERLAPS:
            raise UsageError(f"there is no overlap policy {self.overlap!r}; there are {', '.join(OVERLAPS)}")
        if self.min_bytes < 0:
            raise UsageError("a number of bytes is not negative")


@dataclass
class StreamsReport:
    """What was written."""

    output: Path
    flows: int = 0
    """Flows with files."""
    files: int = 0
    """Files with stream bytes."""
    bytes: int = 0
    """Bytes in them."""
    gaps: int = 0
    missing: int = 0
    """Bytes in gaps."""
    overlaps: int = 0
    """Ranges of which there are two versions."""
    anomalies: int = 0
    bounds: int = 0
    """Holes that were given up because a bound on memory was hit."""
    peak_waiting: int = 0
    """The most bytes that waited for a hole to be filled."""
    scans: list[_native.FileScan] = field(default_factory=list)
    """What was found in each capture."""
    skipped: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether no capture was damaged or passed over."""
        return not self.skipped and all(damage(scan) is None for scan in self.scans)


def streams(
    found: Found,
    query: FlowQuery,
    plan: StreamsPlan,
    options: ReadOptions | None = None,
    *,
    progress: Progress | None = None,
) -> StreamsReport:
    """Write the streams of the flows that a query wants; without a condition, of all.

    All flows of captures without ledgers take one pass; else the flows are listed first. Raises UsageError
    before anything is written, OutputError when the result cannot be; nothing half-written is left behind.
    """
    options = options or ReadOptions()
    captures = found.captures
    one_pass = not query and not query.invert and all(c.ledger is None for c in captures)
    if not one_pass:
        refuse_pipes(captures)
    with PartFolder(plan.output) as folder:
        meter = Meter(found.bytes if one_pass or found.bytes < 0 else 2 * found.bytes, progress)
        flows = None if one_pass else list_flows(
            found, options, details=query.mentions(DETAILS), identify=query.mentions(IDENTIFIED),
            progress=meter.file(found.bytes),
        )  # fmt: skip
        ids = [] if flows is None else query.ids(flows)
        rebuilder = _native.Rebuilder(
            None if flows is None else flows.native, ids, os.fspath(folder.part),
            shown=os.fspath(plan.output),
            overlap=plan.overlap, gaps=plan.gaps, frames=plan.frames, versions=plan.all_versions,
            udp=plan.udp, **options.native(),
        )  # fmt: skip
        report = StreamsReport(plan.output, skipped=list(found.skipped))
        report.scans = feed(rebuilder, captures, meter)
        check_filter(report.scans)
        table, _, (report.peak_waiting, _) = rebuilder.finish()
        try:
            _Naming(folder.part, plan, Flows(table, report.scans), report, captures).write(rebuilder)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{safe(plan.output)}: cannot be written: {error.strerror}") from error
        folder.commit()
    return report


def refuse_pipes(captures: Sequence[Capture]) -> None:
    """Raise UsageError for what cannot be read twice."""
    for capture in captures:
        if not capture.regular:
            raise UsageError(
                f"{safe(capture.path)} is a pipe: flows are listed first and rebuilt then, which reads "
                "everything twice; save it to a file first"
            )


def feed(rebuilder: _native.Rebuilder, captures: Sequence[Capture], meter: Meter) -> list[_native.FileScan]:
    """Let a rebuilder go over all captures."""
    return [
        rebuilder.file(
            os.fspath(capture.path),
            number,
            ledger=None if capture.ledger is None else os.fspath(capture.ledger),
            last=number + 1 == len(captures),
            progress=meter.file(capture.size),
        )
        for number, capture in enumerate(captures)
    ]


def stem(row: dict[str, Any], width: int) -> str:
    """The name of a flow's files without their end: it sorts by time and holds letters, digits, ``.``,
    ``-`` and ``_`` alone."""
    ends = "_".join(
        f"{row[f'{end}_ip'].replace(':', '-')}_{row[f'{end}_port']}" for end in ("client", "server")
    )
    time = units.time(row["first_ts"], digits=6).replace("-", "").replace(":", "")
    return f"{time}_{row['flow_id']:0{width}d}_{row['proto']}_{ends}"


class _Naming:
    """Gives the files their names, and writes the manifest."""

    def __init__(
        self,
        folder: Path,
        plan: StreamsPlan,
        flows: Flows,
        report: StreamsReport,
        captures: Sequence[Capture],
    ) -> None:
        self.folder, self.plan, self.flows, self.report = folder, plan, flows, report
        self.captures = captures
        self.width = len(str(max(len(flows) - 1, 0)))

    def write(self, rebuilder: _native.Rebuilder) -> None:
        with open(self.folder / MANIFEST, "x", encoding="utf-8") as out:
            self._head(out)
            for i, (row, rebuilt) in enumerate(self._pairs(rebuilder)):
                out.write((",\n" if i else "\n") + json.dumps(self._flow(row, rebuilt)))
            out.write("\n]}\n")
            out.flush()
            os.fsync(out.fileno())

    def _pairs(self, rebuilder: _native.Rebuilder) -> Iterator[tuple[dict[str, Any], _native.RebuiltFlow]]:
        while batch := [flow for flow in (rebuilder.next_flow() for _ in range(_ROWS)) if flow is not None]:
            rows = self.flows.take([flow["flow_id"] for flow in batch]).to_dicts()
            yield from zip(rows, batch, strict=True)

    def _head(self, out: IO[str]) -> None:
        plan = self.plan
        head = {
            "format": "flowkeep streams 1",
            "gaps": plan.gaps,
            "overlap": plan.overlap,
            "min_bytes": plan.min_bytes,
            "captures": [
                {"path": os.fsdecode(c.path), "damage": scan["damage"]}
                for c, scan in zip(self.captures, self.report.scans, strict=True)
            ],
        }
        text = json.dumps(head)
        out.write(f'{text[:-1]}, "flows": [')

    def _flow(self, row: dict[str, Any], rebuilt: _native.RebuiltFlow) -> dict[str, Any]:
        names = (
            "flow_id", "community_id", "proto", "client_ip", "client_port", "server_ip", "server_port",
            "client_guessed", "state", "vlan", "tunnel",
        )  # fmt: skip
        made: dict[str, Any] = {name: row[name] for name in names}
        made["first_ns"], made["last_ns"] = row["first_ts"], row["last_ts"]
        for name in ("unreadable_packets", "fragments_incomplete", "fragments_incomplete_bytes"):
            made[name] = rebuilt[name]
        both = rebuilt["client"], rebuilt["server"]
        size = sum(piece["bytes"] for stream in both for piece in stream["pieces"])
        keep = size >= self.plan.min_bytes
        self.report.flows += keep and size > 0
        base = stem(row, self.width)
        made["client"] = self._stream(both[0], f"{base}.client", keep)
        made["server"] = self._stream(both[1], f"{base}.server", keep)
        return made

    def _stream(self, stream: _native.RebuiltStream, base: str, keep: bool) -> dict[str, Any]:
        notes = stream["notes"]
        report = self.report
        files = [self._file(piece, base, keep) for piece in stream["pieces"]] if keep else []
        for piece in stream["pieces"]:
            if not keep:
                self._remove(piece["name"], piece["frames"])
        counts = stream["counts"]
        if counts is not None:
            report.missing += counts["missing"]
            report.bounds += counts["bounds"]
        report.gaps += stream["gaps"]
        report.overlaps += stream["overlaps"]
        report.anomalies += stream["anomalies"]
        made: dict[str, Any] = {"files": files, "counts": counts}
        if stream["datagrams"]:
            made["datagrams"] = stream["datagrams"]
        number = 0
        for kind, name in (("gap", "gaps"), ("overlap", "overlaps"), ("anomaly", "anomalies")):
            listed = [note for note in notes if note["kind"] == kind]
            if kind == "overlap":
                for note in listed:
                    number += 1
                    self._versions(note, f"{base}.overlap-{number}", keep)
            made[name] = [{k: v for k, v in note.items() if k != "kind"} for note in listed]
            more = stream[name] - len(listed)  # type: ignore[literal-required]
            if more:
                made[f"{name}_not_listed"] = more
        ends = [note for note in notes if note["kind"] in ("fin", "reset")]
        made["ends"] = ends
        return made

    def _file(self, piece: _native.StreamPiece, base: str, keep: bool) -> dict[str, Any]:
        name = base
        if piece["connection"]:
            name += f".connection-{piece['connection'] + 1}"
        if piece["offset"]:
            name += f".at-{piece['offset']}"
        if piece["bytes"]:
            os.rename(self.folder / piece["name"], self.folder / name)
            self.report.files += 1
            self.report.bytes += piece["bytes"]
        made: dict[str, Any] = {
            "name": name if piece["bytes"] else None,
            "connection": piece["connection"],
            "offset": piece["offset"],
            "end": piece["end"],
            "bytes": piece["bytes"],
            "sha256": piece["sha256"],
        }
        if piece["frames"]:
            made["frames"] = f"{name}.frames.csv"
            os.rename(self.folder / f"{piece['name']}.frames", self.folder / made["frames"])
        return made

    def _versions(self, note: dict[str, Any], base: str, keep: bool) -> None:
        for end in ("kept", "other"):
            version = note[end]
            version["begins"] = version["begins"].hex()
            if version["name"] is None:
                del version["name"]
            elif keep:
                os.rename(self.folder / version["name"], self.folder / f"{base}.{end}")
                version["name"] = f"{base}.{end}"
            else:
                os.unlink(self.folder / version["name"])
                del version["name"]

    def _remove(self, name: str, frames: bool) -> None:
        for path in [self.folder / name, *([self.folder / f"{name}.frames"] if frames else [])]:
            path.unlink(missing_ok=True)
