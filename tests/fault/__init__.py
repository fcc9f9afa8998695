"""What stays behind when a run is killed, interrupted or meets a full disk."""
