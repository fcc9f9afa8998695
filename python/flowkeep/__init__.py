"""flowkeep keeps the start of every conversation.

::

    import flowkeep as fk

    ds = fk.open("captures/")                      # files, folders, globs: one data set
    flows = ds.flows()                             # .to_polars(), .to_pandas(), Arrow C stream
    report = ds.trim("100kB", output="trimmed/")   # or in_place=True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache.curve import Curve as Curve
    from .cache.memory import Cache as Cache
    from .cut import CutPolicy as CutPolicy
    from .dataset import Dataset as Dataset
    from .dataset import learn as learn
    from .dataset import merge_models as merge_models
    from .dataset import open as open
    from .errors import BusyError as BusyError
    from .errors import CacheError as CacheError
    from .errors import ClusterError as ClusterError
    from .errors import DamagedError as DamagedError
    from .errors import FlowkeepError as FlowkeepError
    from .errors import IndexMisfitError as IndexMisfitError
    from .errors import LakeError as LakeError
    from .errors import LedgerError as LedgerError
    from .errors import ModelError as ModelError
    from .errors import NotACaptureError as NotACaptureError
    from .errors import OutputError as OutputError
    from .errors import SummaryError as SummaryError
    from .errors import UsageError as UsageError
    from .flow import Flows as Flows
    from .flow import ReadOptions as ReadOptions
    from .ops.extract import ExtractReport as ExtractReport
    from .ops.index import IndexReport as IndexReport
    from .ops.info import InfoReport as InfoReport
    from .ops.lake import LakeReport as LakeReport
    from .ops.learn import LearnReport as LearnReport
    from .ops.streams import StreamsReport as StreamsReport
    from .ops.trim import TrimReport as TrimReport
    from .select.query import FlowQuery as FlowQuery
    from .stream import Stream as Stream

__version__ = "0.1.0"

_WHERE = {
    "BusyError": "errors",
    "Cache": "cache.memory",
    "CacheError": "errors",
    "ClusterError": "errors",
    "Curve": "cache.curve",
    "CutPolicy": "cut",
    "DamagedError": "errors",
    "Dataset": "dataset",
    "ExtractReport": "ops.extract",
    "FlowQuery": "select.query",
    "FlowkeepError": "errors",
    "IndexMisfitError": "errors",
    "Flows": "flow",
    "IndexReport": "ops.index",
    "InfoReport": "ops.info",
    "LakeError": "errors",
    "LakeReport": "ops.lake",
    "LearnReport": "ops.learn",
    "LedgerError": "errors",
    "ModelError": "errors",
    "NotACaptureError": "errors",
    "OutputError": "errors",
    "ReadOptions": "flow",
    "Stream": "stream",
    "StreamsReport": "ops.streams",
    "SummaryError": "errors",
    "TrimReport": "ops.trim",
    "UsageError": "errors",
    "learn": "dataset",
    "merge_models": "dataset",
    "open": "dataset",
}

__all__ = [
    "BusyError", "Cache", "CacheError", "ClusterError", "Curve", "CutPolicy", "DamagedError", "Dataset",
    "ExtractReport", "FlowQuery", "FlowkeepError", "Flows", "IndexMisfitError", "IndexReport", "InfoReport",
    "LakeError", "LakeReport", "LearnReport", "LedgerError", "ModelError", "NotACaptureError",
    "OutputError", "ReadOptions", "Stream", "StreamsReport", "SummaryError", "TrimReport", "UsageError",
    "__version__", "learn", "merge_models", "open",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Loaded when first used, so that `flowkeep --version` need not wait for the native core.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
