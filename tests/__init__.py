"""Tests of flowkeep; a package, so that they can share ``tests.wire`` and ``tests.model``."""
