"""The command line: a thin skin over ``ops``. Every command is a module of its own, loaded when called."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run ``flowkeep``."""
    if sys.argv[1:] == ["--version"]:
        from flowkeep import __version__

        # The one call that scripts make often: answered without loading anything.
        sys.stdout.write(f"flowkeep {__version__}\n")
        return
    # Nearly all objects of a command live until its end: looking for garbage among them, while modules
    # are loaded and once more at the end, is time without a gain.
    gc.set_threshold(100_000)
    from .app import run

    status = run(sys.argv[1:])
    gc.freeze()
    sys.exit(status)
