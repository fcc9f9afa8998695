"""Work that a cluster does."""
