"""The errors of flowkeep and their exit statuses.

::

    FlowkeepError (3)
    ├── UsageError (2)          the call itself is wrong
    ├── NotACaptureError (4)    unknown format, empty file, no captures found
    ├── DamagedError (5)        a damaged file where only a whole one will do
    ├── BusyError (6)           another process is writing the file
    ├── OutputError (7)         the result could not be written (full disk, permission)
    ├── LedgerError (8)         a ledger is broken or of another file
    ├── IndexMisfitError (9)    an index is broken, or of another file or state of it
    ├── CacheError (10)         the cache cannot be reached, or its answer is not whole
    ├── ModelError (11)         a model of a learnt protocol is broken
    ├── SummaryError (12)       a summary of a piece of a data set cannot be read
    ├── ClusterError (13)       the cluster cannot be reached, or lacks what the work needs
    └── LakeError (14)          a lake of flows, or a file of it, cannot be read

Exit status 0 is done, 1 is done but some input was damaged or skipped.
"""

from __future__ import annotations


class FlowkeepError(Exception):
    """Base of all errors that flowkeep raises itself."""

    exit_status = 3


class UsageError(FlowkeepError, ValueError):
    """The call is wrong: an option, a unit, a path that cannot be meant."""

    exit_status = 2


class NotACaptureError(FlowkeepError, ValueError):
    """The bytes are no capture that flowkeep reads."""

    exit_status = 4


class DamagedError(FlowkeepError):
    """The capture is damaged and the work needs a whole one."""

    exit_status = 5


class BusyError(FlowkeepError):
    """Another process still writes the file."""

    exit_status = 6


class OutputError(FlowkeepError, OSError):
    """The result could not be written; originals are untouched."""

    exit_status = 7


class LedgerError(FlowkeepError):
    """A ledger is broken or belongs to another file."""

    exit_status = 8


class IndexMisfitError(FlowkeepError):
    """An index is broken, belongs to another file or state of it, or was made with other options."""

    exit_status = 9


class CacheError(FlowkeepError):
    """The cache cannot be reached, does not let this user in, or its answer ended early."""

    exit_status = 10


class ModelError(FlowkeepError, ValueError):
    """A model of a learnt protocol is broken, or its name is taken."""

    exit_status = 11


class SummaryError(FlowkeepError):
    """A summary of a piece of a data set is broken or of another version."""

    exit_status = 12


class ClusterError(FlowkeepError):
    """The cluster cannot be reached, or its workers cannot do the work."""

    exit_status = 13


class LakeError(FlowkeepError):
    """A folder is no lake of flows, or a file of it is broken, forged or of another version."""

    exit_status = 14
