"""The detail columns of flows."""
