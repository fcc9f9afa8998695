"""The command line: a thin skin over ``ops``. Every command is a module of its own, loaded when called."""

from __future__ import annotations

import gc
import sys

from .stream import complain, open_streams


def main() -> None:
    """Run ``flowkeep``."""
    try:
        open_streams()
        status = _run(sys.argv[1:])
    except KeyboardInterrupt:
        # Loading the modules is half of a short run.
        complain("stopped; nothing half-done was left behind")
        status = 130
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        from flowkeep import __version__

        # The one call that scripts make often: answered without loading anything.
        try:
            sys.stdout.write(f"flowkeep {__version__}\n")
            sys.stdout.flush()
            return 0
        except OSError:
            pass  # said below, as for every command
    # Nearly all objects of a command live until its end: looking for garbage among them, while modules
    # are loaded and once more at the end, is time without a gain.
    gc.set_threshold(100_000)
    from .app import run

    status = run(arguments)
    gc.freeze()
    return status
