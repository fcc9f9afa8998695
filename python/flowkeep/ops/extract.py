"""The use case behind ``flowkeep extract``: take the packets of chosen flows out of captures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .. import _native
from ..errors import IndexMisfitError, OutputError, UsageError
from ..flow import DETAILS, IDENTIFIED, Flows, ReadOptions
from ..paths import STANDARD, Capture, Found
from ..places import Place, Url
from ..select.query import Choice, FlowQuery, refuse_beyond
from ..sink.anywhere import begin
from ..sink.atomic import sync_folder
from ..text import safe
from .damage import damage
from .export import check_target
from .flows import list_flows
from .index import fitting_index, note_misfit
from .meter import Meter, Progress
from .reading import check_filter

if TYPE_CHECKING:
    import polars

Form = Literal["auto", "pcap", "pcapng"]
SplitBy = Literal["flow", "session", "host"]
_Written = Literal["copy", "append", "pcap", "pcap-ns", "section"]

_NAMES = {  # how files of a split are named, from columns of the flow table
    "flow": ("flow_id", "proto", "client_ip", "client_port", "server_ip", "server_port"),
    "session": ("proto", "client_ip", "client_port", "server_ip", "server_port"),
}


@dataclass(frozen=True)
class ExtractPlan:
    """Where the packets go."""

    output: Place
    """The capture to write, ``-`` for standard output; the folder of a split."""
    form: Form = "auto"
    """``auto``: pcap when all captures are pcap files of one link type, else pcapng."""
    compression: Literal["none", "gzip", "zstd", "lz4", "xz"] = "none"
    split: SplitBy | None = None
    """One file per flow, per session (all flows of a 5-tuple) or per host, in the folder ``output``."""
    force: bool = False
    """Replace a capture that stands at ``output`` and is none of those that are read."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.split and self.output == STANDARD:
            raise UsageError("a split makes many files: name a folder for them, standard output is one")
        if self.split and self.compression != "none":
            raise UsageError("the files of a split are not compressed: leave --compress away")
        if self.split and isinstance(self.output, Url):
            raise UsageError("a split goes into a folder of this machine: name one, and copy it then")


@dataclass
class ExtractReport:
    """What was taken out."""

    output: Place
    flows: int
    """Flows that were chosen."""
    of_flows: int
    """Flows there are."""
    packets: int = 0
    bytes: int = 0
    """Captured frame bytes of these packets."""
    out_bytes: int = 0
    """Bytes written."""
    files: int = 1
    """Captures written."""
    scans: list[_native.FileScan] = field(default_factory=list)
    """What was found in each capture."""
    skipped: list[tuple[Place, str]] = field(default_factory=list)
    unmatched: dict[str, list[int]] = field(default_factory=dict)
    """Of each list of flows: the lines that name no flow."""

    @property
    def clean(self) -> bool:
        """Whether no capture was damaged or passed over."""
        return not self.skipped and all(damage(scan) is None for scan in self.scans)


def extract(
    found: Found,
    query: FlowQuery,
    plan: ExtractPlan,
    options: ReadOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ExtractReport:
    """Write the packets of the flows that a query wants; without a condition, all packets.

    The captures are read twice: once to list the flows, once to copy. An index that fits saves the first
    pass, and for few packets the second one. Raises UsageError before anything is
    written, OutputError when the result cannot be; nothing half-written is left behind.
    """
    options = options or ReadOptions()
    captures = found.captures
    everything = not query and not query.invert and plan.split is None
    for capture in captures:
        if not capture.regular and not everything:
            raise UsageError(
                f"{safe(capture.path)} is a pipe: flows are listed first and copied then, which reads "
                "everything twice; save it to a file first"
            )
    if not plan.split:
        check_target(plan.output, captures, capture=True, force=plan.force)
    listed = everything or query.mentions(DETAILS + IDENTIFIED)
    index, note = (None, None) if listed else fitting_index(found, options)
    if index is not None:
        try:
            return _with_index(index, found, query, plan, options, progress)
        except IndexMisfitError as error:
            note = str(error)
    options = replace(options, index=False)
    meter = Meter(found.bytes if everything or found.bytes < 0 else 2 * found.bytes, progress)
    flows = (
        None
        if everything
        else list_flows(
            found, options, details=query.mentions(DETAILS), identify=query.mentions(IDENTIFIED),
            progress=meter.file(found.bytes),
        )
    )  # fmt: skip
    choice = Choice([]) if flows is None else query.choose(flows)
    ids = choice.ids
    report = ExtractReport(
        plan.output,
        len(ids),
        0 if flows is None else len(flows),
        skipped=list(found.skipped),
        unmatched=choice.unmatched,
    )
    _Run(captures, flows, ids, plan, options, meter, report).run()
    note_misfit(report.scans, note)
    return report


def extract_flows(
    found: Found,
    flows: Flows,
    ids: list[int],
    plan: ExtractPlan,
    options: ReadOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ExtractReport:
    """The same for flows of a table that was listed from these captures with these options: ``ids`` are
    their ``flow_id``s, ascending. The captures are read once, or by an index that fits."""
    options = options or ReadOptions()
    if not plan.split:
        check_target(plan.output, found.captures, capture=True, force=plan.force)
    index, note = fitting_index(found, options)

    def run(index: _native.Index | None) -> ExtractReport:
        report = ExtractReport(plan.output, len(ids), len(flows), skipped=list(found.skipped))
        meter = Meter(found.bytes, progress)
        one = _Run(found.captures, flows, ids, plan, replace(options, index=False), meter, report, index)
        one.rehearse()
        one.run()
        return report

    if index is not None and index.can_pick(flows.native, ids):
        try:
            return run(index)
        except IndexMisfitError as error:
            note = str(error)
    report = run(None)
    note_misfit(report.scans, note)
    return report


def _with_index(
    index: _native.Index, found: Found, query: FlowQuery, plan: ExtractPlan, options: ReadOptions,
    progress: Progress | None,
) -> ExtractReport:  # fmt: skip
    """The same by an index. Raises IndexMisfitError when it does not fit after all."""
    path = os.fspath(found.captures[0].path)

    def listed() -> Flows:
        return Flows(index.flows(), [index.scan(path)])

    unmatched: dict[str, list[int]] = {}
    flows, named = None, query.named() if index.plain and plan.split is None else None
    if named is not None:
        numbers, communities = named
        refuse_beyond(numbers, len(index))
        by_community = index.with_community(communities) if communities else None
        ids = sorted({*numbers, *(by_community or [])})
    else:
        flows = listed()
        choice = query.choose(flows)
        ids, unmatched = choice.ids, choice.unmatched
    picked = index.can_pick(None if flows is None else flows.native, ids)
    if flows is None and not picked:
        flows = listed()
    report = ExtractReport(
        plan.output, len(ids), len(index), skipped=list(found.skipped), unmatched=unmatched
    )
    meter = Meter(found.bytes, progress)
    run = _Run(found.captures, flows, ids, plan, options, meter, report, index if picked else None)
    run.rehearse()
    run.run()
    for scan in report.scans:
        scan["index"] = "used"
    return report


class _Run:
    def __init__(
        self, captures: Sequence[Capture], flows: Flows | None, ids: list[int], plan: ExtractPlan,
        options: ReadOptions, meter: Meter, report: ExtractReport, index: _native.Index | None = None,
    ) -> None:  # fmt: skip
        self.index = index
        self.captures, self.flows, self.ids, self.plan = captures, flows, ids, plan
        self.options, self.meter, self.report = options, meter, report

    def run(self) -> None:
        """Into one capture or many."""
        if self.plan.split:
            self.many()
        else:
            self.one()

    def rehearse(self) -> None:
        """Where nothing that was written can be taken back, look first whether the index fits. Raises
        IndexMisfitError."""
        if self.index is not None and not (self.plan.split or _replaceable(self.plan.output)):
            self.index.rehearse(os.fspath(self.captures[0].path), self._table(), self.ids)

    def one(self) -> None:
        """Into one capture."""
        forms, empty = choose_forms(self.captures, self.plan.form)
        with made(self.plan.output) as target:
            extractor = _native.Extractor(
                self._table(),
                self.ids,
                os.fspath(target),
                compression=self.plan.compression,
                index=self.index,
                **self.options.native(),
            )
            self._pass(extractor, forms, empty)

    def many(self) -> None:
        """Into a folder, one capture for each flow, session or host."""
        assert self.plan.split is not None and self.flows is not None
        pcap = choose_split_form(self.captures, self.plan.form)
        names, routes = split_names(
            self.flows, self.ids, self.plan.split, "pcapng" if pcap is None else "pcap"
        )
        folder = self.plan.output
        assert isinstance(folder, Path), "the plan refuses others"
        hidden = folder / ".flowkeep-part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = [name for name in names if (folder / name).exists()]
            if there:
                raise UsageError(f"{safe(folder / there[0])} is already there: name an empty folder")
            shutil.rmtree(hidden, ignore_errors=True)
            hidden.mkdir()
            extractor = _native.Extractor(
                self._table(), self.ids, os.fspath(hidden), names=names, routes=routes, pcap=pcap,
                index=self.index,
                **self.options.native(),
            )  # fmt: skip
            self._pass(extractor, ["copy"] * len(self.captures), None)
            made = sorted(entry.name for entry in os.scandir(hidden))
            for name in made:
                os.replace(hidden / name, folder / name)
            self.report.files = len(made)
            sync_folder(folder)
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(f"{safe(folder)}: cannot be written: {error.strerror}") from error
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def _table(self) -> _native.FlowTable | None:
        return None if self.flows is None else self.flows.native

    def _pass(
        self, extractor: _native.Extractor, forms: list[_Written], empty: tuple[int, bool] | None
    ) -> None:
        for i, (capture, form) in enumerate(zip(self.captures, forms, strict=True)):
            scan = extractor.file(
                os.fspath(capture.path),
                form=form,
                ledger=None if capture.ledger is None else os.fspath(capture.ledger),
                last=i + 1 == len(self.captures),
                progress=self.meter.file(capture.size),
            )
            self.report.scans.append(scan)
        check_filter(self.report.scans)
        link, nanoseconds = empty or (None, False)
        done = extractor.finish(empty_link=link, nanoseconds=nanoseconds)
        self.report.packets, self.report.bytes, self.report.out_bytes = done


def _replaceable(output: Place) -> bool:
    return isinstance(output, Url) or (output != STANDARD and (not output.exists() or output.is_file()))


@contextmanager
def made(output: Place) -> Iterator[Place]:
    """The path to write to; what stands there becomes ``output`` when all went well."""
    if not _replaceable(output):
        yield output
        return
    with begin(output) as part:
        yield part.part
        part.sync()
        part.commit()


def choose_forms(
    captures: Sequence[Capture], form: Form, probes: Sequence[_native.Probe | None] | None = None
) -> tuple[list[_Written], tuple[int, bool] | None]:
    """How each capture's packets are written into one, and link type and nanoseconds of a pcap file
    that may have to do without packets. ``probes``: of captures that are not here.

    Raises UsageError when pcap is wanted and cannot hold them.
    """
    if probes is None:
        probes = [_native.probe(os.fspath(c.path)) if c.regular else None for c in captures]
    if None in probes:
        # What comes through a pipe is not known before it comes.
        if form == "pcap":
            return ["pcap-ns"] * len(captures), (1, True)
        alone: list[_Written] = ["copy" if form == "auto" and len(captures) == 1 else "section"]
        return alone * len(captures), None
    known = [p for p in probes if p is not None]
    all_pcap = all(p["format"] != "pcapng" for p in known)
    links = sorted({link for p in known for link in p["links"]})
    nanoseconds = any(p["nanoseconds"] for p in known)
    if form == "pcap" and len(links) > 1:
        raise _two_links(links)
    if all_pcap and form != "pcapng":
        if len({p["head"] for p in known}) == 1 and len({p["format"] for p in known}) == 1:
            joined: list[_Written] = ["append"] * len(known)
            joined[0] = "copy"
            return joined, None
        if len(links) == 1:
            return ["pcap-ns" if nanoseconds else "pcap"] * len(known), (links[0], nanoseconds)
    if form == "pcap":
        return ["pcap-ns" if nanoseconds else "pcap"] * len(known), ((links or [1])[0], nanoseconds)
    sections: list[_Written] = ["copy" if p["format"] == "pcapng" else "section" for p in known]
    return sections, None


def choose_split_form(captures: Sequence[Capture], form: Form) -> bool | None:
    """Whether the pcap files of a split have nanoseconds; None: they are pcapng. Raises UsageError."""
    known = [_native.probe(os.fspath(c.path)) for c in captures]
    links = sorted({link for p in known for link in p["links"]})
    if form == "pcapng" or (
        form == "auto" and (len(links) > 1 or any(p["format"] == "pcapng" for p in known))
    ):
        return None
    if len(links) > 1:
        raise _two_links(links)
    return any(p["nanoseconds"] for p in known)


def _two_links(links: Sequence[int]) -> UsageError:
    return UsageError(
        f"a pcap file has one link type, these captures have {len(links)} ({', '.join(map(str, links))}): "
        "--format pcapng holds them all"
    )


def split_names(
    flows: Flows, ids: list[int], by: SplitBy, suffix: str
) -> tuple[list[str], list[tuple[int, int]]]:
    """Names of the files of a split, and for each chosen flow the one or two files it goes to.

    The names hold letters, digits, ``.``, ``-`` and ``_`` alone, and sort by time: by the first flow in
    each. A flow that goes to one file has it twice.
    """
    import polars as pl

    frame = flows.to_polars().select(pl.all().gather(pl.Series(ids, dtype=pl.UInt32)))
    ends = [pl.col(c).str.replace_all(":", "-", literal=True) for c in ("client_ip", "server_ip")]
    frame = frame.with_columns(*ends)
    width = len(str(max(len(ids) - 1, 0)))
    if by == "host":
        clients, servers = frame["client_ip"].to_list(), frame["server_ip"].to_list()
        places: dict[str, int] = {}
        routes = [
            (places.setdefault(c, len(places)), places.setdefault(s, len(places)))
            for c, s in zip(clients, servers, strict=True)
        ]
        return [f"{host}.{suffix}" for host in places], routes
    columns = _NAMES[by]
    texts = [
        pl.col(c).cast(pl.String).str.zfill(width) if c == "flow_id" else pl.col(c).cast(pl.String)
        for c in columns
    ]
    names = _joined(frame, texts)
    if by == "flow":
        return [f"{name}.{suffix}" for name in names], [(i, i) for i in range(len(names))]
    # One 5-tuple, whichever end began each of its flows.
    lower = pl.min_horizontal(pl.concat_str("client_ip", "client_port", separator="_"),
                              pl.concat_str("server_ip", "server_port", separator="_"))  # fmt: skip
    upper = pl.max_horizontal(pl.concat_str("client_ip", "client_port", separator="_"),
                              pl.concat_str("server_ip", "server_port", separator="_"))  # fmt: skip
    keys = _joined(frame, [pl.col("proto"), lower, upper])
    found: dict[str, int] = {}
    chosen: list[str] = []
    routes = []
    for key, name in zip(keys, names, strict=True):
        if key not in found:
            found[key] = len(chosen)
            chosen.append(f"{len(chosen):0{width}d}_{name}.{suffix}")
        routes.append((found[key], found[key]))
    return chosen, routes


def _joined(frame: polars.DataFrame, parts: list[polars.Expr]) -> list[str]:
    import polars as pl

    names: list[str] = frame.select(pl.concat_str(parts, separator="_")).to_series().to_list()
    return names
