"""The cache and its service."""
