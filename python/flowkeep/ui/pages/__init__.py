"""The pages. :func:`register` makes them known to the server."""

from __future__ import annotations

from .frame import register

__all__ = ["register"]
