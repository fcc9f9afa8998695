"""From what the user names to a Dask client whose workers can do the work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import ClusterError, UsageError

if TYPE_CHECKING:
    from distributed import Client

_PATIENCE_S = 10


def _dask() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            "a cluster needs Dask: install flowkeep with it, pip install 'flowkeep[cluster]'"
        ) from error
    return distributed


@contextmanager
def connected(where: str) -> Iterator[Client]:
    """A client for ``tcp://host:port`` (or ``tls://``), or for ``local:N``: N processes on this machine, for
    as long as the work takes.

    Raises UsageError, and ClusterError when nobody answers or the workers have another flowkeep.
    """
    distributed = _dask()
    # It tells of a lost connection with tracebacks; what the user is to know is an error of ours.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    kind, _, rest = where.partition(":")
    if kind == "local":
        if not rest.isdecimal() or not 1 <= int(rest) <= 1024:
            raise UsageError(f"--cluster {where}: say how many processes, such as local:4")
        cluster = distributed.LocalCluster(
            n_workers=int(rest),
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            silence_logs=50,
        )
        with cluster, distributed.Client(cluster) as client:
            yield checked(client)
    elif kind in ("tcp", "tls") and rest.startswith("//"):
        try:
            client = distributed.Client(where, timeout=_PATIENCE_S)
        except (OSError, TimeoutError) as error:
            raise ClusterError(f"{where}: no scheduler answers: {error}") from error
        with client:
            yield checked(client)
    else:
        raise UsageError(f"--cluster {where}: it is tcp://HOST:PORT of a Dask scheduler, or local:N")


def checked(client: Client) -> Client:
    """The client, when it has workers and all of them have this flowkeep. Raises ClusterError."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_S)
        found = client.run(_version, on_error="ignore")
    except (OSError, TimeoutError) as error:
        raise ClusterError(f"the cluster has no worker that answers: {error}") from error
    if not found:
        raise ClusterError("the cluster has no worker that answers")
    others = {version for version in found.values() if version != __version__}
    if others:
        worker = next(name for name, version in found.items() if version != __version__)
        raise ClusterError(
            f"the worker {worker} has flowkeep {found[worker]}, here it is {__version__}: all must have "
            "the same"
        )
    return client


def is_local(client: Client) -> bool:
    """Whether all workers are processes of this machine that flowkeep started."""
    return isinstance(client.cluster, _dask().LocalCluster)


def _version() -> str:
    """Of flowkeep, on a worker."""
    try:
        from flowkeep import __version__ as version
    except ImportError:
        return "(none)"
    return version
