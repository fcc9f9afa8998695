"""The use cases, by the Python API."""
