"""Packets as they come: from interfaces, by TCP, from files and pipes."""
