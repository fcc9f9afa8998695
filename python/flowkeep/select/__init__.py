"""Which packets and flows are wanted."""
