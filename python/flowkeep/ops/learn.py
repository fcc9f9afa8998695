"""The use case behind ``flowkeep learn``: make a model of flows that a user chose."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import _native
from ..errors import OutputError, UsageError
from ..flow import Flows, ReadOptions
from ..identify import Given, model_files, read_models
from ..paths import STANDARD, Found
from ..places import Place, place
from ..select.query import FlowQuery
from ..sink.anywhere import whole
from ..sink.stream import standard_output
from ..text import safe
from .damage import damage
from .export import check_target
from .flows import list_flows
from .meter import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = 3
"""With fewer different examples there is nothing to hold out, or next to nothing."""
GOOD = 10
"""So many different examples make a model good."""
_TELLING = 2.0
_LENGTHS = 16.0


@dataclass(frozen=True)
class ModelPart:
    """What a model says of flows over one carrier. Weights are bits, see docs/formats/model.md."""

    carrier: str
    """``tcp``, ``udp``, ``sctp`` or ``ip-NUMBER``."""
    flows: int
    """Flows that were counted."""
    examples: int
    """Different ones among them that are kept, at most 32."""
    held: int
    """Examples that were recognised when they were held out."""
    held_of: int
    """Examples that were held out."""
    others: int
    """Flows of other protocols that were compared."""
    highest: float | None
    """The best of their scores."""
    threshold: float
    """Score that a flow needs."""
    confidence: int
    """The highest confidence an answer has."""
    client: list[float]
    """Weight of each byte of the client."""
    server: list[float]
    lengths: list[tuple[str, float]]
    """The most likely end and length of each of the first packets, and what they weigh."""

    @property
    def best(self) -> float:
        """The highest score a flow can reach."""
        return sum(self.client) + sum(self.server) + min(sum(bits for _, bits in self.lengths), _LENGTHS)

    @property
    def rests_on(self) -> str:
        """What tells, in words: ``client 0-3,8-9 (38 bits), server 0-3 (24 bits), lengths (16 bits)``."""
        said = []
        for end, weights in (("client", self.client), ("server", self.server)):
            places = [at for at, bits in enumerate(weights) if bits >= _TELLING]
            if places:
                said.append(f"{end} {_ranges(places)} ({sum(weights[at] for at in places):.0f} bits)")
        bits = min(sum(max(bits, 0.0) for _, bits in self.lengths), _LENGTHS)
        if bits >= _TELLING:
            said.append(f"lengths {','.join(token for token, _ in self.lengths)} ({bits:.0f} bits)")
        return ", ".join(said) or "nothing"


@dataclass
class LearnReport:
    """A model, and what it was made of."""

    name: str
    text: str
    """The model file."""
    parts: list[ModelPart]
    flows: int = 0
    """Flows that were chosen."""
    of_flows: int = 0
    """Flows there are."""
    silent: int = 0
    """Chosen flows without payload."""
    alike: int = 0
    """Flows that were not chosen, have no name of their own, and would get this one."""
    left_out: int = 0
    """Flows that were not looked at because there was no room."""
    known: dict[str, int] = field(default_factory=dict)
    """Names that built-in rules give to chosen flows."""
    scans: list[_native.FileScan] = field(default_factory=list)
    skipped: list[tuple[Place, str]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether no capture was damaged or passed over."""
        return not self.skipped and all(damage(scan) is None for scan in self.scans)

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the model, in words; empty for a good one."""
        said = [text for part in self.parts for text in _doubts(part)]
        if self.silent:
            said.append(f"{self.silent} of {self.flows} chosen flows have no payload and taught nothing")
        if self.left_out:
            said.append(f"{self.left_out} flows were not looked at: too many at a time")
        if self.alike:
            said.append(
                f"{self.alike} flows that were not chosen would be named {self.name}, too: look at them, and "
                "choose more examples if they are something else"
            )
        for label, count in sorted(self.known.items(), key=lambda item: (-item[1], item[0])):
            said.append(
                f"{count} of {self.flows} chosen flows are known as {safe(label)}: where that rule is surer, "
                "its name stays"
            )
        return said

    def write(self, output: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the model file; ``-`` is standard output. Raises UsageError for a file that is there, unless
        ``force``; OutputError."""
        path = place(output)
        data = self.text.encode("ascii")
        if path == STANDARD:
            with standard_output() as out:
                out.write(data)
            return
        refuse(path, force=force)
        try:
            with whole(path) as out:
                out.write(data)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{safe(path)}: cannot be written: {error.strerror}") from error


def refuse(path: Place, *, force: bool) -> None:
    """Raise UsageError where another file would be replaced."""
    if path != STANDARD and path.exists() and not force:
        raise UsageError(
            f"{safe(path)} is already there: name another file with -o, or replace it with --force"
        )


def learn(
    found: Found,
    name: str,
    query: FlowQuery | None = None,
    options: ReadOptions | None = None,
    *,
    output: Place | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> LearnReport:
    """Make a model of the flows that a query wants, or of all, and write it to ``output`` if there is one.

    The captures are read once; beside its row, each flow takes about 200 bytes. The result depends on the
    flows alone. Raises UsageError, before anything is read for what is already there, and when there is
    nothing to learn from.
    """
    if output is not None:
        check_target(output, found.captures)
        refuse(output, force=force)
    flows = list_flows(found, options, identify=True, sampled=True, progress=progress)
    wanted = FlowQuery() if query is None else query
    ids = wanted.ids(flows) if wanted else list(range(len(flows)))
    if not ids:
        raise UsageError(
            f"no flow is meant: there are {len(flows)}; flowkeep flows with the same options lists the chosen"
        )
    made = flows.native.learn(name, ids)
    report = _report(made)
    report.flows, report.of_flows = len(ids), len(flows)
    report.silent, report.alike, report.left_out = made["silent"], made["alike"], made["left_out"]
    report.known = _known(flows, ids)
    report.scans, report.skipped = flows.files, list(found.skipped)
    if output is not None:
        report.write(output, force=force)
    return report


def merge(models: Given, *, output: Place | None = None, force: bool = False) -> LearnReport:
    """Make one model of several model files of one name. The same in any order and grouping.

    Raises OSError, ModelError, UsageError, OutputError.
    """
    if output is not None:
        check_target(output, [])
        refuse(output, force=force)
    report = _report(_native.merge_models(read_models(model_files(models))))
    report.flows = report.of_flows = sum(part.flows for part in report.parts)
    if output is not None:
        report.write(output, force=force)
    return report


def _report(made: _native.MadeModel) -> LearnReport:
    return LearnReport(made["name"], made["text"], [ModelPart(**part) for part in made["parts"]])


def _known(flows: Flows, ids: list[int]) -> dict[str, int]:
    import polars as pl

    chosen = flows.take(ids).to_polars().select(pl.col("service").drop_nulls())
    counted = chosen.to_series().value_counts(sort=True)
    return dict(zip(counted["service"].to_list(), counted["count"].to_list(), strict=True))


def _doubts(part: ModelPart) -> list[str]:
    said = []
    if part.best < part.threshold:
        said.append(
            f"{part.carrier}: what the examples have in common is too little: at best {part.best:.0f} bits, "
            f"and {part.threshold:.0f} are needed; nothing will be recognised"
        )
    if part.examples < FEW:
        kept = "one example" if part.examples == 1 else f"{part.examples} different examples"
        said.append(
            f"{part.carrier}: {kept} is too little to know how good the model is: {GOOD} different ones "
            "make it good"
        )
    if part.held < part.held_of:
        missed = part.held_of - part.held
        said.append(
            f"{part.carrier}: {missed} of {part.held_of} examples were not recognised when they were held out"
        )
    if part.highest is not None and part.highest >= part.threshold - 8.5:
        said.append(
            f"{part.carrier}: flows of other protocols come near ({part.highest:.0f} bits): the threshold "
            "is higher for that"
        )
    return said


def _ranges(places: Sequence[int]) -> str:
    """``[0, 1, 2, 8]`` as ``0-2,8``."""
    runs: list[list[int]] = []
    for at in places:
        if runs and at == runs[-1][1] + 1:
            runs[-1][1] = at
        else:
            runs.append([at, at])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
