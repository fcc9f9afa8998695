"""The command line: a thin skin over ``ops``. Every command is a module of its own, loaded when called."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``flowkeep``."""
    if sys.argv[1:] == ["--version"]:
        from flowkeep import __version__

        # The one call that scripts make often: answered without loading anything.
        sys.stdout.write(f"flowkeep {__version__}\n")
        return
    from .app import run

    sys.exit(run(sys.argv[1:]))
