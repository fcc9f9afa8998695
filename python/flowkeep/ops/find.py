"""The use case behind ``flowkeep find``: from addresses and times to flows, captures and packets,
by a lake."""

from __future__ import annotations

import ipaddress
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import _native
from ..errors import LakeError, UsageError
from ..flow import Flows, ReadOptions
from ..lake.layout import check, files, identity, schema
from ..lake.read import captures as _captures
from ..lake.read import datasets, rows
from ..paths import Capture, Found, find
from ..places import Place
from ..rows import Frame
from ..select.query import FlowQuery, parse_networks
from ..text import safe
from ..units import Moment
from .export import check_target
from .extract import ExtractPlan, Form, extract, extract_flows
from .flows import list_flows
from .index import fitting_index

if TYPE_CHECKING:
    import polars

_NAMES = ("server_name", "sni", "http_host")
_TRIES = 10


@dataclass(frozen=True)
class Question:
    """What is looked for: flows that meet all that is given."""

    networks: tuple[str, ...] = ()
    """Addresses or CIDR blocks, in one of which an end must be."""
    ports: tuple[int, ...] = ()
    """Ports, one of which an end must have."""
    communities: tuple[str, ...] = ()
    """Community IDs, one of which the flow must have."""
    names: tuple[str, ...] = ()
    """Names of servers, one of which or a name below it the flow must have; known where flows were
    identified."""
    since_ns: int | None = None
    """The flow was still seen at this time or later, nanoseconds."""
    until_ns: int | None = None
    """The flow was already seen at this time or earlier."""
    where: str | None = None
    """SQL over the columns, as in :class:`flowkeep.select.query.FlowQuery`."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        parse_networks(self.networks)
        FlowQuery(where=self.where, flows=self.communities)
        if any(text.isdigit() for text in self.communities):
            raise UsageError("a lake numbers no flows: name them by their Community ID")
        if any(isinstance(when, Moment) for when in (self.since_ns, self.until_ns)):
            raise UsageError(
                "a lake has no start and no end: give times as dates, or as 2h for two hours ago"
            )
        if any(not 0 <= port <= 65535 for port in self.ports):
            raise UsageError("ports are 0 to 65535")


class LakeFlows(Frame):
    """Flows that were found, by ``first_ts``; ``captures`` are the paths of those that hold
    packets of the flow."""

    def __init__(self, frame: polars.DataFrame, raw: polars.DataFrame, captures: polars.DataFrame) -> None:
        """``raw``: the rows as they lie in the lake; ``captures``: those of their data sets."""
        super().__init__(frame, [])
        self.raw, self.captures = raw, captures

    def paths(self) -> list[str]:
        """The captures that hold packets of these flows, by time."""
        ids = self.raw["captures"].explode(empty_as_null=False).struct.field("capture").unique()
        import polars as pl

        there = self.captures.filter(pl.col("capture").is_in(ids.to_list()))
        return there.sort("first_ts", "path")["path"].unique(maintain_order=True).to_list()


@dataclass
class FindReport:
    """The packets of flows that were found."""

    output: Path
    flows: int
    packets: int = 0
    bytes: int = 0
    """Captured frame bytes of these packets."""
    out_bytes: int = 0
    captures: list[Place] = field(default_factory=list)
    """The captures that were opened."""
    indexed: int = 0
    """Those of which an index gave the places of the packets."""
    scans: list[_native.FileScan] = field(default_factory=list)
    changed: list[tuple[Place, str]] = field(default_factory=list)
    """Captures that are gone or not what they were, and how."""


def find_flows(lake: Path, question: Question) -> LakeFlows:
    """The flows of a lake that meet a question. Raises UsageError, LakeError."""
    import polars as pl

    check(lake)
    wanted, known = schema(), datasets(lake)
    condition = _condition(question, list(known))
    raw = pl.concat([pl.DataFrame(schema=wanted), *_found(lake, question, wanted, condition)])
    raw = raw.filter(_exactly(raw, question)).sort("first_ts", "dataset", "flow_id")
    table = _captures(
        {name: known[name] for name in raw["dataset"].unique(maintain_order=True).to_list() if name in known}
    )
    frame = _with_paths(lake, raw, table)
    if question.where is not None:
        # The condition sees the columns as they are shown.
        mask = FlowQuery(where=question.where).mask(_Asked(frame))
        raw, frame = raw.filter(mask), frame.filter(mask)
    return LakeFlows(frame, raw, table)


class _Asked(Frame):
    def __init__(self, frame: polars.DataFrame) -> None:
        super().__init__(frame, [])

    def inside(self, networks: Sequence[tuple[bytes, int]]) -> bytes:
        raise AssertionError("networks are looked at before")

    def matching(self, program: bytes, *, tags: bool) -> bytes:
        raise AssertionError("no flow filter is asked")


def _found(
    lake: Path, question: Question, wanted: dict[str, polars.DataType], condition: polars.Expr
) -> list[polars.DataFrame]:
    for _ in range(_TRIES):
        try:
            there = files(lake, question.since_ns, question.until_ns)
            return [rows(file, wanted, condition) for file in there]
        except FileNotFoundError:
            # Its hour was compacted meanwhile: the same flows stand in another file now.
            continue
    raise LakeError(
        f"{safe(lake)}: files go away while they are read; look what changes the lake, and try again"
    )


def _condition(question: Question, known: list[str]) -> polars.Expr:
    """What Parquet files are asked; what is exact comes later."""
    import polars as pl

    time = pl.Datetime("ns", "UTC")
    parts = [pl.col("dataset").is_in(known)]
    if question.since_ns is not None:
        parts.append(pl.col("last_ts") >= pl.lit(question.since_ns).cast(time))
    if question.until_ns is not None:
        parts.append(pl.col("first_ts") <= pl.lit(question.until_ns).cast(time))
    if question.ports:
        ports = pl.Series(question.ports, dtype=pl.UInt16).implode()
        parts.append(pl.col("client_port").is_in(ports) | pl.col("server_port").is_in(ports))
    if question.communities:
        parts.append(_any([pl.col("community_id") == each for each in question.communities]))
    if question.networks:
        parts.append(_any([_inside(text) for text in question.networks]))
    if question.names:
        parts.append(_any([_named(name) for name in question.names]))
    return pl.all_horizontal(parts)


def _any(conditions: list[polars.Expr]) -> polars.Expr:
    import polars as pl

    return pl.any_horizontal([condition.fill_null(False) for condition in conditions])


def _inside(text: str) -> polars.Expr:
    """Rows with an end in a network, and perhaps some more: what smallest and largest values of
    text can tell."""
    import polars as pl

    network = ipaddress.ip_network(text, strict=False)
    ends = [pl.col("client_ip"), pl.col("server_ip")]
    if network.num_addresses == 1:
        address = str(network.network_address)
        return (ends[0] == address) | (ends[1] == address)
    # Whole bytes of an IPv4 network are a prefix of the text.
    if network.version == 4 and network.prefixlen >= 8:
        prefix = ".".join(str(network.network_address).split(".")[: network.prefixlen // 8]) + "."
        return ends[0].str.starts_with(prefix) | ends[1].str.starts_with(prefix)
    colon = network.version == 6
    return ends[0].str.contains(":", literal=True).eq(colon) | ends[1].str.contains(":", literal=True).eq(
        colon
    )


def _named(name: str) -> polars.Expr:
    import polars as pl

    name = name.lower().rstrip(".")
    columns = [pl.col(column).str.to_lowercase() for column in _NAMES]
    return _any([(column == name) | column.str.ends_with("." + name) for column in columns])


def _exactly(raw: polars.DataFrame, question: Question) -> polars.Series:
    """Per row whether an end is in one of the networks."""
    import polars as pl

    if not question.networks:
        return pl.Series([True] * len(raw), dtype=pl.Boolean)
    networks = [ipaddress.ip_network(text, strict=False) for text in question.networks]
    said: dict[str, bool] = {}

    def inside(text: str) -> bool:
        if text not in said:
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                raise LakeError(
                    f"the lake names an address {safe(text)[:80]!r}, which is none: a file was forged"
                ) from None
            said[text] = any(address.version == n.version and address in n for n in networks)
        return said[text]

    ends = zip(raw["client_ip"].to_list(), raw["server_ip"].to_list(), strict=True)
    return pl.Series([inside(a) or inside(b) for a, b in ends], dtype=pl.Boolean)


def _with_paths(lake: Path, raw: polars.DataFrame, table: polars.DataFrame) -> polars.DataFrame:
    import polars as pl

    where = {(d, c): p for d, c, p in table.select("dataset", "capture", "path").iter_rows()}
    paths = []
    for dataset, held in raw.select("dataset", "captures").iter_rows():
        here = [where.get((dataset, part["capture"])) for part in held or ()]
        if any(path is None for path in here):
            raise LakeError(
                f"{safe(lake)}: data set {safe(dataset)}: a flow names a capture that its list does not have"
            )
        paths.append(here)
    return raw.with_columns(captures=pl.Series(paths, dtype=pl.List(pl.String)))


def find_packets(
    lake: Path,
    question: Question,
    output: Path,
    *,
    form: Form = "auto",
    compression: Literal["none", "gzip", "zstd", "lz4", "xz"] = "none",
    force: bool = False,
    jobs: int = 0,
) -> FindReport:
    """Write the packets of the flows that meet a question. Only captures that hold packets of them, or of
    earlier flows on the same addresses and ports that tell where these begin, are opened; where one has an
    index, the index says where its packets are.

    Raises UsageError, LakeError, and what :func:`flowkeep.ops.extract.extract` raises.
    """
    flows = find_flows(lake, question)
    report = FindReport(output, len(flows))
    if not len(flows):
        return report
    chosen = flows.raw.partition_by("dataset", maintain_order=True)
    with tempfile.TemporaryDirectory(
        prefix=".flowkeep-find-", dir=output.parent if output.parent.is_dir() else None
    ) as work:
        pieces: list[Path] = []
        for n, of in enumerate(chosen):
            alone = len(chosen) == 1
            target = output if alone else Path(work) / f"{n}.pcapng"
            plan = ExtractPlan(
                target, form if alone else "auto", compression if alone else "none", None, force and alone
            )
            _one(lake, flows, of, plan, Path(work), jobs, report)
            if target.exists():
                pieces.append(target)
        if len(chosen) > 1 and pieces:
            done = extract(find(pieces), FlowQuery(), ExtractPlan(output, form, compression, None, force))
            report.packets, report.bytes, report.out_bytes = done.packets, done.bytes, done.out_bytes
    return report


def _one(
    lake: Path,
    flows: LakeFlows,
    of: polars.DataFrame,
    plan: ExtractPlan,
    work: Path,
    jobs: int,
    report: FindReport,
) -> None:
    """The packets of flows of one data set."""
    import polars as pl

    dataset = of["dataset"][0]
    table = flows.captures.filter(pl.col("dataset") == dataset).sort("number")
    options = _options(table["settings"][0], jobs)
    needed = _history(lake, dataset, of)
    captures = []
    for row in table.filter(pl.col("capture").is_in(list(needed))).iter_rows(named=True):
        if (capture := _capture(row, report)) is not None:
            captures.append(capture)
    report.captures += [capture.path for capture in captures]
    check_target(report.output, captures, capture=True, force=True)
    if not captures:
        return
    found = Found(_by_index(captures, of, options, work, report))
    listed = list_flows(found, options)
    ids, gone = _same(listed, of)
    if gone:
        report.changed.append(
            (
                captures[0].path,
                f"{gone} of the flows that the lake lists are not in the captures as it lists them",
            )
        )
    done = extract_flows(found, listed, ids, plan, options)
    report.packets += done.packets
    report.bytes += done.bytes
    report.out_bytes += done.out_bytes
    report.scans += done.scans


def _options(settings: Any, jobs: int) -> ReadOptions:
    try:
        said = json.loads(settings)
        return ReadOptions(
            **{
                name: said[name]
                for name in ("idle_ns", "tcp_idle_ns", "outer", "key_vlan", "max_flows", "filter")
            },
            jobs=jobs,
        )
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise LakeError("the lake does not say how its captures were read: a file was forged") from error


_TUPLE = ("proto", "client_ip", "client_port", "server_ip", "server_port")


def _history(lake: Path, dataset: str, of: polars.DataFrame) -> set[str]:
    """The captures with packets of these flows, or of flows of the data set before them on the
    same addresses and ports: where a flow begins depends on these."""
    import polars as pl

    ends = of.select("client_ip", "server_ip").unique()
    either = pl.concat([ends, ends.select(client_ip="server_ip", server_ip="client_ip")])
    keys = set(either.iter_rows())
    last = of["first_ts"].max()
    clients = pl.Series(sorted({a for a, _ in keys})).implode()
    condition = (
        (pl.col("dataset") == dataset) & (pl.col("first_ts") <= last)
        & pl.col("client_ip").is_in(clients) & pl.col("server_ip").is_in(clients)
    )  # fmt: skip
    wanted = schema()
    assert last is not None
    until = int(pl.Series([last], dtype=pl.Datetime("ns", "UTC")).dt.epoch("ns")[0])
    before = pl.concat(
        [pl.DataFrame(schema=wanted), *_found(lake, Question(until_ns=until), wanted, condition)]
    )
    ids: set[str] = set()
    tuples = {_key(row) for row in of.select(_TUPLE).iter_rows()}
    for *row, held in before.select(*_TUPLE, "captures").iter_rows():
        if _key(tuple(row)) in tuples:
            ids.update(part["capture"] for part in held or ())
    return ids


def _key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    proto, *ends = row
    one, other = tuple(ends[:2]), tuple(ends[2:])
    return (proto, *sorted((one, other)))


def _capture(row: dict[str, Any], report: FindReport) -> Capture | None:
    """The capture of a row of the list, if it is still what it was."""
    text = row["path"]
    if text is None or "\0" in text or not os.path.isabs(text):
        raise LakeError(f"{safe(str(text))[:200]!r} is no path of a capture: a file of the lake was forged")
    path = Path(text)
    try:
        if not path.is_file():
            report.changed.append((path, "it is not there any more"))
            return None
        there = identity(path)
    except OSError as error:
        report.changed.append((path, f"it cannot be read: {error.strerror}"))
        return None
    if there != row["identity"]:
        report.changed.append(
            (path, "it is not as it was when it was listed: its packets may be others, or cut")
        )
    return Capture(path, Path(path.name), row["number"], None, path.stat().st_size)


def _by_index(
    captures: list[Capture], of: polars.DataFrame, options: ReadOptions, work: Path, report: FindReport
) -> list[Capture]:
    """The captures, but instead of those with an index what it picks out of them: all packets on the
    addresses and ports of the flows. Sessions are told apart later, over all captures."""
    if any(capture.ledger is not None for capture in captures):
        # What a ledger tells of a capture, it does not tell of a part of it.
        return captures
    communities = of["community_id"]
    if communities.null_count() or options.filter is not None:
        return captures
    names = tuple(communities.unique().to_list())
    some = []
    for capture in captures:
        index, _ = fitting_index(Found([capture]), options)
        if index is None:
            some.append(capture)
            continue
        report.indexed += 1
        if len(captures) == 1:
            return captures
        piece = work / f"picked-{capture.number}-{report.indexed}"
        probe = _native.probe(os.fspath(capture.path))
        own: Form = "pcapng" if probe["format"] == "pcapng" else "auto"
        done = extract(Found([capture]), FlowQuery(flows=names), ExtractPlan(piece, own), options)
        report.scans += done.scans
        some.append(replace(capture, path=piece, size=piece.stat().st_size))
    return some


def _same(listed: Flows, of: polars.DataFrame) -> tuple[list[int], int]:
    """The ``flow_id``s in a listing of the flows of a lake, and how many of these are not there."""
    by = [*_TUPLE, "vlan", "tunnel", "first_ts", "client_packets", "server_packets"]
    there = listed.to_polars().select(*by, id="flow_id")
    both = of.select(by).join(there, on=by, how="left", nulls_equal=True, maintain_order="left")
    ids = both["id"].drop_nulls().unique().sort().to_list()
    return ids, both["id"].null_count()
