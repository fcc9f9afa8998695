"""``flowkeep flows`` on many machines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..flow import Flows, ReadOptions
from ..ops.meter import Progress
from ..ops.reading import check_filter
from .connect import is_local
from .fold import Folded, fold
from .places import Where
from .run import Steps
from .spool import Spool, opened, work

if TYPE_CHECKING:
    from distributed import Client


def list_flows(
    client: Client,
    where: Where,
    options: ReadOptions | None = None,
    *,
    details: bool = False,
    identify: bool = False,
    spool: str | os.PathLike[str] | None = None,
    community_seed: int = 0,
    progress: Progress | None = None,
) -> Flows:
    """The flows of a data set, as :func:`flowkeep.ops.flows.list_flows` gives them.

    Raises what that raises, and ClusterError.
    """
    options = options or ReadOptions()
    if details or identify:
        raise UsageError(
            f"{'--details' if details else '--identify'}: a cluster lists what summaries know, and they "
            "know no details and no services; leave --cluster away for that"
        )
    with opened(spool, work("flows", where.found, options), local=is_local(client)) as folder:
        folded = listed(client, where, options, folder, Steps(where.found.bytes, progress))
        flows = Flows(folded.whole().flows(community_seed=community_seed), folded.files)
    check_filter(flows.files)
    return flows


def listed(client: Client, where: Where, options: ReadOptions, spool: Spool, steps: Steps) -> Folded:
    """Both rounds, for whoever needs every capture."""
    folded = fold(client, where, options, spool, steps, cutting=False)
    for problem in folded.problems:
        if problem is not None:
            raise problem
    return folded
