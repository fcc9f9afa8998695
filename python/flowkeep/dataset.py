"""Captures as one data set: the Python API."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .cut import CutPolicy
from .depths import Depth, Lock
from .errors import UsageError
from .flow import Flows, ReadOptions
from .identify import Given, listed
from .ops import extract as _extract
from .ops import flows as _flows
from .ops import hosts as _hosts
from .ops import index as _index
from .ops import info as _info
from .ops import lake as _lake
from .ops import learn as _learn
from .ops import one_stream as _one_stream
from .ops import services as _services
from .ops import streams as _streams
from .ops import trim as _trim
from .ops.meter import Progress
from .paths import Found, find
from .places import Place, place
from .rows import Frame
from .select.query import FlowQuery
from .stream import Stream
from .units import parse_size

if TYPE_CHECKING:
    from distributed import Client

    from . import cluster

PathLike = str | os.PathLike[str]


class Dataset:
    """Captures, ordered by the time of their first packet and read as one."""

    def __init__(self, found: Found, options: ReadOptions) -> None:
        """See :func:`open`."""
        self._found, self.options = found, options

    @property
    def paths(self) -> list[Place]:
        """The captures, in time order."""
        return [capture.path for capture in self._found.captures]

    @property
    def skipped(self) -> list[tuple[Place, str]]:
        """Files in the given folders that are no captures, and why."""
        return self._found.skipped

    def _with(self, models: Given) -> ReadOptions:
        return replace(self.options, models=(*listed(self.options.models), *listed(models)))

    def _for(self, client: Client) -> cluster.Where:
        from . import cluster

        cluster.checked(client)
        return cluster.everywhere(self._found)

    def __repr__(self) -> str:
        """Files and bytes."""
        return f"<flowkeep.Dataset of {len(self._found.captures)} captures, {self._found.bytes} bytes>"

    def info(
        self, *, cutoffs: Sequence[int | str] = _info.CUTOFFS, progress: Progress | None = None
    ) -> _info.InfoReport:
        """What the captures hold, and what each cutoff (bytes, or text such as ``"100kB"``) would leave.

        Raises OSError, NotACaptureError, UsageError.
        """
        if isinstance(cutoffs, str):
            raise UsageError(f"cutoffs is a list of sizes: write cutoffs=[{cutoffs!r}]")
        sizes = [parse_size(each) for each in cutoffs]
        return _info.describe(self._found, self.options, cutoffs=sizes, progress=progress)

    def flows(
        self,
        *,
        details: bool = False,
        identify: bool = False,
        models: Given = (),
        community_seed: int = 0,
        client: Client | None = None,
        spool: PathLike | None = None,
        progress: Progress | None = None,
    ) -> Flows:
        """The flows of all captures, one row each; true totals where a ledger fits a trimmed file.

        ``details`` adds round trips, retransmissions, TTL, MSS, MAC addresses, and state and history in
        Zeek's terms; they are null where a flow is known from a ledger. ``identify`` adds the
        protocol of each flow and names in it; ``models`` are files of protocols that :func:`learn` learnt, or
        folders of them, beside those of ``options``.
        With a Dask ``client`` its workers do it; ``spool`` is a folder that all of them see, which workers on
        this machine alone need not have. Raises OSError, NotACaptureError, ModelError, ClusterError.
        """
        options = self._with(models)
        if client is not None:
            from .cluster import list_flows

            return list_flows(
                client, self._for(client), options, details=details, identify=identify, spool=spool,
                community_seed=community_seed, progress=progress,
            )  # fmt: skip
        return _flows.list_flows(
            self._found, options, details=details, identify=identify, community_seed=community_seed,
            progress=progress,
        )  # fmt: skip

    def lake(
        self, folder: PathLike, *, details: bool = False, identify: bool = False, models: Given = (),
        progress: Progress | None = None,
    ) -> _lake.LakeReport:  # fmt: skip
        """List the flows into a lake: Parquet by day and hour, with the captures that hold each flow.

        Raises UsageError when a capture is in another data set of the lake, OSError, NotACaptureError,
        OutputError.
        """
        return _lake.write_lake(
            self._found, Path(folder), self._with(models), details=details, identify=identify,
            progress=progress,
        )  # fmt: skip

    def learn(
        self,
        name: str,
        query: FlowQuery | None = None,
        *,
        output: PathLike | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> _learn.LearnReport:
        """Make a model of a protocol from the flows that a query wants, or from all; write it to ``output``.

        ``report.warnings`` says what speaks against trusting it. Raises UsageError, OSError, OutputError.
        """
        target = None if output is None else place(output)
        return _learn.learn(
            self._found, name, query, self.options, output=target, force=force, progress=progress
        )

    def hosts(self, *, progress: Progress | None = None) -> Frame:
        """What each address did, one row each; :func:`flowkeep.ops.hosts.hosts` lists the columns.

        Raises OSError, NotACaptureError.
        """
        return _hosts.list_hosts(self._found, self.options, progress=progress)

    def services(
        self, *, identify: bool = False, models: Given = (), progress: Progress | None = None
    ) -> Frame:
        """Who talks to which service, how much and how regularly, one row each, the most regular first;
        :func:`flowkeep.ops.services.services` lists the columns.

        Raises OSError, NotACaptureError, ModelError.
        """
        options = self._with(models)
        return _services.list_services(self._found, options, identify=identify, progress=progress)

    def extract(
        self,
        output: PathLike,
        query: FlowQuery | None = None,
        *,
        form: _extract.Form = "auto",
        compression: Literal["none", "gzip", "zstd", "lz4", "xz"] = "none",
        split: _extract.SplitBy | None = None,
        force: bool = False,
        client: Client | None = None,
        spool: PathLike | None = None,
        progress: Progress | None = None,
    ) -> _extract.ExtractReport:
        """Write the packets of the flows that a query wants into one capture, or split into a folder.

        ``output``: the capture, ``-`` for standard output, or the folder. ``force``: replace another
        capture of that name. ``client`` and ``spool``: as for :meth:`flows`. Raises UsageError before
        anything is written, OutputError when the result cannot be.
        """
        plan = _extract.ExtractPlan(place(output), form, compression, split, force)
        wanted = FlowQuery() if query is None else query
        if client is not None:
            from .cluster import extract

            where = self._for(client)
            return extract(client, where, wanted, plan, self.options, spool=spool, progress=progress)
        return _extract.extract(self._found, wanted, plan, self.options, progress=progress)

    def index(
        self, *, verify: bool = False, remake: bool = False, progress: Progress | None = None
    ) -> _index.IndexReport:
        """Write an index beside each capture that has none that fits; see :func:`flowkeep.ops.index.index`.

        Raises OSError, OutputError, and BusyError when a capture is still being written.
        """
        return _index.index(self._found, self.options, verify=verify, remake=remake, progress=progress)

    def streams(
        self,
        output: PathLike,
        query: FlowQuery | None = None,
        *,
        gaps: _streams.Gaps = "split",
        overlap: str = "first",
        frames: bool = False,
        all_versions: bool = False,
        min_bytes: int = 0,
        udp: bool = False,
        progress: Progress | None = None,
    ) -> _streams.StreamsReport:
        """Write the bytes of every TCP connection, or of the flows that a query wants, into files of a new
        folder ``output``, with a manifest ``streams.json``.

        See :class:`flowkeep.ops.streams.StreamsPlan` for the options. Raises UsageError before anything is
        written, OutputError when the result cannot be.
        """
        plan = _streams.StreamsPlan(place(output), gaps, overlap, frames, all_versions, min_bytes, udp)
        wanted = FlowQuery() if query is None else query
        return _streams.streams(self._found, wanted, plan, self.options, progress=progress)

    def stream(
        self,
        flow: int | str | FlowQuery,
        *,
        overlap: str = "first",
        as_seen: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Both streams of one flow: a ``flow_id``, a Community ID, or a query that wants exactly one.

        ``overlap``: whose bytes stay where two segments differ. ``as_seen``: segments as they were captured,
        retransmissions and all. The captures are read twice. Raises UsageError, OSError, NotACaptureError.
        """
        query = flow if isinstance(flow, FlowQuery) else FlowQuery(flows=(str(flow),))
        return _one_stream.one_stream(
            self._found, query, self.options, overlap=overlap, as_seen=as_seen, progress=progress
        )

    def trim(
        self,
        cutoff: CutPolicy | int | str,
        *,
        output: PathLike | None = None,
        in_place: bool = False,
        dry_run: bool = False,
        ledger: bool = False,
        salvage: bool = False,
        compression: _trim.Compression = "same",
        depths: Sequence[Depth | str] = (),
        locks: Sequence[Lock | str] = (),
        behind: Sequence[PathLike] = (),
        client: Client | None = None,
        spool: PathLike | None = None,
        progress: Progress | None = None,
    ) -> _trim.TrimReport:
        """Keep the first ``cutoff`` bytes (``100_000``, ``"100kB"``, or a policy) of every flow.

        The results go into the folder ``output`` or take the place of the captures. ``depths`` give some
        flows a cutoff of their own (``"tls=64kB"``, ``"dns=all"``, ``"bpf:host 10.0.0.5=1MB"``), ``locks``
        none at all (a filter, a Community ID, an address, a network). ``behind`` are captures that came
        before and have ledgers. ``client`` and ``spool``: as for :meth:`flows`. Raises UsageError
        before anything is written, OutputError when a result cannot be, BusyError and DamagedError when
        the only capture must be left alone.
        """
        plan = _trim.TrimPlan(
            output=None if output is None else place(output),
            in_place=in_place,
            dry_run=dry_run,
            ledger=ledger,
            salvage=salvage,
            compression=compression,
        )
        policy = CutPolicy.of(cutoff)
        if isinstance(depths, str) or isinstance(locks, str):
            raise UsageError("depths and locks are lists: write depths=['dns=all']")
        policy = replace(
            policy,
            depths=(*policy.depths, *map(Depth.of, depths)),
            locks=(*policy.locks, *map(Lock.of, locks)),
        )
        earlier = [place(path) for path in behind]
        if client is not None:
            if earlier:
                raise UsageError("behind and client do not go together: open all captures as one data set")
            from .cluster import trim

            where = self._for(client)
            return trim(client, where, policy, plan, self.options, spool=spool, progress=progress)
        return _trim.trim(self._found, policy, plan, self.options, behind=earlier, progress=progress)


def open(
    *paths: PathLike | Iterable[PathLike], options: ReadOptions | None = None, filter: str | None = None
) -> Dataset:
    """Open captures (files, folders with all below them, globs, ``-``, or lists of them) as one data set.

    ``filter``: look only at packets that match this expression (``"tcp port 80"``, as tcpdump takes it); it
    takes the place of the one in ``options``. Raises FileNotFoundError, NotACaptureError, UsageError.
    """
    options = options or ReadOptions()
    if filter is not None:
        options = replace(options, filter=filter)
    named: list[PathLike] = []
    for path in paths:
        if isinstance(path, bytes):
            raise UsageError("a path is text or a Path: os.fsdecode makes text of bytes")
        if isinstance(path, str | os.PathLike):
            named.append(path)
        else:
            named.extend(path)
    return Dataset(find(named), options)


def learn(
    name: str,
    *paths: PathLike | Iterable[PathLike],
    query: FlowQuery | None = None,
    output: PathLike | None = None,
    force: bool = False,
    options: ReadOptions | None = None,
    filter: str | None = None,
) -> _learn.LearnReport:
    """Make a model of a protocol from flows of captures: :meth:`Dataset.learn` of :func:`open`."""
    return open(*paths, options=options, filter=filter).learn(name, query, output=output, force=force)


def merge_models(models: Given, *, output: PathLike | None = None, force: bool = False) -> _learn.LearnReport:
    """Make one model of several model files of one name; see :func:`flowkeep.ops.learn.merge`."""
    return _learn.merge(models, output=None if output is None else place(output), force=force)
