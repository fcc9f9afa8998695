"""Writers: captures that appear only when whole, and tables of flows."""
