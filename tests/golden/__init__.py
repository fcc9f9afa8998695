"""One small case for each capture format, compression and link type, with what is expected of it."""
