"""The cache: days of packets in a fixed amount of memory."""
