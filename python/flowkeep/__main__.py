"""``python -m flowkeep`` is ``flowkeep``."""

from .cli import main

if __name__ == "__main__":
    main()
