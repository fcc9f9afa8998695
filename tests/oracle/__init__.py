"""flowkeep against other programs' readings of real captures; each skips when its program is missing."""
