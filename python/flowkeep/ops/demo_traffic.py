"""The use case behind ``flowkeep demo``: make its capture."""

from flowkeep.demo.capture import write_demo

__all__ = ["write_demo"]
