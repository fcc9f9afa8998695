"""The use case behind ``flowkeep flows``: list the flows of captures."""

from __future__ import annotations

import os

from .. import _native
from ..errors import IndexMisfitError
from ..flow import Flows, ReadOptions
from ..identify import load_models
from ..paths import Found
from .index import fitting_index, note_misfit
from .meter import Meter, Progress
from .reading import check_filter


def list_flows(
    found: Found,
    options: ReadOptions | None = None,
    *,
    details: bool = False,
    identify: bool = False,
    sampled: bool = False,
    community_seed: int = 0,
    progress: Progress | None = None,
) -> Flows:
    """The flows of a data set, with ``details`` also those of ``flow.DETAILS``, with ``identify`` those of
    ``flow.IDENTIFIED``, with ``sampled`` also ready to be learnt from.

    Raises OSError and FlowkeepError for a file that cannot be read."""
    options = options or ReadOptions()
    models = load_models(options.models) if identify else None
    index, note = (None, None) if details or identify else fitting_index(found, options)
    if index is not None:
        path = os.fspath(found.captures[0].path)
        try:
            return Flows(index.flows(community_seed=community_seed), [index.scan(path)])
        except IndexMisfitError as error:
            note = str(error)
    scanner = _native.Scanner(
        **options.native(), details=details, identify=identify, models=models, sampled=sampled
    )
    meter = Meter(found.bytes, progress)
    files = []
    for capture in found.captures:
        ledger = capture.ledger
        beside = None if ledger is None else os.fspath(ledger)
        files.append(scanner.file(os.fspath(capture.path), ledger=beside, progress=meter.file(capture.size)))
    check_filter(files)
    note_misfit(files, note)
    return Flows(scanner.flows(community_seed=community_seed), files)
