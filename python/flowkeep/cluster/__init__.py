"""Use cases on many machines: Dask distributed runs them, files in a spool hand on what is known.

Each file is read where it lies and becomes a summary; summaries are merged in order, part by part; each file
is then dealt with from the carry of all files before it. The result is that of one machine, byte for byte
(docs/guide/cluster.md).
"""

from .connect import checked, connected
from .extract import extract
from .flows import list_flows
from .places import Where, everywhere, find
from .trim import trim

__all__ = ["Where", "checked", "connected", "everywhere", "extract", "find", "list_flows", "trim"]
