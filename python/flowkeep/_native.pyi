"""Typed face of the native core (crates/py).

Units: bytes are bytes, times are integer nanoseconds since the epoch (UTC), ports and
counters are plain integers. Every call that reads a capture releases the GIL, looks
at signals at least ten times a second and calls ``progress(done, total)`` about as often from
the calling thread (bytes of the file as it lies on disk; ``total`` is -1 when it is not
known, as for a pipe). An exception from ``progress`` stops the work and is passed on.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, TypedDict, final, type_check_only

from _typeshed import ReadableBuffer as Buffer

__all__ = [
    "Cache",
    "CacheReader",
    "Capture",
    "Carver",
    "CodedFlows",
    "Extractor",
    "FlowParts",
    "FlowTable",
    "Index",
    "Models",
    "Rebuilder",
    "Scanner",
    "Searcher",
    "Summary",
    "Trimmer",
    "anomaly_names",
    "build_index",
    "curve_cutoffs",
    "drop_privileges",
    "exchange",
    "ledger_curve",
    "ledger_first_ts",
    "ledger_flows",
    "ledger_metadata",
    "merge_models",
    "overlap_policies",
    "parse_curve",
    "probe",
    "program_problem",
    "protocols",
    "verify_index",
    "version",
]

_Progress = Callable[[int, int], None]
# By link type (LINKTYPE registry): a BPF program (8 bytes an instruction, little-endian), one for each byte
# order of the address family in the link header (little, big), or why the filter makes no sense for it.
_FilterRules = Sequence[tuple[int, str | bytes | tuple[bytes, bytes]]]

# Which flows: a program for Ethernet with whether it sees VLAN tags, a place in the list of services, or
# "community" with Community IDs, "host" with addresses.
_Which = tuple[bytes, bool] | int | tuple[str, Sequence[str]]

@type_check_only
class Probe(TypedDict):
    """What the first bytes of a capture say."""

    format: str  # "pcap", "pcap-ns", "pcap-modified", "pcapng" …
    compression: str | None  # None, "gzip", "zstd", "lz4", "xz"
    size: int  # bytes on disk, -1 when not a regular file
    first_ts: int | None  # time of the first packet, None when there is none
    head: bytes  # file header of a pcap file, empty for pcapng
    links: list[int]  # link types of the interfaces described before the first packet, ascending
    nanoseconds: bool  # an interface has a finer resolution than microseconds

@type_check_only
class DamageInfo(TypedDict):
    """Where a capture is broken; everything before ``offset`` was used."""

    offset: int  # byte offset in the (decompressed) capture
    kind: str  # stable name: "truncated", "bad-length", "bad-block", "limit", "compression"
    detail: str  # in words, with what was needed and what was found

@type_check_only
class WhatIf(TypedDict):
    """What one cutoff would leave of a file or data set."""

    cutoff: int  # bytes of a flow
    kept_packets: int
    kept_bytes: int  # captured frame bytes, as in ``bytes``
    flows_cut: int  # flows that would lose at least one packet

@type_check_only
class FilterRefusal(TypedDict):
    """Packets of a link type for which the filter makes no sense; they match nothing."""

    packets: int
    reason: str

@type_check_only
class FileScan(TypedDict):
    """What was found in one capture."""

    path: str
    format: str
    compression: str | None
    size: int  # bytes on disk, or read from the pipe
    file_bytes: int  # bytes of the capture itself, decompressed
    packets: int  # those that match the filter, as in all that follows
    bytes: int  # captured frame bytes
    packets_filtered: int  # packets that do not match the filter
    bytes_filtered: int
    filter_refused: dict[str, FilterRefusal]  # link types for which the filter makes no sense
    wire_bytes: int  # original lengths
    first_ts: int | None  # smallest packet time
    last_ts: int | None  # largest packet time
    out_of_order: int  # packets whose time is before that of the packet before them
    sections: int
    interfaces: list[dict[str, object]]  # {"link_type": int, "name": str | None, "snaplen": int}
    link_types: dict[str, int]  # name ("ETHERNET", "RAW", "LINKTYPE_147" …) -> packets
    unknown_link_types: list[str]  # those of link_types that are not read
    no_flow: dict[str, int]  # reason -> packets that belong to no flow
    anomalies: dict[str, int]  # stable name -> packets
    untracked: int  # packets of flows that did not fit the flow table (kept, not listed)
    fragments_overflow: int  # fragments that did not fit the fragment table
    damage: DamageInfo | None
    ledger: Literal["none", "used", "misfit"]  # "misfit": there is one, but not of this file
    ledger_note: str | None  # why it does not fit
    original_packets: int | None  # with ledger "used": of the file before it was trimmed
    original_bytes: int | None
    index: Literal["none", "fits", "used", "misfit"]  # "misfit": there is one, but it was not used
    index_note: str | None  # why not

@final
class Summary:
    """The flows of a consecutive piece of traffic, as far as the piece alone can tell; merges with those
    behind it."""

    @staticmethod
    def scan(
        path: str,
        *,
        ledger: str | None = None,
        progress: _Progress | None = None,
        jobs: int = 0,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        max_flows: int = 16_777_216,
        filter: _FilterRules | None = None,
    ) -> tuple[Summary, FileScan]:
        """Read a capture as a piece of which nobody knows what came before. Of a trimmed one its ledger is
        the summary."""
    @staticmethod
    def start(*, idle_ns: int = 60_000_000_000, tcp_idle_ns: int = 0, max_flows: int = 16_777_216) -> Summary:
        """Of no traffic, which begins here: what the first piece is merged to."""
    @staticmethod
    def read(path: str) -> Summary:
        """Read a file that ``write`` made. Raises SummaryError, OSError."""
    @staticmethod
    def from_bytes(data: bytes) -> Summary:
        """The same from what ``to_bytes`` gave."""
    def write(self, path: str) -> None:
        """Write it to a file (docs/formats/summary.md). Raises OutputError."""
    def to_bytes(self) -> bytes: ...
    def merge(self, following: Summary, *, cutting: bool = False) -> None:
        """Join the summary of the piece that follows. ``cutting``: as trim counts, sessions that go on in a
        trimmed file have come to what its ledger says, also when the files before it are not known.
        Raises SummaryError when the two do not fit each other."""
    def part(self, number: int, parts: int) -> Summary:
        """One of so many parts, by pairs of addresses. Parts merge as wholes do, when none ``crosses``."""
    def join(self, part: Summary) -> None:
        """Take in another part of the same pieces. Raises SummaryError when it is not one."""
    def met_by(self, piece: Summary) -> Summary:
        """Of this carry, what the piece can meet: a pass over the piece decides from it as from the whole
        carry."""
    def copy(self) -> Summary: ...
    def flows(self, *, community_seed: int = 0) -> FlowTable:
        """The flows as they are listed."""
    def end(self) -> None:
        """The traffic ends here: fragments that still wait for the first one of their datagram belong to
        flows of their own."""
    def begins(self) -> bytes:
        """The name of each flow, by ``flow_id``: the number in the traffic of the packet by which it became
        known, 64 bits, little-endian. It stays when more is merged."""
    def __len__(self) -> int: ...
    @property
    def crosses(self) -> bool:
        """A datagram in fragments went into a flow between other addresses: there must be one part."""
    @property
    def packets(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def untracked(self) -> int: ...
    @property
    def fragments_overflow(self) -> int: ...

@final
class FlowTable:
    """The flows of a data set, one row each, in order of ``flow_id``."""

    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table as an Arrow C stream (PyCapsule interface)."""
    def __arrow_c_schema__(self) -> object: ...
    @property
    def columns(self) -> list[str]: ...
    def top(self, column: str, n: int, *, descending: bool = True) -> FlowTable:
        """The first ``n`` rows when sorted by ``column`` (ties by flow_id). Besides the columns
        ``bytes``, ``packets`` and ``payload_bytes`` (both directions together) are understood.

        Raises ValueError for an unknown column."""
    def coded(self, plain: list[str] = ...) -> CodedFlows:
        """The rows with numbers for texts, but for the columns named in ``plain``."""
    def inside(self, networks: Sequence[tuple[bytes, int]]) -> bytes:
        """Per row: 1 if the client's address is in one of the networks (address of 4 or 16 bytes, bits
        that count), 2 if the server's is, 3 for both."""
    def matching(self, program: bytes, *, tags: bool) -> bytes:
        """Per row: 1 if the BPF program (for Ethernet) matches packets of either direction, 0 if not. Else it
        depends on what differs from packet to packet: 2 their length, 3 Ethernet addresses, 4 the rest of a
        VLAN tag, 5 of the IP header, 6 of the transport header, 7 the payload. ``tags``: it sees VLAN tags.

        Raises ValueError for a program that cannot be run."""
    def take(self, ids: Sequence[int]) -> FlowTable:
        """The rows with these flow_ids, in this order. Raises ValueError for one there is not."""
    def slice(self, offset: int, n: int) -> FlowTable: ...
    def to_pylist(self) -> list[dict[str, object]]:
        """One dict a row, column name -> str, int or None."""
    def names(self) -> list[tuple[str, list[str]]]:
        """With ``identify``: addresses and the names that DNS, TLS, QUIC and HTTP gave them."""
    def learn(self, name: str, ids: Sequence[int]) -> LearntModel:
        """Of a table made with ``identify`` and ``sampled``: a model of the flows with these flow_ids.

        Raises UsageError when the name will not do or there is nothing to learn from."""
    def left_out(self) -> tuple[int, int]:
        """With ``identify``: names for which there was no room, and flows that were decided by their first
        packet because too many waited."""
    def write_arrow(self, path: str) -> int:
        """Write an Arrow IPC file ("-" is stdout); returns the bytes written."""

@final
class FlowParts:
    """Which captures hold packets of each flow: one row a flow and capture, by ``flow_id``, then by capture.
    Columns ``flow_id``, ``file`` (number of the capture), ``client_packets``, ``server_packets``,
    ``client_bytes``, ``server_bytes`` (before it was ever trimmed), ``packets_left`` (there now),
    ``first_ts``, ``last_ts`` (ns)."""

    def __len__(self) -> int: ...
    def of(self, first: int, end: int) -> FlowParts:
        """Those of flows with a ``flow_id`` from ``first`` to before ``end``."""
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """As an Arrow C stream (PyCapsule interface)."""

@final
class CodedFlows:
    """The flow table with each text once, in one batch. A column of text holds unsigned integers, the
    smallest that do: numbers of :meth:`texts`."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table as an Arrow C stream (PyCapsule interface)."""
    def texts(self) -> dict[str, list[str]]:
        """Of each such column its texts by number. They ascend: addresses as numbers, IPv4 first, others as
        text."""

@final
class Models:
    """Learnt protocols, ready to be asked."""

    def __new__(cls, files: Sequence[tuple[str, bytes]]) -> Self:
        """Names of files (for errors) and their contents. Raises ModelError, with file and line."""
    def protocols(self) -> list[tuple[str, list[str]]]:
        """The protocols by name, with their carriers ("tcp", "udp", "sctp", "ip")."""

@type_check_only
class ModelAbout(TypedDict):
    """What a model says of one carrier; see :class:`flowkeep.ops.learn.ModelPart`."""

    carrier: str
    flows: int
    examples: int
    others: int
    highest: float | None
    threshold: float
    held: int
    held_of: int
    confidence: int
    client: list[float]
    server: list[float]
    lengths: list[tuple[str, float]]

@type_check_only
class MadeModel(TypedDict):
    """A model file and what it says."""

    name: str
    text: str
    parts: list[ModelAbout]

@type_check_only
class LearntModel(MadeModel):
    """The same, and what it was made of."""

    silent: int  # chosen flows without payload
    alike: int  # flows that were not chosen, are not known, and would get the name
    left_out: int  # flows that were not looked at for lack of room

@final
class Scanner:
    """Reads captures one after another and keeps one flow table over all of them."""

    def __new__(
        cls,
        *,
        jobs: int = 0,  # threads, 0: one per core
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        max_flows: int = 16_777_216,
        filter: _FilterRules | None = None,
        flows: bool = True,
        what_if: Sequence[int] = ...,  # none
        details: bool = False,  # the detail columns too, see docs/guide/details.md
        identify: bool = False,  # the columns of docs/guide/identify.md too, behind all others
        models: Models | None = None,  # with identify: these protocols, too
        sampled: bool = False,  # with identify: keep how each flow begins, for FlowTable.learn
        parts: bool = False,  # keep which capture holds what of each flow, for parts()
    ) -> Self: ...
    def file(self, path: str, *, ledger: str | None = None, progress: _Progress | None = None) -> FileScan:
        """Read one capture ("-" is stdin)."""
    def what_if(self) -> list[WhatIf]:
        """What each cutoff asked for would leave of all files read so far."""
    def histogram(self) -> list[tuple[int, int, int]]:
        """Flows by size, as (upper bound in bytes, flows, bytes); bounds are powers of ten
        from 100 bytes, the last one covers the rest."""
    def flows(self, *, community_seed: int = 0) -> FlowTable:
        """The flows of everything read so far. The data set is over then: it begins anew."""
    def parts(self) -> FlowParts | None:
        """What each capture holds of the flows that were given last; once."""

@type_check_only
class FileTrim(FileScan):
    """What was done to one capture. packets = kept + cut + dropped, bytes likewise.

    ``packets`` and ``bytes`` are here those of all packets; what does not match the filter is dropped."""

    packets_kept: int
    packets_cut: int
    packets_dropped: int
    packets_shortened: int  # of packets_kept: kept as headers only
    bytes_kept: int
    bytes_cut: int
    bytes_dropped: int
    dropped: dict[str, int]  # reason ("filter") -> packets
    flows: int  # flow shares seen in this file
    flows_cut: int  # of those, that lost at least one packet or were shortened
    out_bytes: int  # bytes of the result, as compressed; what it would be in a dry run
    digest_in: str | None  # SHA-256 of the file as it lay on disk, hex
    digest_out: str | None  # SHA-256 of the result

@final
class Trimmer:
    """Cuts captures one after another, in the order of the calls, as one data set."""

    def __new__(
        cls,
        cutoff: int,
        *,
        count: Literal["frame", "wire", "payload"] = "frame",
        per_direction: bool = False,
        control: Literal["keep", "drop"] = "keep",
        rest: Literal["cut", "headers", "sample"] = "cut",
        sample: int = 0,  # rest="sample": every sample-th packet is kept whole
        tail: int = 0,  # keep the last bytes of each flow, too; needs measure() first
        compat: Literal["trimpcap"] | None = None,
        ledger: bool = False,  # files will get ledgers
        jobs: int = 0,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        max_flows: int = 16_777_216,
        filter: _FilterRules | None = None,
        depths: Sequence[tuple[_Which, int | None, str]]
        | None = None,  # which flows have which cutoff (None:
        # they are not cut), and the name for ledgers; the first that fits a flow counts; at most 254
        services: Sequence[str] | None = None,  # names that _Which counts
        identify: bool = False,  # find out what the flows speak; needs measure() first
        # Go on behind this traffic. It knows no services and not TrimPCAP's state; a tail needs totals.
        carry: Summary | None = None,
        totals: Summary | None = None,  # of all traffic, for a tail: what flows come to; measure() each file
    ) -> Self: ...
    def carry(self, ledger: str, *, measuring: bool = False) -> None:
        """Go on behind a file of which only the ledger is read, in the first pass or in that which cuts.

        Raises LedgerError for a ledger that cannot be read."""
    def measure(self, path: str, *, ledger_in: str | None = None, progress: _Progress | None = None) -> None:
        """With ``tail`` and ``identify``: read every file first, in order, each with its ledger."""
    def file(
        self,
        path: str,
        out: str | None,
        *,
        ledger_in: str | None = None,
        ledger_out: str | None = None,
        compression: Literal["same", "none", "gzip", "zstd", "lz4", "xz"] = "same",
        digest: bool = False,
        last: bool = True,  # no file follows: fragments that still wait wait in vain
        policy: str = "",  # the policy as JSON, for the ledger
        progress: _Progress | None = None,
    ) -> FileTrim:
        """Cut one capture. ``out`` is the path to write ("-" is stdout), None in a dry run.
        The caller makes the path safe (hidden name) and renames; nothing is fsynced here."""
    def flows(self, *, community_seed: int = 0) -> FlowTable:
        """The true flows of everything read so far. The data set is over then."""

@final
class Extractor:
    """Goes over the captures from which flows were listed, in the same order and with the same
    settings, and writes the packets of some of them."""

    def __new__(
        cls,
        flows: FlowTable | None,  # None: every packet
        ids: Sequence[int],  # the flow_ids that are wanted
        out: str,  # the capture to write, "-" is stdout; with names: the folder
        *,
        compression: Literal["none", "gzip", "zstd", "lz4", "xz"] = "none",
        names: list[str] | None = None,  # file names of a split
        routes: list[tuple[int, int]] | None = None,  # per id: places in names, may be the same
        pcap: bool | None = None,  # of a split: pcap, whether in nanoseconds; None: pcapng
        jobs: int = 0,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        max_flows: int = 16_777_216,
        filter: _FilterRules | None = None,
        index: Index | None = None,  # of the one capture: the flows' records are read from their places;
        # the ids are then of the index, and ``flows`` may be None
        carry: Summary | None = None,  # go on behind this traffic; the flows are those of both
    ) -> Self:
        """With ``index``, :meth:`file` raises IndexMisfitError when the capture is not as it was."""
    def file(
        self,
        path: str,
        *,
        form: Literal["copy", "append", "pcap", "pcap-ns", "section"] = "copy",
        ledger: str | None = None,
        last: bool = True,
        progress: _Progress | None = None,
    ) -> FileScan:
        """Go over one capture. ``form``: how its packets are written to the one file; "append": as they
        stand, without the file header; "section": as a section of a pcapng file."""
    def finish(self, *, empty_link: int | None = None, nanoseconds: bool = False) -> tuple[int, int, int]:
        """End the output: packets, their captured bytes, bytes written. ``empty_link``: link type of
        a pcap file in the making, should it have got no packet."""

@final
class Index:
    """An index that fits its capture and was made with the same settings.

    Every method raises flowkeep.errors.IndexMisfitError when what it reads is damaged."""

    def __new__(
        cls,
        path: str,
        capture: str,
        *,
        jobs: int = 0,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        max_flows: int = 16_777_216,
    ) -> Self: ...
    def __len__(self) -> int:
        """Flows."""
    @property
    def plain(self) -> bool:
        """Whether single flows can be named by their ids without the whole table."""
    def scan(self, path: str) -> FileScan:
        """What was found in the capture."""
    def flows(self, *, community_seed: int = 0) -> FlowTable: ...
    def with_community(self, ids: Sequence[str]) -> list[int] | None:
        """The flow_ids of flows with one of these Community IDs, ascending; None unless plain."""
    def can_pick(self, flows: FlowTable | None, ids: Sequence[int]) -> bool:
        """Whether records of these flows can be read from their places, and that is the quicker way."""
    def rehearse(self, path: str, flows: FlowTable | None, ids: Sequence[int]) -> None:
        """Look whether the records of these flows are as they were, and write nothing."""

def build_index(
    path: str,
    out: str,
    *,
    progress: _Progress | None = None,
    jobs: int = 0,
    outer: bool = False,
    key_vlan: bool = False,
    idle_ns: int = 60_000_000_000,
    tcp_idle_ns: int = 0,
    max_flows: int = 16_777_216,
) -> tuple[FileScan, int, int, bool]:
    """Read a capture and write its index: what was found, flows, bytes of the index, and whether
    records can be read from their places.

    Raises IndexMisfitError when the capture was changed meanwhile."""

def verify_index(
    path: str, capture: str, *, out: str | None = None, progress: _Progress | None = None
) -> bool:
    """Compare the whole capture with the SHA-256 in its index. True: only its time stamps are others, and
    the index was written anew to ``out``. Raises IndexMisfitError when it does not fit."""

@type_check_only
class FileCarve(TypedDict):
    """What was found in one file that is no capture."""

    path: str
    compression: str | None
    scanned: int  # bytes that were looked at, decompressed
    classes: dict[
        str, int
    ]  # "checksum", "offload", "unchecked", "snapped", "fragment", "mismatch" -> packets
    packets: int
    bytes: int  # captured bytes of the packets
    ethernet: int  # packets with an Ethernet header
    timed: int  # packets whose time a record header tells
    overlapped: int  # places that looked like packets and were part of another one or lost against it
    damage: tuple[int, str] | None  # byte offset from which on compressed data is broken, and how

@final
class Carver:
    """Looks for packets in one file after another and writes them into one pcapng capture."""

    def __new__(
        cls,
        out: str,  # the capture to write, "-" is stdout
        *,
        level: Literal["strict", "normal", "loose"] = "normal",
        jobs: int = 0,
        block: int | None = None,  # places that a thread judges at a time; for tests
    ) -> Self: ...
    def file(self, path: str, *, label: str, progress: _Progress | None = None) -> FileCarve:
        """Look through one file ("-" is stdin); ``label`` names it in the comments."""
    def finish(self) -> int:
        """End the capture: bytes written."""

@type_check_only
class Searched(TypedDict):
    """What a search has found."""

    hits: list[tuple[int, Literal["client", "server"], int | None, int, int, int, tuple[bytes, bytes, bytes]]]
    """flow_id, who sent it, offset in what that end sent over TCP (None: there is no such place), number of
    the packet over all captures from 0, its time, length, and what is shown of it: before, match, behind."""
    found: list[tuple[int, int]]  # flow_id -> matches, of the flows that have any
    matches: int  # also those beyond ``most``
    bytes: int  # payload bytes that were looked at
    unjoined: int  # segments whose border to the one before was not looked at: too much memory
    unlisted: int  # fragments that waited for their first one, with more matches than are listed of one
    aside: int  # packets of no flow, or of flows beyond max_flows: not looked at
    flows: FlowTable
    begins: bytes  # names of the flows, as Summary.begins gives them; empty by an index

@final
class Searcher:
    """Goes over captures one after another and lists where a pattern stands in the payloads."""

    def __new__(
        cls,
        pattern: bytes,
        *,
        regex: bool = False,  # the pattern is a regular expression, in UTF-8
        ignore_case: bool = False,
        flows: FlowTable | None = None,  # listed from the same captures with the same settings
        ids: Sequence[int] = ...,  # with flows: the flow_ids to look at
        most: int = 10_000,  # hits that are kept
        jobs: int = 0,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        max_flows: int = 16_777_216,
        filter: _FilterRules | None = None,
        carry: Summary | None = None,  # go on behind it; of streams nothing is known that came before
        index: Index | None = None,  # of the one capture: the flows are picked by it, without a pass
    ) -> Self:
        """Raises flowkeep.errors.UsageError for a pattern that cannot be looked for."""
    def file(
        self, path: str, *, ledger: str | None = None, progress: _Progress | None = None
    ) -> tuple[FileScan, int]:
        """Go over one capture ("-" is stdin); also the number of its first packet."""
    def finish(self) -> Searched: ...

@type_check_only
class StreamTotals(TypedDict):
    """Sums over the rows of a manifest."""

    flows: int  # with files
    files: int  # with stream bytes
    bytes: int  # in them
    gaps: int  # listed or not
    overlaps: int
    anomalies: int
    missing: int  # bytes in gaps
    bounds: int  # holes given up because a bound on memory was hit

@final
class Rebuilder:
    """Goes over captures and rebuilds the TCP streams of chosen flows, or of all."""

    def __new__(
        cls,
        flows: FlowTable | None,  # None: every flow, in one pass; ledgers are not looked at
        ids: Sequence[int],  # the flow_ids that are wanted
        out: str,  # an empty folder; with spool: a file
        *,
        shown: str | None = None,  # what errors call it
        spool: bool = False,  # write events, of one flow
        as_seen: bool = False,  # with spool: segments as they were captured
        overlap: str = "first",
        gaps: Literal["split", "omit", "zero", "sparse"] = "split",
        frames: bool = False,
        versions: bool = False,
        udp: bool = False,
        jobs: int = 0,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
        max_flows: int = 16_777_216,
        filter: _FilterRules | None = None,
        carry: Summary | None = None,  # go on behind it; of streams nothing is known that came before
        index: Index | None = None,  # of the one capture: the flows are picked by it, without a pass
    ) -> Self: ...
    def file(
        self,
        path: str,
        number: int,  # of the capture in the data set, from 0
        *,
        ledger: str | None = None,
        last: bool = True,
        progress: _Progress | None = None,
    ) -> FileScan:
        """Go over one capture."""
    def finish(self, *, min_bytes: int = 0) -> tuple[FlowTable, int, tuple[int, int]]:
        """End the output: all flows, bytes written, the most bytes that waited and were remembered.

        The files get their names; flows with fewer bytes have none.
        """
    def next_rows(self, n: int) -> bytes:
        """JSON about the next ``n`` flows that were rebuilt, by ``flow_id``; empty at the end."""
    def totals(self) -> StreamTotals:
        """Sums over the rows that were given."""
    def next_client(self) -> int | None:
        """With spool: the direction, 0 or 1, that is the client in the next flow that was rebuilt."""

_End = tuple[bytes, int | None]
# Community ID, number in the cache, or protocol and both ends; None: any
_Flow = str | int | tuple[int | None, _End, _End]

@final
class Cache:
    """Packets in a fixed amount of memory. Every method can be called from any thread."""

    def __new__(
        cls,
        memory: int,  # bytes that everything takes together at most
        curve: Sequence[tuple[int, int]],  # (age in ns, bytes), ages rise, bytes fall; -1: all
        *,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
    ) -> Self: ...
    def interface(self, name: str, link: int, snap_length: int = 0) -> int:
        """Make an interface known. The same name and link type again is the same number."""
    def add(self, interface: int, time: int, data: Buffer, original: int | None = None) -> None:
        """Take a packet. ``time``: ns since the epoch; ``original``: length on the wire."""
    def dropped(self, interface: int, packets: int) -> None:
        """Say that the kernel lost packets."""
    def replay(self, path: str, *, jobs: int = 1, progress: _Progress | None = None) -> dict[str, Any]:
        """Take the packets of a capture ("-": standard input) as fast as it goes; their times are the clock.

        Returns packets, bytes, damage (text or None)."""
    def status(self) -> dict[str, Any]:
        """What it says of itself, fit for JSON: see docs/cache.md."""
    def flows(self, *, community_seed: int = 0) -> FlowTable:
        """The flows of which something is held, with true totals, and columns held_packets, held_bytes and
        flow_number, which no other flow of the cache ever gets."""
    def save(self, path: str) -> None:
        """Write all of it to a file."""
    @staticmethod
    def load(
        path: str,
        memory: int,
        curve: Sequence[tuple[int, int]],
        *,
        outer: bool = False,
        key_vlan: bool = False,
        idle_ns: int = 60_000_000_000,
        tcp_idle_ns: int = 0,
    ) -> Cache:
        """What was saved, in a cache with these settings. Raises flowkeep.errors.UsageError for a damaged
        file."""
    def spill(self, directory: str, *, disk: int | None = None, every_ns: int = 3_600_000_000_000) -> None:
        """From now on write flows that are let go as a whole to capture files in this folder: at most
        ``disk`` bytes, a file for so much packet time."""
    def spill_status(self) -> dict[str, Any] | None:
        """files, bytes, packets, flows, deleted (files), lost (packets), error (text or None)."""
    def spill_close(self) -> dict[str, Any] | None:
        """Write what waits, make the last file whole, and spill no longer."""
    def reader(
        self,
        *,
        program: _FilterRules | None = None,
        since: int | None = None,  # ns
        until: int | None = None,  # ns, included
        flows: Sequence[_Flow] | None = None,
        follow: bool = False,
        format: str = "pcapng",  # or "pcap"
    ) -> CacheReader:
        """Read what is held now, in the order of time."""

@final
class CacheReader:
    """A capture file out of a cache, in whole records or blocks. What it has not read stays held for it as
    far as a bound allows."""

    def read(self, wait: float = 0.0) -> bytes:
        """The next bytes, 32 to 64 KiB where there is more (one larger packet aside). Empty at the end; of
        one that follows, empty when nothing came within ``wait`` seconds."""
    def stop(self) -> None:
        """Come to an end with what is held now, if it follows; a read that waits goes on at once. From any
        thread."""
    @property
    def ended(self) -> bool: ...
    @property
    def matched(self) -> int:
        """Packets handed over."""
    @property
    def lost(self) -> int:
        """Packets that were let go before they were read."""

@type_check_only
class InputStats(TypedDict):
    """What is known of an input of a capture."""

    name: str  # the interface, "all", an address and port, or a path
    kind: Literal["interface", "listen", "connect", "read"]
    # "ready": opened, not started; "waiting": for an interface or a sender that is not there
    state: Literal["ready", "running", "waiting", "done", "failed", "stopped"]
    packets: int  # handed to the cache
    bytes: int  # their captured bytes
    drops: int  # packets for which the kernel had no room in the ring
    filtered: int  # packets that the filter left out here; those it left out in the kernel are not known
    refused: int  # packets of link types that the filter makes no sense for, or of too many interfaces
    interfaces: dict[str, dict[str, int]]  # by name: packets, bytes
    connections: int  # so far
    ring: int  # bytes
    error: str | None  # the last one; the input may have gone on after it

@final
class Capture:
    """Takes packets as they come into a cache, each input on a thread of its own.

    All inputs are opened first, then privileges are dropped, then it is started; nothing needs them after
    that, not even interfaces that come later. Linux only, as far as interfaces go."""

    def __new__(
        cls,
        cache: Cache,
        *,
        interfaces: Sequence[str] | None = None,  # None: all, also those that come later, with one ring
        promiscuous: bool = False,
        ring: int = 67_108_864,  # bytes of each ring
        snap_length: int = 262_144,  # bytes kept of a packet, 1 to 262,144
        program: _FilterRules | None = None,
        exclude_ports: Sequence[
            int
        ] = ...,  # TCP ports, at most 64; packets of interfaces from or to them are left out
    ) -> Self:
        """Open the interfaces: their packets wait in the rings from now on.

        Raises OSError (privileges, memory) and flowkeep.errors.UsageError (no such interface)."""
    def listen(self, host: str, port: int) -> int:
        """Take captures from whoever connects, 64 at once; returns the port (0: any free). Raises OSError."""
    def connect(self, host: str, port: int) -> None:
        """Take captures from a server, and again when it is gone; the name is looked up now. OSError."""
    def read(self, path: str) -> None:
        """Take the packets of a capture ("-": standard input) as fast as it goes."""
    def start(self) -> None:
        """Start the threads. Inputs that are added later start at once."""
    def stop(self) -> None:
        """End all inputs for good, after handing on what the kernel has taken in for them."""
    def stats(self) -> list[InputStats]:
        """One entry an input, in the order in which they were added."""

def drop_privileges(user: str | None = None) -> None:
    """Become ``user`` without further groups, if one is given; give up all capabilities, for good; set
    ``no_new_privs``. What every thread has left is read back from the kernel.

    Raises flowkeep.errors.UsageError for a user that there is not, and OSError when something is left, as
    when other threads run already."""

def exchange(one: str, other: str) -> None:
    """Let two files or folders change places in one step. Raises OSError, also where the system cannot."""

def overlap_policies() -> list[str]:
    """Names of the rules for conflicting bytes."""

def anomaly_names() -> list[str]:
    """Names of the anomalies, by their number in a spool."""

def probe(path: str) -> Probe:
    """Read the first packet of a capture.

    Raises flowkeep.errors.NotACaptureError (unknown format, empty file) and OSError."""

def curve_cutoffs() -> list[int]:
    """The cutoffs of the curves in ledgers: six a decade, from 100 bytes to 10 GB."""

def ledger_metadata(paths: Sequence[str]) -> list[tuple[dict[str, str] | None, str | None]]:
    """Per ledger: its metadata (docs/formats/ledger.md) without ``flowkeep.``, or why it has none."""

def ledger_curve(path: str) -> str:
    """``flowkeep.curve`` as it would stand in the metadata, from the rows. Raises LedgerError."""

def parse_curve(text: str) -> tuple[int, int, int, int | None, bytes] | None:
    """``flowkeep.curve`` taken apart: packets, captured bytes, flows, time of the last packet, and for each
    cutoff three numbers of eight bytes, little-endian. None if it is no curve."""

def ledger_flows(path: str) -> FlowTable:
    """The flows of a ledger, as its file had them before it was ever trimmed. Raises LedgerError."""

def ledger_first_ts(ledger: str, size: int) -> tuple[bool, int | None]:
    """Time of the first packet that a capture of ``size`` bytes had before it was trimmed.

    (False, None) when the ledger cannot be read or is for a file of another size, (True, None) when
    the capture never had a packet. Nanoseconds since the epoch."""

def protocols() -> list[tuple[str, str, str, list[str], list[int], str]]:
    """What is recognised: family, label, title, carriers ("tcp", "udp", "sctp", "ip"), ports,
    specification."""

def merge_models(files: Sequence[tuple[str, bytes]]) -> MadeModel:
    """Make one model of several of one name, given as names of files (for errors) and their contents.

    Raises ModelError, with file and line, and UsageError when the names of the protocols differ."""

def program_problem(program: bytes) -> str | None:
    """Why a BPF program cannot be run; None if it can."""

def version() -> str: ...
