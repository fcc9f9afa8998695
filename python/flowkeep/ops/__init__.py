"""One function per use case: what the command line, the Python API and other faces call."""
